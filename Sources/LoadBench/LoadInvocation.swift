/// What was run, and when, as reports have it.
package struct LoadInvocation: Sendable, Codable, Equatable {
    /// The command line, without the secrets in it.
    package let command: String
    /// Of this program.
    package let version: String
    /// In UTC, as ISO 8601 has it.
    package let started: String

    package init(command: String, version: String, started: String) {
        self.command = command
        self.version = version
        self.started = started
    }
}
