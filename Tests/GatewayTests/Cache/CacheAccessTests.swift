import ChunkCache
import Config
import Foundation
import Gateway
import Glibc
import SourceContract
import Testing

@Suite(.timeLimit(.minutes(1))) struct CacheAccessTests {
    private static let objects: [(source: String, path: String, size: Int64)] = [
        ("media", "äb %.mkv", 200_000), ("other", "c.mkv", 100_000),
    ]

    private static func config(_ cache: CacheUnderTest, _ address: ListenAddress, token: String? = nil) -> GatewayConfig
    {
        var config = GatewayConfig()
        config.cache.path = cache.store.settings.directory
        config.cache.size = ByteSize(bytes: cache.store.settings.size)
        config.cache.chunkSize = ByteSize(bytes: Int64(CacheUnderTest.chunkSize))
        config.admin.listen = address
        config.admin.tokenFile = token
        let sources = ["media", "other"].map { "[sources.\($0)]\nkind = \"disk\"\noptions.root = \"/\"\n" }.joined()
        let file = cache.directory.path("config.toml")
        _ = FileManager.default.createFile(atPath: file, contents: Data(sources.utf8))
        config.sources = ConfigLoader(kinds: ["disk"]).load(path: file).config.sources
        return config
    }

    /// What is done with a cache, whoever has it open.
    private static func operate(_ cache: any CacheOperations) async throws {
        let report = try await cache.report()
        #expect(report.isOpen)
        #expect(report.objects == 2)
        #expect(report.chunks == 6)
        let list = try await cache.items(CacheItemQuery(order: .name, limit: 1))
        #expect(list.total == 2)
        #expect(list.items.map(\.path) == ["äb %.mkv"])
        #expect(try await cache.items(CacheItemQuery(source: "media", prefix: Array("äb %".utf8))).total == 1)
        let film = PinScope.object(source: "media", path: Array("äb %.mkv".utf8))
        let pinned = try await cache.pin(film)
        #expect((pinned.objects, pinned.chunks, pinned.path) == (1, 4, "äb %.mkv"))
        #expect(try await cache.pins().pins == [pinned])
        #expect(try await cache.unpin(film) == pinned)
        let verified = try await cache.verify { _ in }
        #expect(verified.checked == 6)
        #expect(verified.corrupt == 0)
        let purged = try await cache.purge(.object(source: "media", path: Array("äb %.mkv".utf8)))
        #expect(purged.objects == 1)
        #expect(purged.chunks == 4)
        #expect(try await cache.items(CacheItemQuery()).items.map(\.path) == ["c.mkv"])
    }

    /// What is not done, whoever has it open.
    private static func expectRefusals(_ config: GatewayConfig) async throws {
        for scope in [PinScope.source("media"), .source("none")] {
            let error = await #expect(throws: CacheAccessError.self) {
                try await CacheAccess.with(config) { cache in
                    scope == .source("none") ? try await cache.pin(scope) : try await cache.unpin(scope)
                }
            }
            #expect(error?.code == .refused)
            let words = scope == .source("none") ? "there are media, other" : "that is not pinned"
            #expect(error?.description.contains(words) == true)
        }
    }

    @Test("a running gateway is asked")
    func running() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                let config = Self.config(cache, .tcp(host: "localhost", port: admin.port))
                try await CacheAccess.with(config, Self.operate)
                try await Self.expectRefusals(config)
            }
            #expect(cache.forgotten.value.contains(.object(source: "media", path: Array("äb %.mkv".utf8))))
        }
    }

    @Test("a gateway on a Unix socket is asked too")
    func unixSocket() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            let address = ListenAddress.unix(path: cache.directory.path("admin.sock"))
            try await cache.serve(at: address) { _ in
                try await CacheAccess.with(Self.config(cache, address), Self.operate)
            }
        }
    }

    @Test("the token is taken from its file")
    func token() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve(token: "secret") { admin in
                let (file, wrong) = (cache.directory.path("token"), cache.directory.path("wrong"))
                try Data("secret\n".utf8).write(to: URL(filePath: file))
                try Data("other\n".utf8).write(to: URL(filePath: wrong))
                let address = ListenAddress.tcp(host: "127.0.0.1", port: admin.port)
                try await CacheAccess.with(Self.config(cache, address, token: file), Self.operate)
                for path in [nil, wrong, cache.directory.path("none")] {
                    let config = Self.config(cache, address, token: path)
                    let error = await #expect(throws: CacheAccessError.self) {
                        try await CacheAccess.with(config) { try await $0.report() }
                    }
                    #expect(error?.code == .unavailable)
                }
            }
        }
    }

    @Test("a gateway that has another cache is left alone")
    func otherCache() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                var config = Self.config(cache, .tcp(host: "127.0.0.1", port: admin.port))
                config.cache.path = cache.directory.path("elsewhere")
                let other = config
                let error = await #expect(throws: CacheAccessError.self) {
                    try await CacheAccess.with(other) { try await $0.purge(.all) }
                }
                #expect(error?.code == .unavailable)
                #expect(cache.store.objects.count == 2)
            }
        }
    }

    @Test("a gateway that has started again, and knows nothing of what it is asked, has refused nothing")
    func restarted() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            let directory = cache.directory
            let registry = PrometheusRegistry()
            let without = AdminDispatcher(
                access: AdminAccess(token: nil, hosts: ["localhost"]),
                metrics: registry,
                configuration: "",
                readiness: { nil },
                logger: .silent
            )
            let config = Self.config(cache, .unix(path: directory.path("admin.sock")))
            try await cache.serve(at: .unix(path: directory.path("1.sock"))) { _ in
                try await CacheUnderTest.serve(without, registry, at: .unix(path: directory.path("2.sock"))) { _ in
                    try directory.link("admin.sock", to: directory.path("1.sock"))
                    let error = await #expect(throws: CacheAccessError.self) {
                        try await CacheAccess.with(config) { cache in
                            try directory.delete("admin.sock")
                            try directory.link("admin.sock", to: directory.path("2.sock"))
                            _ = try await cache.report()
                        }
                    }
                    #expect(error?.code == .unavailable)
                    #expect(error?.description.contains("404") == true)
                }
            }
        }
    }

    @Test("a cache that nobody has is opened, and what is purged of it stays purged")
    func nobody() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            cache.store.close()
            let config = Self.config(cache, .unix(path: cache.directory.path("none.sock")))
            // A process has the lock for as long as it has the store.
            let copy = cache.directory.path("copy")
            try FileManager.default.copyItem(atPath: config.cache.path, toPath: copy)
            var other = config
            other.cache.path = copy
            try await CacheAccess.with(other, Self.operate)
            try await Self.expectRefusals(other)
            let left = try await CacheAccess.with(other) { try await $0.items(CacheItemQuery()) }
            #expect(left.items.map(\.path) == ["c.mkv"])
        }
    }

    @Test("a cache gets chunks of another size once nobody has it")
    func rebuild() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            var config = Self.config(cache, .unix(path: cache.directory.path("none.sock")))
            config.cache.chunkSize = ByteSize(bytes: 128 << 10)
            config.cache.minFreeDisk = ByteSize(bytes: 0)
            let held = config
            let error = await #expect(throws: CacheAccessError.self) { try await CacheAccess.rebuild(held) { _ in } }
            #expect(error?.code == .inUse)
            #expect(error?.description.contains("stop the gateway") == true)

            cache.store.close()
            config.cache.path = cache.directory.path("copy")
            try FileManager.default.copyItem(atPath: held.cache.path, toPath: config.cache.path)
            let free = config
            let other = await #expect(throws: CacheAccessError.self) {
                try await CacheAccess.with(free) { try await $0.report() }
            }
            #expect(other?.description.contains("`media-gateway cache rebuild`") == true)
            let seen = Observed<[Int]>([])
            let report = try await CacheAccess.rebuild(free) { read in seen.update { $0.append(read.checked) } }
            #expect(seen.value == Array(1...6))
            #expect(CacheText.text(report) == "chunks were of 64.0 KiB and are of 128 KiB: 3 chunks, 293 KiB\n")
            let after = try await CacheAccess.with(free) { try await $0.report() }
            #expect((after.chunks, after.objects, after.chunkSize) == (3, 2, 128 << 10))
            let again = try await CacheAccess.rebuild(free) { _ in }
            #expect(CacheText.text(again) == "chunks are of 128 KiB already: nothing to do\n")
        }
    }

    @Test("a rebuild that is cancelled leaves the cache as it was, and one without a cache says so")
    func noRebuild() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            cache.store.close()
            var config = Self.config(cache, .unix(path: cache.directory.path("none.sock")))
            config.cache.path = cache.directory.path("copy")
            config.cache.minFreeDisk = ByteSize(bytes: 0)
            let missing = config
            let error = await #expect(throws: CacheAccessError.self) { try await CacheAccess.rebuild(missing) { _ in } }
            #expect(error?.code == .missing)
            try FileManager.default.copyItem(atPath: cache.store.settings.directory, toPath: config.cache.path)
            let unchanged = config
            config.cache.chunkSize = ByteSize(bytes: 128 << 10)
            let changed = config
            let rebuilding = Task {
                try await CacheAccess.rebuild(changed) { read in
                    if read.checked == 2 { withUnsafeCurrentTask { $0?.cancel() } }
                }
            }
            await #expect(throws: CancellationError.self) { try await rebuilding.value }
            let report = try await CacheAccess.with(unchanged) { try await $0.report() }
            #expect(report.chunks == 6)
        }
    }

    @Test("a cache that a silent process has is in use")
    func inUse() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            let config = Self.config(cache, .tcp(host: "127.0.0.1", port: 0))
            let error = await #expect(throws: CacheAccessError.self) {
                try await CacheAccess.with(config) { try await $0.report() }
            }
            #expect(error?.code == .inUse)
            #expect(error?.description.contains(config.cache.path) == true)
        }
    }

    @Test("where there is no cache, none is made by looking for it")
    func missing() async throws {
        try await withTemporaryDirectory { directory in
            var config = GatewayConfig()
            config.cache.path = directory.path("cache")
            config.admin.listen = .unix(path: directory.path("none.sock"))
            let fixed = config
            let error = await #expect(throws: CacheAccessError.self) {
                try await CacheAccess.with(fixed) { try await $0.report() }
            }
            #expect(error?.code == .missing)
            #expect(!FileManager.default.fileExists(atPath: config.cache.path))
        }
    }

    @Test(
        "an answer is whole, or it is none",
        arguments: [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", true),
            ("HTTP/1.0 404 No\r\ncontent-length:0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", false), ("HTTP/1.1 200 OK\r\n", false), ("", false),
            ("SSH-2.0-OpenSSH\r\n\r\n", false), ("HTTP/1.1 x\r\n\r\n", false),
        ]
    )
    func answers(text: String, isWhole: Bool) {
        #expect((AdminClient.Answer(Array(text.utf8)) != nil) == isWhole)
    }
}
