import ArgumentParser
import Config
import Foundation
import LoadBench

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Puts a server under load, checks every answer, and measures.",
        discussion: """
            media-gateway bench ping http://127.0.0.1:8080/ping --connections 50 --rate 54/s
            media-gateway bench range http://127.0.0.1:8080/media/film.mkv --length 1MiB --compare media/film.mkv
            media-gateway bench players --listing http://127.0.0.1:8080/media/ --stages 0:10s,50:1m,50:1m,0:10s

            Works on any server that answers range requests, over http, not https; on those of other machines with \
            --allow-remote.

            Exits with 0 when every answer was right, 1 if one was not, if there was none, or if the load could not \
            begin or its figures not be written, 64 for wrong usage, 128 and the signal's number if interrupted: 130 by \
            Ctrl-C.
            """,
        subcommands: [Ping.self, Range.self, Players.self]
    )

    struct Ping: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Asks for one address again and again, as fast as it answers or at a rate.",
            discussion: """
                Expects 200 with a whole body. At a rate, times count from the moment when a request was due: a pause \
                of the server is charged for all the requests that fell into it.
                """
        )

        @Argument(help: "What is asked for, such as http://127.0.0.1:8080/ping; https is not supported.")
        var url: LoadTarget

        @Option(
            help: ArgumentHelp("Requests of all connections together, such as 54/s, 600/min.", valueName: "rate")
        )
        var rate: RequestLimit = .off

        @OptionGroup var connections: ConnectionOptions
        @OptionGroup var load: LoadOptions

        func run() async throws {
            try await load.run(.ping, stages: connections.stages(load), [url]) { plan in
                if case .rate(let count, let period) = rate {
                    plan.rate = Double(count) / (period.duration / .seconds(1))
                }
            }
        }
    }

    struct Range: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Asks for random ranges of one file on kept connections, as fast as they come.",
            discussion: """
                Expects 206 with exactly the bytes asked for.

                Without --compare only whole blocks of 16 KiB are compared. Ranges shorter than that hold none, those from \
                32 KiB on always do; the report says which part of the bytes was compared.
                """
        )

        @Argument(help: "The file, such as http://127.0.0.1:8080/media/film.mkv; https is not supported.")
        var url: LoadTarget

        @Option(help: ArgumentHelp("Of each range, such as 64KiB; the whole file if it is shorter.", valueName: "size"))
        var length = ByteSize(bytes: 1 << 20)

        @OptionGroup var connections: ConnectionOptions
        @OptionGroup var content: ContentOptions
        @OptionGroup var load: LoadOptions

        func validate() throws {
            guard length.bytes > 0 else { throw ValidationError("--length is at least 1B.") }
        }

        func run() async throws {
            try await load.run(
                .range(length: length.bytes),
                stages: connections.stages(load),
                [url],
                content: content
            )
        }
    }

    struct Players: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Watches films as people do: opens, looks for the index, plays, jumps, pauses, leaves, comes back.",
            discussion: """
                Each player asks for bytes=0- and hangs up after the head, reads the index near the end, then the film \
                in order, no faster than its buffer needs it. A stall is time with an empty buffer.

                The first film is the most popular, the second is watched half as often, and so on (--zipf).
                """
        )

        @Argument(help: "Films, such as http://127.0.0.1:8080/media/film.mkv; https is not supported.")
        var urls: [LoadTarget] = []

        @Option(help: ArgumentHelp("A file with the address of a film in each line.", valueName: "file"))
        var list: String?

        @Option(
            help: ArgumentHelp(
                "A folder of a gateway, whose films are watched, such as http://127.0.0.1:8080/media/.",
                valueName: "url"
            )
        )
        var listing: LoadTarget?

        @Option(help: ArgumentHelp("How many watch at a time, unless --stages says so.", valueName: "count"))
        var players = 10

        @Option(help: ArgumentHelp("What a second of film takes, such as 8Mbit/s.", valueName: "rate"))
        var bitRate = BitRate(megabits: 5)

        @OptionGroup(title: "Habits") var habits: HabitOptions
        @OptionGroup var content: ContentOptions
        @OptionGroup var load: LoadOptions

        func validate() throws {
            guard !urls.isEmpty || list != nil || listing != nil else {
                throw ValidationError("Name films, --list or --listing.")
            }
            guard players > 0 else { throw ValidationError("--players is at least 1.") }
        }

        func run() async throws {
            try await load.run(
                .players(habits.habits(bitRate), zipf: habits.zipf),
                stages: load.stages ?? LoadStages(players, for: load.duration.duration),
                films(),
                content: content
            )
        }

        /// Of all sources, in order.
        private func films() async throws -> [LoadTarget] {
            try await orExit {
                var films = urls
                if let list { films += try LoadCatalogue.read(file: list) }
                if let listing {
                    let server = try LoadServer(listing, allowsRemote: load.allowRemote)
                    films += try await LoadCatalogue.list(listing, on: server)
                }
                guard !films.isEmpty else { throw LoadRefusal("there are no films in \(list ?? "the list")", .failed) }
                return films
            }
        }
    }
}
