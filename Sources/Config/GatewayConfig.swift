/// What the main file says, in the gateway's own types. `GatewayConfig()` is the built-in configuration.
package struct GatewayConfig: Sendable {
    package var server = Server()
    package var admin = Admin()
    package var cache = Cache()
    package var limits = Limits()
    package var compat = Compat()
    package var log = Log()
    /// Absolute, once loaded.
    package var pluginsDirectory = "plugins.d"
    /// Those of the main file, then those of the plugins directory, each in byte order of their names.
    package var sources: [SourceConfig] = []

    package init() {}

    /// `[server]`: the data listener.
    package struct Server: Sendable, Equatable {
        /// At least one.
        package var listen: [ListenAddress] = [.tcp(host: "127.0.0.1", port: 8080)]
        /// The node's name in Cache-Status; empty means the host's name.
        package var name = ""
        /// Whose word is taken for the address of a client.
        package var trustedProxies: [AddressRange] = []
        /// From the request head to the first byte, everything included.
        package var firstByteDeadline: Duration = .seconds(20)
        /// How long open bodies may go on after a stop was asked for.
        package var drainDeadline: Duration = .seconds(60)

        package init() {}
    }

    /// `[admin]`: health, metrics and the admin interface.
    package struct Admin: Sendable, Equatable {
        package var listen: ListenAddress = .tcp(host: "127.0.0.1", port: 9080)
        /// The absolute path of the file with the token. Always there if `listen` is open to other machines.
        package var tokenFile: String?

        package init() {}
    }

    /// `[cache]`: the chunk cache, one for all sources that are cached.
    package struct Cache: Sendable, Equatable {
        /// Which chunk leaves when the cache is full.
        package enum Policy: String, Sendable, CaseIterable {
            case s3FIFO = "s3-fifo"
            case viewers
            case lru
        }

        /// What is let into the cache.
        package enum Admission: String, Sendable, CaseIterable {
            case always
            /// Chunks that are asked for again, and the first and last ones of an object.
            case secondHit = "second-hit"
        }

        /// What a crash of the machine may cost.
        package enum Sync: String, Sendable, CaseIterable {
            /// The cache.
            case relaxed
            /// The last moments of it.
            case strict
        }

        package var enabled = true
        /// Absolute, once loaded.
        package var path = "var/cache"
        /// At least eight chunks.
        package var size = ByteSize(bytes: 10 << 30)
        /// What a cache that has reached its size keeps of that; the rest makes room for what comes.
        package var lowMark = Percentage(99)
        /// A power of two from 64 KiB to 16 MiB.
        package var chunkSize = ByteSize(bytes: 1 << 20)
        package var policy = Policy.s3FIFO
        package var admission = Admission.always
        /// How long after it was fetched a chunk may be used; `nil` is for ever.
        package var maxAge: Duration? = .seconds(30 * 86400)
        /// What the cache leaves free of the file system it is on.
        package var minFreeDisk = ByteSize(bytes: 1 << 30)
        /// What may be pinned of the cache; at most nine tenths of it.
        package var pinBudget = CachePart.percent(Percentage(25))
        /// How fast all that is kept is read and checked, over and over; `nil`: not at all.
        package var scrubRate: ByteRate? = ByteRate(bytesPerSecond: 8 << 20)
        package var sync = Sync.relaxed

        package init() {}
    }

    /// `[limits]`
    package struct Limits: Sendable, Equatable {
        /// The most connections to the data listener at a time.
        package var connections = 4000
        /// How often one address may ask for something that nobody here knows yet.
        package var resolvePerIP = RequestLimit.rate(10, per: .minute)

        package init() {}
    }

    /// `[compat]`: the routes of the backend that this gateway replaces.
    package struct Compat: Sendable, Equatable {
        /// The first segments of their paths. No source is mounted there while they are enabled.
        package static let segments = [
            "add", "deselect", "details", "detailsepisode", "downloadsInfo", "metadata", "remove", "stream",
            "streamfile", "subtitles",
        ]

        package var enabled = true

        package init() {}
    }

    /// `[log]`
    package struct Log: Sendable, Equatable {
        package enum Level: String, Sendable, CaseIterable {
            case trace
            case debug
            case info
            case notice
            case warning
            case error
            case critical
        }

        package enum Format: String, Sendable, CaseIterable {
            /// Text on a terminal, JSON elsewhere.
            case auto
            case text
            case json
        }

        /// Where the line of each request goes.
        package enum Access: Sendable, Hashable {
            case standardOutput
            case off
            /// An absolute path.
            case file(String)
        }

        package var level = Level.info
        package var format = Format.auto
        /// A request that waited longer than this for its first byte and its source is worth a warning.
        package var slowRequest: Duration = .seconds(1)
        package var access = Access.standardOutput

        package init() {}
    }
}

extension GatewayConfig.Log.Access: CustomStringConvertible {
    /// As configuration writes it.
    package var description: String {
        switch self {
        case .standardOutput: "-"
        case .off: ""
        case .file(let path): path
        }
    }
}
