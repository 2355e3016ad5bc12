import ArgumentParser
import Gateway

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Works with the configuration.",
        subcommands: [Show.self]
    )

    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract: "Prints every value in force and where it comes from, without secrets."
        )

        @OptionGroup var options: ConfigOptions

        func run() throws {
            let setup = options.load()
            print(setup.effectiveConfiguration, terminator: "")
            guard setup.isValid else {
                printDiagnostics(setup)
                throw ExitCode.badConfiguration
            }
        }
    }
}
