import ArgumentParser
import Foundation
import Gateway

struct CacheCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache",
        abstract: "Looks at the chunk cache, empties it, checks it, fills it, keeps things in it, changes its chunks.",
        discussion: """
            Asks the running gateway, which it finds by the configuration; if none runs, opens the cache itself. For rebuild \
            none may run.

            Exits with 0 when all is well, 1 if verify found corrupt chunks, a pin was refused, there was none to end, ls or \
            purge named a source that there is not or an object could not be warmed, 64 for wrong usage, 66 if a list cannot \
            be read, 69 if the cache or the gateway cannot be used, 75 if another process has the cache and no gateway answers, 78 for a bad \
            configuration, 128 and the signal's number if interrupted.
            """,
        subcommands: [
            Stat.self, List.self, Purge.self, Pin.self, Unpin.self, Pins.self, Warm.self, Verify.self, Rebuild.self,
        ]
    )

    struct Stat: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prints how full the cache is and what it has done."
        )

        @OptionGroup var options: ConfigOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let report = try await withCache(options) { try await $0.report() }
            output.print(report, CacheText.text(report))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(commandName: "ls", abstract: "Lists the objects in the cache.")

        @Option(help: "Only objects of this source.")
        var source: String?

        @Option(help: "Only objects whose path begins like this, letter by letter.")
        var prefix: String?

        @Option(
            help: """
                The order: bytes, name, chunks, hits (since the start, in chunks), heat (hits lately) or age (the oldest \
                first).
                """
        )
        var sort = CacheItemQuery.Order.bytes

        @Option(help: "How many objects at most, up to \(CacheItemQuery.limits.upperBound).")
        var limit = 100

        @OptionGroup var options: ConfigOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard CacheItemQuery.limits.contains(limit) else {
                throw ValidationError("--limit is a number from 1 to \(CacheItemQuery.limits.upperBound).")
            }
        }

        func run() async throws {
            let query = CacheItemQuery(source: source, prefix: pathBytes(prefix ?? ""), order: sort, limit: limit)
            let list = try await withCache(options) { try await $0.items(query) }
            output.print(list, CacheText.text(list))
        }
    }

    struct Purge: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Removes objects from the cache; no new request finds them when it is done.",
            discussion: """
                media-gateway cache purge media films/one.mkv     one object
                media-gateway cache purge media films/ --prefix   everything whose path begins like this
                media-gateway cache purge media                   everything of a source
                media-gateway cache purge --all                   everything

                With --soft everything stays, and the source is asked before it is used again.
                """
        )

        @Argument(help: "The source's name.")
        var source: String?

        @Argument(help: "The path within the source, as the source has it: not percent-encoded.")
        var path: String?

        @Flag(help: "Every object whose path begins with PATH, letter by letter.")
        var prefix = false

        @Flag(help: "Everything in the cache.")
        var all = false

        @Flag(help: "Keep it, and ask the source before it is used again.")
        var soft = false

        @OptionGroup var options: ConfigOptions
        @OptionGroup var output: OutputOptions

        private var scope: PurgeScope? {
            switch (source, path.map(pathBytes), prefix, all) {
            case (nil, nil, false, true): .all
            case (let source?, nil, false, false): .source(source)
            case (let source?, let path?, true, false) where !path.isEmpty: .prefix(source: source, path: path)
            case (let source?, let path?, false, false) where !path.isEmpty: .object(source: source, path: path)
            default: nil
            }
        }

        func validate() throws {
            guard scope == nil else { return }
            throw ValidationError("Name a source, a source and a path, a source, a path and --prefix, or --all alone.")
        }

        func run() async throws {
            guard let scope else { return }
            let report = try await withCache(options) { try await $0.purge(scope, isSoft: soft) }
            output.print(report, soft ? CacheText.softText(report) : CacheText.text(report))
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Reads every chunk and drops those that are not what was stored; exits with 1 if there were any."
        )

        @OptionGroup var options: ConfigOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let bar = ProgressBar()
            let report = try await untilInterrupted {
                try await withCache(options) {
                    try await $0.verify { report in
                        bar.show { CacheText.progress(report, elapsed: $0, width: $1) }
                    }
                }
            }
            bar.end()
            output.print(report, CacheText.text(report))
            if report.corrupt > 0 { throw ExitCode.failure }
        }
    }
}

extension CacheCommand {
    struct Rebuild: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Gives the cache chunks of another size, and keeps what is in it.",
            discussion: """
                Stop the gateway, set cache.chunk_size, run this, start the gateway. Without it the gateway would begin a new \
                cache.

                It also makes a file short again that is longer than a lower cache.size wants.

                Neighbours are joined where all of a larger chunk is there, or chunks are split. The new database is written \
                beside the old one, so that there has to be room for both, and takes its place at the end: until then, \
                whatever happens, the old one stays.
                """
        )

        @OptionGroup var options: ConfigOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let bar = ProgressBar()
            let report = try await untilInterrupted {
                try await withCacheConfig(options) { config in
                    try await CacheAccess.rebuild(config) { report in
                        bar.show { CacheText.progress(report, elapsed: $0, width: $1) }
                    }
                }
            }
            bar.end()
            output.print(report, CacheText.text(report))
        }
    }

    struct Pin: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Keeps things in the cache: they are not evicted.",
            discussion: """
                media-gateway cache pin media/films/one.mkv       one object
                media-gateway cache pin media/films/              everything below a folder
                media-gateway cache pin media films/o --prefix    everything whose path begins like this
                media-gateway cache pin media                     everything of a source

                What is there of them, and what comes, is kept as far as cache.pin_budget and nine tenths of the source's \
                cache_size go, over restarts too. A pin of more than there is room for is refused. A purge, a new \
                revision and cache.max_age take away what is pinned, too.
                """
        )

        @OptionGroup var what: PinOptions
        @OptionGroup var options: ConfigOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            guard let scope = what.scope else { return }
            let report = try await withCache(options) { try await $0.pin(scope) }
            output.print(report, CacheText.pinText(report))
        }
    }

    struct Unpin: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ends a pin, named as it was pinned; nothing is removed by that."
        )

        @OptionGroup var what: PinOptions
        @OptionGroup var options: ConfigOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            guard let scope = what.scope else { return }
            let report = try await withCache(options) { try await $0.unpin(scope) }
            output.print(report, CacheText.unpinText(report))
        }
    }

    struct Pins: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists what is pinned.")

        @OptionGroup var options: ConfigOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let list = try await withCache(options) { try await $0.pins() }
            output.print(list, CacheText.text(list))
        }
    }
}

/// What a pin is about.
struct PinOptions: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "A source's name, with a path behind it or not; a slash at the end means all below that folder.",
            valueName: "source[/path]"
        )
    )
    var source: String

    @Argument(help: "The path, if it is not told with the source: as the source has it, not percent-encoded.")
    var path: String?

    @Flag(help: "Every object whose path begins with PATH, letter by letter.")
    var prefix = false

    var scope: PinScope? { PinScope(source, path: path, isPrefix: prefix) }

    func validate() throws {
        guard scope == nil else { return }
        throw ValidationError("Name a source, or a source and a path; --prefix needs a path.")
    }
}

struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON.")
    var json = false

    func print(_ value: some Encodable, _ text: String) {
        Swift.print(json ? CacheText.json(value) : text, terminator: "")
    }
}

extension CacheItemQuery.Order: ExpressibleByArgument {}

/// Paths within a source have no slash in front, though people write one.
private func pathBytes(_ path: String) -> [UInt8] {
    Array((path.hasPrefix("/") ? path.dropFirst() : path[...]).utf8)
}
