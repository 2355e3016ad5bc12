import ArgumentParser
import Config
import Foundation
import Gateway

/// Where the configuration is, and what overrides it.
struct ConfigOptions: ParsableArguments {
    @Option(
        name: [.short, .long],
        help: "The main configuration file. (default: config.toml in this folder, or the built-in values without one)"
    )
    var config: String?

    @Option(
        name: .customLong("set"),
        help: ArgumentHelp(
            "Overrides one value, as in --set server.listen=127.0.0.1:0. May be repeated.",
            valueName: "key=value"
        )
    )
    var overrides: [String] = []

    /// What is loaded, for people.
    var place: String {
        if let config { return config }
        return FileManager.default.fileExists(atPath: "config.toml")
            ? "config.toml" : "no config.toml here, built-in values"
    }

    func load() -> GatewaySetup {
        GatewaySetup(configPath: config, environment: ProcessInfo.processInfo.environment, overrides: overrides)
    }
}

extension ExitCode {
    /// EX_CONFIG of sysexits.h, so that a service manager can tell a bad configuration from a crash.
    static let badConfiguration = ExitCode(78)
    /// EX_UNAVAILABLE.
    static let unavailable = ExitCode(69)
}

/// Says on standard error why a command does not do what it should.
func complain(_ message: String) {
    FileHandle.standardError.write(Data("media-gateway: \(message)\n".utf8))
}

/// Prints what is wrong with a configuration to standard error.
func printDiagnostics(_ setup: GatewaySetup) {
    FileHandle.standardError.write(Data(setup.diagnostics.utf8))
}
