import ArgumentParser
import Config
import Foundation
import Gateway

extension CacheCommand {
    struct Warm: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Brings objects into the cache, before anybody asks for them.",
            discussion: """
                media-gateway cache warm media/films/one.mkv /torrent/0123…/film.mkv
                media-gateway cache warm --from list.txt --rate 10MiB/s
                media-gateway cache ls --json | jq -r '.items[] | .source + "/" + .path' | media-gateway cache warm --from -

                An object is named by its source and the path within it, as cache ls does, or by its path below the gateway's root, with a \
                slash in front, as in a URL. A list has one a line; lines that begin with # are left out.

                Reads them through the running gateway, as a player would, one after the other. What is there already is not read \
                again. Exits with 0 if all of them were in the cache, each once it had been read, 1 if one was not, 66 if the list \
                cannot be read, 69 if no gateway answers. In a cache that is full, what comes later may take the place of what came before: pin what is to stay.
                """
        )

        @Argument(help: "Objects: SOURCE/PATH, or /PATH as in a URL.")
        var objects: [String] = []

        @Option(help: ArgumentHelp("A file with a list of objects; - is standard input.", valueName: "file"))
        var from: String?

        @Option(help: ArgumentHelp("How much is read in a second on the average, such as 10MiB/s.", valueName: "rate"))
        var rate: ByteRate?

        @OptionGroup var options: ConfigOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if objects.isEmpty, from == nil { throw ValidationError("Name objects, or a list with --from.") }
            if let rate, rate.bytesPerSecond < 1024 { throw ValidationError("--rate is 1KiB/s or more.") }
        }

        func run() async throws {
            let setup = options.load()
            guard setup.isValid else {
                printDiagnostics(setup)
                throw ExitCode.badConfiguration
            }
            let names = try objects + listed()
            let (bar, isQuiet, sources) = (ProgressBar(), output.json, setup.config.sources)
            let warming = CacheWarming(
                try address(setup.config.server.listen),
                rate: rate,
                cacheSize: setup.config.cache.size.bytes,
                passes: setup.config.cache.admission == .secondHit ? 2 : 1
            )
            let report = try await untilInterrupted {
                try await endingWithStatus {
                    try await warming.run(
                        names,
                        sources: sources,
                        progress: { progress in
                            bar.show { CacheText.progress(progress, elapsed: $0, width: $1) }
                        },
                        ended: { result in
                            guard !isQuiet, !bar.isTerminal || result.outcome == .failed else { return }
                            bar.note(CacheText.line(result))
                        }
                    )
                }
            }
            bar.end()
            output.print(report, CacheText.text(report))
            if report.count(.failed) > 0 { throw ExitCode.failure }
        }

        private func listed() throws -> [String] {
            guard let from else { return [] }
            do {
                let file = from == "-" ? FileHandle.standardInput : try FileHandle(forReadingFrom: URL(filePath: from))
                return WarmTarget.names(in: String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self))
            } catch {
                complain("\(from) cannot be read")
                throw ExitCode.noInput
            }
        }

        private func address(_ addresses: [ListenAddress]) throws -> ListenAddress {
            let found = addresses.first { if case .tcp(_, 0) = $0 { false } else { true } }
            guard let found else {
                complain(
                    "server.listen in \(options.place) has no port of its own, so that the gateway cannot be found"
                )
                throw ExitCode.unavailable
            }
            return found
        }
    }
}

extension ByteRate: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}
