import ChunkCache
import Config
import Foundation
import Gateway
import NIOPosix
import SourceContract
import SourcePlugins
import Testing

@Suite(.timeLimit(.minutes(2))) struct WarmingTests {
    private static let size: Int64 = 1_000_000

    /// The sources that names are looked up in.
    private static func sources() throws -> [SourceConfig] {
        let text = [("media", "/media"), ("root", "/")].map { name, mount in
            "[sources.\(name)]\nkind = \"disk\"\nmount = \"\(mount)\"\noptions.root = \"/\"\n"
        }
        return try withTemporaryFile(text.joined()) { ConfigLoader(kinds: ["disk"]).load(path: $0).config.sources }
    }

    private static func withTemporaryFile<Value>(_ text: String, _ body: (String) throws -> Value) throws -> Value {
        let file = FileManager.default.temporaryDirectory.appending(path: "warm.\(UUID().uuidString).toml")
        try Data(text.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try body(file.path(percentEncoded: false))
    }

    /// A gateway with a cache in front of a source with two films and an empty file.
    private static func withGateway(
        cacheSize: Int64 = 64 << 20,
        admitsOnSecondHit: Bool = false,
        _ body: @Sendable (ListenAddress, SyntheticSource, ChunkStore) async throws -> Void
    ) async throws {
        let source = SyntheticSource()
        for name in ["one.mkv", "ä b.mkv", "odd.mkv"] { try source.put(name, size: size) { $0.validity = .immutable } }
        try source.put("empty", size: 0)
        try source.put("vague.mkv", size: 1000) { $0.hasRevision = false }
        let pool = NIOThreadPool(numberOfThreads: 2)
        pool.start()
        try await withTemporaryDirectory { directory in
            var settings = ChunkStoreSettings(directory: directory.path("cache"), size: cacheSize, chunkSize: 64 << 10)
            settings.admitsOnSecondHit = admitsOnSecondHit
            let cache = try ChunkStore(settings, pool: pool, logger: .silent)
            defer { cache.close() }
            var options = TestGateway.Options()
            options.cache = cache
            try await TestGateway.with(source, options) { gateway in
                try await body(.tcp(host: "127.0.0.1", port: gateway.port), source, cache)
            }
        }
        try await pool.shutdownGracefully()
    }

    @Test(
        "what is named is in the cache afterwards, what was there is not read again, and what fails does not keep the rest"
    )
    func warm() async throws {
        let sources = try Self.sources()
        try await Self.withGateway { address, source, cache in
            let names = ["media/one.mkv", "/media/%C3%A4%20b.mkv", "media/none.mkv", "wrong/one.mkv", "media/empty"]
            let (seen, progress) = (Observed<[WarmResult]>([]), Observed<[WarmProgress]>([]))
            let warming = CacheWarming(address)
            let report = try await warming.run(
                names,
                sources: sources,
                progress: { step in progress.update { $0.append(step) } },
                ended: { result in seen.update { $0.append(result) } }
            )
            #expect(report.results.map(\.name) == names)
            #expect(report.results.map(\.outcome) == [.stored, .stored, .failed, .failed, .present])
            #expect(report.results.map(\.bytes) == [Self.size, Self.size, 0, 0, 0])
            #expect(report.results[2].error?.hasPrefix("the gateway answers 404: ") == true)
            #expect(report.results[3].error == "no source is named wrong; there are media, root")
            #expect(seen.value == report.results)
            #expect(progress.value.last?.done == 5)
            #expect(progress.value.allSatisfy { $0.objectBytes <= $0.objectSize ?? 0 })
            await cache.settle()
            #expect(cache.usage.chunks == 32)
            let bytes = source.counts.value.bytes
            let again = try await warming.run(["media/ä b.mkv", "/media/one.mkv"], sources: sources)
            #expect(again.results.map(\.outcome) == [.present, .present])
            #expect(source.counts.value.bytes == bytes)
        }
    }

    @Test("a cache that stores what is asked for twice has it in the end")
    func secondHit() async throws {
        let sources = try Self.sources()
        try await Self.withGateway(admitsOnSecondHit: true) { address, _, _ in
            let report = try await CacheWarming(address, passes: 2).run(["media/one.mkv"], sources: sources)
            #expect(report.results.map(\.outcome) == [.stored])
            #expect(report.bytes >= Self.size)
        }
    }

    @Test("what the cache does not keep has failed, and what is never kept is not read")
    func notKept() async throws {
        let sources = try Self.sources()
        try await Self.withGateway(cacheSize: 400_000) { address, source, _ in
            let report = try await CacheWarming(address).run(["media/one.mkv", "media/vague.mkv"], sources: sources)
            #expect(report.results.map(\.outcome) == [.failed, .failed])
            #expect(report.results[0].error?.hasPrefix("read, and not kept: ") == true)
            #expect(report.results[1].error?.hasPrefix("the gateway does not keep it: ") == true)
            #expect(report.results.map(\.bytes) == [Self.size, 0])
            let told = try await CacheWarming(address, cacheSize: 400_000).run(["media/one.mkv"], sources: sources)
            #expect(told.results.map(\.bytes) == [0])
            #expect(told.results[0].error?.hasPrefix("larger than the cache: ") == true)
        }
    }

    @Test("an answer that breaks off has failed")
    func brokenOff() async throws {
        let sources = try Self.sources()
        try await Self.withGateway { address, source, _ in
            try source.update("odd.mkv") { $0.failure = (700_000, SourceError(.unavailable, "gone")) }
            let report = try await CacheWarming(address).run(["media/odd.mkv"], sources: sources)
            #expect(report.results.map(\.outcome) == [.failed])
            #expect(report.results.first?.error?.contains(" broke") == true)
        }
    }

    @Test("without a gateway nothing is done")
    func nobody() async throws {
        let error = await #expect(throws: CacheAccessError.self) {
            try await CacheWarming(.unix(path: "/nonexistent/gateway.sock")).run(["/a"], sources: [])
        }
        #expect(error?.code == .unavailable)
    }

    @Test("it ends when it is cancelled, also while nothing comes")
    func cancelled() async throws {
        let sources = try Self.sources()
        try await Self.withGateway { address, source, _ in
            let gate = Gate()
            defer { gate.open() }
            try source.update("odd.mkv") { $0.stall = (0, gate) }
            let warming = Task { try await CacheWarming(address).run(["media/odd.mkv"], sources: sources) }
            try await gate.untilWaiting()
            warming.cancel()
            await #expect(throws: CancellationError.self) { try await warming.value }
        }
    }

    @Test(
        "a name is a path of a URL, or a source and a path in it",
        arguments: [
            ("/media/a%20b.mkv?x=1", "/media/a%20b.mkv?x=1"), ("/ä b", "/%C3%A4%20b"), ("/a\"<#>", "/a%22%3C%23%3E"),
            ("media/a b/ä%.mkv", "/media/a%20b/%C3%A4%25.mkv"), ("media/a?b", "/media/a%3Fb"), ("root/a.mkv", "/a.mkv"),
            ("media/", nil), ("media", nil), ("/", nil), ("/media/films/", nil), ("none/a", nil), ("", nil),
        ] as [(String, String?)]
    )
    func targets(name: String, path: String?) throws {
        let sources = try Self.sources()
        #expect((try? WarmTarget(name, sources: sources))?.path == path)
    }

    @Test("a list is lines, without what is empty or a remark")
    func list() {
        #expect(WarmTarget.names(in: "#EXTM3U\r\nmedia/a\r\n\n  /b c \t\n# x\n") == ["media/a", "/b c"])
    }

    @Test("what is read keeps to the rate, and makes up for no more than a second")
    func pace() throws {
        var pace = RatePace(try #require(ByteRate("1000B/s")))
        #expect(pace.delay(after: 1000, at: .zero) == .seconds(1))
        #expect(pace.delay(after: 500, at: .seconds(1)) == .milliseconds(500))
        #expect(pace.delay(after: 0, at: .milliseconds(1500)) == .zero)
        #expect(pace.delay(after: 500, at: .seconds(10)) == .zero)
        #expect(pace.delay(after: 500, at: .seconds(10)) == .zero)
        #expect(pace.delay(after: 250, at: .seconds(10)) == .milliseconds(250))
        #expect(pace.delay(after: Int.max, at: .seconds(10)) > .seconds(100_000))
    }

    @Test("results are lines, and progress a bar")
    func text() {
        let results = [
            WarmResult(name: "media/a\u{1B}", outcome: .stored, bytes: 2 << 20),
            WarmResult(name: "/b", outcome: .present),
            WarmResult(name: "c/d", outcome: .failed, error: "no\nsource"),
        ]
        #expect(
            results.map { CacheText.line($0) } == [
                "stored   media/a\u{FFFD}, 2.0 MiB\n", "present  /b\n", "failed   c/d: no\u{FFFD}source\n",
            ]
        )
        #expect(
            CacheText.text(WarmReport(results: results, seconds: 61))
                == "warmed 1 object, 2.0 MiB in 1:01; 1 there before, 1 failed\n"
        )
        let progress = WarmProgress(
            done: 1,
            total: 4,
            bytes: 30 << 20,
            name: "media/film.mkv",
            objectBytes: 10 << 20,
            objectSize: 20 << 20
        )
        let text = "1/4 objects  30.0 MiB  3.0 MiB/s  media/film.mkv 50 %"
        #expect(CacheText.progress(progress, elapsed: .seconds(10), width: nil) == text)
        #expect(
            CacheText.progress(progress, elapsed: .seconds(10), width: text.count + 20) == "[######----------] \(text)"
        )
        let over = WarmProgress(done: 4, total: 4, bytes: 0)
        #expect(CacheText.progress(over, elapsed: .zero, width: nil) == "4/4 objects  0 B")
    }
}
