import ArgumentParser
import Gateway

struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Checks the configuration and exits: 0 if it is right, 78 if not.",
        discussion:
            """
            Every error is shown in one run, as file:line:column: error: key: what was found; what was expected. \
            Warnings, as of a folder that is not there yet, do not change the exit code.
            """
    )

    @OptionGroup var options: ConfigOptions

    func run() throws {
        let setup = options.load()
        setup.checkPaths()
        printDiagnostics(setup)
        guard setup.isValid else { throw ExitCode.badConfiguration }
        let count = setup.enabledSourceCount
        print("\(options.place): no errors, \(count) \(count == 1 ? "source" : "sources") enabled")
    }
}
