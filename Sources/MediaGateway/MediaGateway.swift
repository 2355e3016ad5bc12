import ArgumentParser
import Gateway

@main
struct MediaGateway: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "media-gateway",
        abstract: "Streams byte ranges of media from pluggable sources.",
        version: GatewayVersion.current,
        subcommands: [
            ServeCommand.self, PlayCommand.self, CheckCommand.self, ConfigCommand.self, CacheCommand.self,
            BenchCommand.self,
        ],
        defaultSubcommand: ServeCommand.self
    )
}
