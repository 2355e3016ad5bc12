import Glibc

/// How log lines look.
package enum LogFormat: Sendable, Hashable {
    /// One JSON object a line, for programs.
    case json
    /// Aligned columns, for people.
    case text

    /// Text on a terminal, JSON elsewhere.
    package static func automatic(for descriptor: Int32) -> LogFormat {
        isTerminal(descriptor) ? .text : .json
    }

    package static func isTerminal(_ descriptor: Int32) -> Bool {
        isatty(descriptor) == 1
    }
}
