import ArgumentParser
import Gateway

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serves until SIGTERM or SIGINT, then finishes open answers up to the drain deadline.",
        discussion: """
            A second signal cuts what is still open. SIGUSR1 opens the access log's file again, and so does SIGHUP where \
            standard error is no terminal.
            """
    )

    @OptionGroup var options: ConfigOptions

    func run() async throws {
        let setup = options.load()
        printDiagnostics(setup)
        guard setup.isValid else { throw ExitCode.badConfiguration }
        try await GatewayService(setup).run()
    }
}
