import ChunkCache
import Config
import Gateway
import Logging
import NIOCore
import NIOPosix
import SourceContract
import SourcePlugins
import Testing

private let size: Int64 = 3_000_000
private let film = PatternBytes("film.mkv")

@Suite("Answers through the chunk cache", .timeLimit(.minutes(4)))
struct CachedDeliveryTests {
    /// A gateway with a cache of 64 KiB chunks in front of `source`, which has one film.
    private func withCache(
        size cacheSize: Int64 = 64 << 20,
        reads: ResidencyMemory = ResidencyMemory(),
        lookUps: ResidencyMemory = ResidencyMemory(trust: 4),
        _ options: TestGateway.Options = TestGateway.Options(),
        _ body: @Sendable (TestGateway, SyntheticSource, ChunkStore) async throws -> Void
    ) async throws {
        let source = SyntheticSource()
        try source.put("film.mkv", size: size) { $0.validity = .immutable }
        let pool = NIOThreadPool(numberOfThreads: 2)
        pool.start()
        try await withTemporaryDirectory { directory in
            let settings = ChunkStoreSettings(directory: directory.path("cache"), size: cacheSize, chunkSize: 64 << 10)
            let logger = Logger.silent
            let cache = try ChunkStore(settings, pool: pool, reads: reads, lookUps: lookUps, logger: logger)
            defer { cache.close() }
            var options = options
            options.cache = cache
            try await TestGateway.with(source, options) { gateway in try await body(gateway, source, cache) }
        }
        try await pool.shutdownGracefully()
    }

    private static func range(_ range: Range<Int64>) -> [String] {
        ["Range: bytes=\(range.lowerBound)-\(range.upperBound - 1)"]
    }

    @Test("the second request for a range is a hit, and reads nothing from the source")
    func secondRequest() async throws {
        try await withCache { gateway, source, cache in
            let client = try await gateway.client()
            for wanted in [0..<1, 65_535..<65_537, 100_000..<900_000, 2_999_999..<3_000_000] as [Range<Int64>] {
                let first = try await client.request("/media/film.mkv", fields: Self.range(wanted))
                #expect(first.status == 206)
                #expect(first.body == film.bytes(wanted))
                await cache.settle()
                let reads = source.counts.value.reads
                let second = try await client.request("/media/film.mkv", fields: Self.range(wanted))
                #expect(second["Cache-Status"] == "test; hit")
                #expect(second.body == film.bytes(wanted))
                #expect(second["Content-Range"] == first["Content-Range"])
                #expect(second["ETag"] == first["ETag"])
                #expect(second["Content-Type"] == first["Content-Type"])
                #expect(second["Content-Disposition"] == first["Content-Disposition"])
                #expect(source.counts.value.reads == reads)
            }
        }
    }

    /// The memory of a cache out of which parts have gone seconds after they were there.
    private static var short: ResidencyMemory {
        let time = Observed(UInt64(1_000_000))
        let memory = ResidencyMemory { time.value }
        memory.insert(0, 0)
        time.update { $0 += 3000 }
        memory.noteAbsent(0, 0)
        return memory
    }

    @Test("where memory is short, answers are hits all the same, of the same bytes")
    func shortMemory() async throws {
        try await withCache(reads: Self.short) { gateway, source, cache in
            #expect(cache.isMemoryShort)
            let client = try await gateway.client()
            _ = try await client.request("/media/film.mkv")
            await cache.settle()
            let (reads, hits) = (source.counts.value.reads, cache.counters.hits.value)
            for wanted in [0..<1, 65_535..<65_537, 100_000..<900_000, 2_999_999..<3_000_000] as [Range<Int64>] {
                // Twice: a request that is the last one again is answered another way.
                for _ in 0..<2 {
                    let hit = try await client.request("/media/film.mkv", fields: Self.range(wanted))
                    #expect(hit.status == 206)
                    #expect(hit["Cache-Status"] == "test; hit")
                    #expect(hit.body == film.bytes(wanted))
                }
            }
            let whole = try await client.request("/media/film.mkv")
            #expect(whole.body == film.bytes(0..<size))
            #expect(source.counts.value.reads == reads)
            // Nothing of the map is for the event loop.
            let object = try #require(cache.objects.first)
            let body = CachedBody(cache, object, upTo: size)
            #expect(body.copy(0..<1) == nil)
            #expect(body.send(0..<1, after: ByteBuffer(), to: -1) == .unavailable)
            // Two of the one-byte ranges' chunk, four, two of thirteen, two, and all of the whole.
            #expect(cache.counters.hits.value - hits == 2 * (1 + 2 + 13 + 1) + 46)
            await gateway.untilCounted(#"cache_served_bytes_total{tier="source"} \#(size)"#)
            await gateway.untilCounted(#"cache_served_bytes_total{tier="lmdb"} \#(2 * (1 + 2 + 800_000 + 1) + size)"#)
        }
    }

    @Test("memory that gets short in the middle of an answer changes none of its bytes, and makes none of them a miss")
    func shortMidway() async throws {
        let time = Observed(UInt64(1_000_000))
        let memory = ResidencyMemory { time.value }
        try await withCache(reads: memory) { gateway, source, cache in
            let client = try await gateway.client()
            _ = try await client.request("/media/film.mkv")
            await cache.settle()
            let (reads, hits) = (source.counts.value.reads, cache.counters.hits.value)
            try await client.setReading(false)
            // More than the sockets between the two hold.
            for _ in 0..<8 { try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\n\r\n") }
            await gateway.untilCounted(#"requests_in_flight{plane="data",route="media"} 1"#)
            memory.insert(0, 0)
            time.update { $0 += 3000 }
            memory.noteAbsent(0, 0)
            #expect(cache.isMemoryShort)
            try await client.setReading(true)
            for _ in 0..<8 { #expect(try await client.answer().body == film.bytes(0..<size)) }
            #expect(source.counts.value.reads == reads)
            #expect(cache.counters.bypassed.value == 0)
            await gateway.untilCounted(#"cache_served_bytes_total{tier="lmdb"} \#(8 * size)"#)
            #expect(cache.counters.hits.value - hits == 8 * 46)
        }
    }

    @Test("what answers wait for chunks that the cache has is counted as that", arguments: [true, false])
    func waits(isShort: Bool) async throws {
        try await withCache(reads: isShort ? Self.short : ResidencyMemory()) { gateway, _, cache in
            let none = "media_gateway_cache_wait_seconds_total{tier=\"lmdb\"} 0\n"
            let client = try await gateway.client()
            _ = try await client.request("/media/film.mkv")
            await cache.settle()
            await gateway.untilCounted("cache_served_bytes_total{tier=\"source\"} \(size)")
            #expect(gateway.registry.page().contains(none))
            _ = try await client.request("/media/film.mkv")
            await gateway.untilCounted("cache_served_bytes_total{tier=\"lmdb\"} \(size)")
            #expect(!gateway.registry.page().contains(none))
        }
    }

    @Test(
        "an answer that is so slow that pages of keys may have left memory meanwhile is made of hits, each counted once",
        arguments: [1, 2, 3, 5, 8, 13]
    )
    func slow(questions: UInt64) async throws {
        let asked = Observed(UInt64(0))
        // Every so many questions, all that was known is out of date.
        let forgetful = ResidencyMemory {
            1_000_000
                + asked.update { asked in
                    asked += 1
                    return asked / questions
                } * 10_000
        }
        try await withCache(lookUps: forgetful) { gateway, source, cache in
            let client = try await gateway.client()
            _ = try await client.request("/media/film.mkv")
            await cache.settle()
            let (reads, hits) = (source.counts.value.reads, cache.counters.hits.value)
            for wanted in [0..<1, 65_535..<65_537, 100_000..<900_000] as [Range<Int64>] {
                for _ in 0..<2 {
                    let hit = try await client.request("/media/film.mkv", fields: Self.range(wanted))
                    #expect(hit["Cache-Status"] == "test; hit")
                    #expect(hit.body == film.bytes(wanted))
                }
            }
            let whole = try await client.request("/media/film.mkv")
            #expect(whole.body == film.bytes(0..<size))
            #expect(!cache.isMemoryShort)
            #expect(source.counts.value.reads == reads)
            #expect(cache.counters.bypassed.value == 0)
            #expect(cache.counters.hits.value - hits == 2 * (1 + 2 + 13) + 46)
        }
    }

    @Test("whole objects, downloads and HTTP/1.0 get the same bytes hot as cold")
    func wholeObject() async throws {
        try await withCache { gateway, _, cache in
            for _ in 0..<2 {
                let client = try await gateway.client()
                let whole = try await client.request("/media/film.mkv")
                #expect(whole.status == 200)
                #expect(whole.body == film.bytes(0..<size))
                await cache.settle()
                let download = try await client.request("/media/film.mkv?download")
                #expect(download["Content-Disposition"]?.hasPrefix("attachment") == true)
                #expect(download.body == film.bytes(0..<size))
                let old = try await client.request("/media/film.mkv", version: "1.0")
                #expect(old["Connection"] == "close")
                #expect(old.body == film.bytes(0..<size))
            }
        }
    }

    @Test("many clients of one cold object have each byte read once")
    func crowd() async throws {
        try await withCache { gateway, source, _ in
            try await withThrowingTaskGroup(of: Void.self) { clients in
                for _ in 0..<50 {
                    clients.addTask {
                        let client = try await gateway.client()
                        let answer = try await client.request("/media/film.mkv")
                        #expect(answer.body == film.bytes(0..<size))
                    }
                }
                try await clients.waitForAll()
            }
            #expect(source.counts.value.bytes == size)
        }
    }

    @Test("a read is said to be for the client that asked, through the cache and past it")
    func readClients() async throws {
        let ask: @Sendable (TestGateway, SyntheticSource) async throws -> Void = { gateway, source in
            let client = try await gateway.client()
            for (number, address) in ["192.0.2.7", "2001:db8::1", "2001:db8::2"].enumerated() {
                let start = Int64(number) * 655_360
                let fields = Self.range(start..<start + 10) + ["X-Forwarded-For: \(address)"]
                #expect(try await client.request("/media/film.mkv", fields: fields).status == 206)
            }
            // Of IPv6, the network of a household counts as one client.
            let household = ReadClient([0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0])
            #expect(source.counts.value.clients == [ReadClient([192, 0, 2, 7]), household, household])
        }
        var options = TestGateway.Options()
        options.trustedProxies = [try #require(AddressRange("127.0.0.0/8"))]
        try await withCache(options) { gateway, source, _ in try await ask(gateway, source) }
        let source = SyntheticSource()
        try source.put("film.mkv", size: size)
        try await TestGateway.with(source, options) { gateway in try await ask(gateway, source) }
    }

    @Test("hits, pings and misses sent ahead on one connection are answered in turn")
    func pipelined() async throws {
        try await withCache { gateway, _, cache in
            let client = try await gateway.client()
            _ = try await client.request("/media/film.mkv", fields: Self.range(0..<1_500_000))
            await cache.settle()
            let get = { (range: String) in
                "GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\nRange: bytes=\(range)\r\n\r\n"
            }
            let ping = "GET /ping HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
            try await client.send(get("5-1000000") + ping + get("2000000-2500000") + get("7-9") + ping + get("-4"))
            #expect(try await client.answer().body == film.bytes(5..<1_000_001))
            #expect(try await client.answer().text == "pong")
            #expect(try await client.answer().body == film.bytes(2_000_000..<2_500_001))
            #expect(try await client.answer().body == film.bytes(7..<10))
            #expect(try await client.answer().text == "pong")
            #expect(try await client.answer().body == film.bytes(size - 4..<size))
        }
    }

    @Test("a range asked for after others on a connection is answered as it is on a new one")
    func otherRanges() async throws {
        try await withCache { gateway, _, cache in
            _ = try await gateway.client().request("/media/film.mkv")
            await cache.settle()
            let kept = try await gateway.client()
            let ranges = [
                "bytes=0-9", "bytes=1000000-1999999", "bytes=2999990-", "bytes=7-7", "bytes=7-9999999", "bytes=-5",
                "bytes=3000000-", "bytes=8-7", "bytes=1-2,5-6", "items=1-2", "bytes=0-9",
            ]
            for (index, range) in ranges.enumerated() {
                let fields = ["Range: \(range)", "User-Agent: \(index % 3 == 2 ? "Lavf" : "VLC")"]
                let again = try await kept.request("/media/film.mkv", fields: fields)
                let fresh = try await gateway.client().request("/media/film.mkv", fields: fields)
                #expect(again.status == fresh.status, "\(range)")
                #expect(again.body == fresh.body, "\(range)")
                let ofTheMoment = ["Date", "X-Request-Id"]
                let heads = [again, fresh].map { answer in
                    answer.fields.filter { !ofTheMoment.contains($0.name) }.map { "\($0.name): \($0.value)" }
                }
                #expect(heads[0] == heads[1], "\(range)")
                #expect(again["X-Request-Id"] != fresh["X-Request-Id"])
            }
        }
    }

    @Test("of the hits of a connection only the first is dispatched, whichever way the others come")
    func repeatedHits() async throws {
        try await withCache { gateway, _, cache in
            _ = try await gateway.client().request("/media/film.mkv")
            await cache.settle()
            for version in ["1.1", "1.0"] {
                let head = { (range: String) in
                    "GET /media/film.mkv HTTP/\(version)\r\nHost: h\r\nrange:  \(range) \r\nConnection: keep-alive\r\n\r\n"
                }
                let client = try await gateway.client()
                try await client.send(head("bytes=0-9"))
                #expect(try await client.answer().body == film.bytes(0..<10))
                let dispatched = gateway.dispatched
                // Several at once, and one in two pieces.
                try await client.send(head("bytes=5-5") + head("bytes=100000-900000") + head("bytes=2999999-"))
                #expect(try await client.answer().body == film.bytes(5..<6))
                #expect(try await client.answer().body == film.bytes(100_000..<900_001))
                #expect(try await client.answer().body == film.bytes(2_999_999..<size))
                #expect(gateway.dispatched == dispatched)
                let halves = head("bytes=7-8")
                try await client.send(String(halves.prefix(50)))
                try await client.send(String(halves.dropFirst(50)))
                #expect(try await client.answer().body == film.bytes(7..<9))
                try await client.send(head("bytes=0-1\r\nRange: bytes=2-3"))
                let several = try await client.answer()
                #expect(several.status == 200)
                #expect(several.body == film.bytes(0..<size))
                // The last one of a client that sends nothing more.
                try await client.send(head("bytes=40-49"))
                try await client.closeOutput()
                let last = try await client.answer()
                #expect(last.body == film.bytes(40..<50))
            }
        }
    }

    @Test("what differs from the last hit in more than its range is judged by itself")
    func otherRequests() async throws {
        try await withCache { gateway, source, cache in
            try source.put("other.mkv", size: 1000) { $0.validity = .immutable }
            let client = try await gateway.client()
            _ = try await client.request("/media/film.mkv")
            await cache.settle()
            func hit(_ range: Range<Int64>) async throws {
                let answer = try await client.request("/media/film.mkv", fields: Self.range(range))
                #expect(answer["Cache-Status"] == "test; hit")
                #expect(answer.body == film.bytes(range))
            }
            try await hit(10..<20)
            let other = try await client.request("/media/other.mkv", fields: Self.range(10..<20))
            #expect(other.body == PatternBytes("other.mkv").bytes(10..<20))
            try await hit(30..<40)
            let changed = try await client.request(
                "/media/film.mkv",
                fields: Self.range(50..<60) + ["If-Range: \"another\""]
            )
            #expect(changed.status == 200)
            #expect(changed.body == film.bytes(0..<size))
            let head = try await client.request("/media/film.mkv", method: "HEAD", fields: Self.range(50..<60))
            #expect(head.status == 200)
            try await hit(70..<80)
            let last = try await client.request("/media/film.mkv", fields: Self.range(1..<5) + ["Connection: close"])
            #expect(last["Connection"] == "close")
            #expect(last.body == film.bytes(1..<5))
        }
    }

    @Test("a range asked for again after a purge comes from the source")
    func purgedBetween() async throws {
        try await withCache { gateway, source, cache in
            let client = try await gateway.client()
            for _ in 0..<2 {
                _ = try await client.request("/media/film.mkv", fields: Self.range(0..<10))
                await cache.settle()
            }
            let reads = source.counts.value.reads
            cache.purge { _ in true }
            // Whoever purges in the gateway has the object looked up anew; here its chunks have to be gone.
            await cache.settle()
            let answer = try await client.request("/media/film.mkv", fields: Self.range(20..<30))
            #expect(answer["Cache-Status"] == "test; fwd=miss")
            #expect(answer.body == film.bytes(20..<30))
            #expect(source.counts.value.reads > reads)
        }
    }

    @Test("an answer of which the cache has only parts is exact and says so")
    func partial() async throws {
        try await withCache { gateway, _, cache in
            let client = try await gateway.client()
            for wanted in [0..<65_536, 200_000..<400_000, 1_000_000..<1_000_001] as [Range<Int64>] {
                _ = try await client.request("/media/film.mkv", fields: Self.range(wanted))
            }
            await cache.settle()
            let answer = try await client.request("/media/film.mkv")
            #expect(answer["Cache-Status"] == "test; fwd=partial")
            #expect(answer.body == film.bytes(0..<size))
        }
    }

    @Test("an object that changed while it was still believed cuts one answer, and the next one is right")
    func changedBehindTheCache() async throws {
        try await withCache { gateway, source, cache in
            let client = try await gateway.client()
            _ = try await client.request("/media/film.mkv", fields: Self.range(0..<65_536))
            await cache.settle()
            try source.update("film.mkv") { $0.generation = 1 }
            let cut = try await gateway.client()
            try await cut.send("GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            #expect(try await cut.untilClosed().count < size)
            let next = try await gateway.client()
            #expect(
                try await next.request("/media/film.mkv").body
                    == PatternBytes("film.mkv", generation: 1).bytes(0..<size)
            )
        }
    }

    @Test("a client that closes its side after asking gets the whole hit")
    func halfClosed() async throws {
        try await withCache { gateway, _, cache in
            let warm = try await gateway.client()
            _ = try await warm.request("/media/film.mkv")
            await cache.settle()
            let client = try await gateway.client()
            try await client.setReading(false)
            try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            try await client.closeOutput()
            try await client.setReading(true)
            #expect(try await client.answer().body == film.bytes(0..<size))
        }
    }

    @Test("hits sent ahead on a connection whose client does not read for a while are answered in turn")
    func pipelinedWithoutReading() async throws {
        try await withCache { gateway, _, cache in
            let client = try await gateway.client()
            _ = try await client.request("/media/film.mkv")
            await cache.settle()
            try await client.setReading(false)
            // Some of the answers find a socket that takes less than their head.
            let ranges = (0..<2500).map { Int64($0) * 1000..<Int64($0) * 1000 + 4000 }
            for wanted in ranges {
                try await client.send(
                    "GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\n\(Self.range(wanted)[0])\r\n\r\n"
                )
            }
            try await client.setReading(true)
            for wanted in ranges { #expect(try await client.answer().body == film.bytes(wanted)) }
        }
    }

    @Test("what is read for a slow reader is counted as the source's, though it is sent from the cache")
    func slowReader() async throws {
        try await withCache { gateway, source, cache in
            let size: Int64 = 24_000_000
            try source.put("long", size: size) { $0.validity = .immutable }
            let client = try await gateway.client()
            try await client.setReading(false)
            try await client.send("GET /media/long HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            let none = #"cache_served_bytes_total{tier="lmdb"} 0"#
            while cache.counters.inserted.value < 4, !Task.isCancelled { await Task.yield() }
            try await client.setReading(true)
            #expect(try await client.answer().body == PatternBytes("long").bytes(0..<size))
            await gateway.untilCounted(#"cache_served_bytes_total{tier="source"} \#(size)"#)
            #expect(gateway.registry.page().contains(none))
            #expect(cache.counters.hits.value == 0)

            await cache.settle()
            _ = try await client.request("/media/long")
            while gateway.registry.page().contains(none), !Task.isCancelled { await Task.yield() }
        }
    }

    @Test("a reader that pauses while the cache turns over gets the right bytes when it goes on")
    func paused() async throws {
        // Room for 128 chunks of the film's 46 and those of others.
        try await withCache(size: 8 << 20) { gateway, source, cache in
            let warm = try await gateway.client()
            _ = try await warm.request("/media/film.mkv")
            await cache.settle()
            let client = try await gateway.client()
            try await client.setReading(false)
            // More than the sockets between the two hold.
            for _ in 0..<8 { try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\n\r\n") }
            await gateway.untilCounted(#"requests_in_flight{plane="data",route="media"} 1"#)
            for number in 0..<5 {
                try source.put("other\(number)", size: 5_000_000) { $0.validity = .immutable }
                let other = try await warm.request("/media/other\(number)")
                #expect(other.body == PatternBytes("other\(number)").bytes(0..<5_000_000))
                await cache.settle()
            }
            #expect(cache.counters.evictedForSpace.value > 46)
            try await client.setReading(true)
            for _ in 0..<8 { #expect(try await client.answer().body == film.bytes(0..<size)) }
            #expect(cache.counters.storeFailed.value == 0)
        }
    }

    @Test("an object that changed is sent as it is now, and the connection of the old one is cut, not mixed")
    func changed() async throws {
        try await withCache { gateway, source, cache in
            try source.update("film.mkv") { $0.validity = .recheck(after: .zero) }
            let client = try await gateway.client()
            _ = try await client.request("/media/film.mkv")
            await cache.settle()
            try source.update("film.mkv") { $0.generation = 1 }
            let answer = try await client.request("/media/film.mkv")
            #expect(answer.body == PatternBytes("film.mkv", generation: 1).bytes(0..<size))
            #expect(answer["ETag"] == "\"g1-3000000\"")
        }
    }

    @Test("a source that fails in the middle of a fill cuts every connection that waits for it")
    func failing() async throws {
        try await withCache { gateway, source, _ in
            try source.update("film.mkv") { $0.failure = (1_000_000, SourceError(.unavailable, "gone")) }
            for _ in 0..<2 {
                let client = try await gateway.client()
                try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
                await #expect(throws: RawClient.IncompleteAnswer.self) { try await client.answer() }
            }
            try source.update("film.mkv") { $0.failure = nil }
            let client = try await gateway.client()
            #expect(try await client.request("/media/film.mkv").body == film.bytes(0..<size))
        }
    }

    @Test("a source that fails before the first byte is an error answer, and the connection goes on")
    func unavailable() async throws {
        try await withCache { gateway, source, _ in
            try source.update("film.mkv") { $0.failure = (0, SourceError(.unavailable, "gone")) }
            let client = try await gateway.client()
            #expect(try await client.request("/media/film.mkv").status == 502)
            #expect(try await client.request("/ping").text == "pong")
        }
    }

    @Test("an object without a revision, or of unknown size, goes past the cache")
    func uncacheable() async throws {
        try await withCache { gateway, source, cache in
            try source.put("growing", size: 500_000) { $0.hasRevision = false }
            try source.put("live", size: 500_000) { $0.announcesSize = false }
            let client = try await gateway.client()
            for name in ["growing", "live", "growing"] {
                let answer = try await client.request("/media/\(name)")
                #expect(answer["Cache-Status"] == "test; fwd=bypass")
                #expect(answer.body == PatternBytes(name).bytes(0..<500_000))
            }
            await cache.settle()
            #expect(cache.counters.inserted.value == 0)
        }
    }

    @Test("clients that leave and come all the time never see another one's bytes")
    func descriptors() async throws {
        try await withCache { gateway, source, cache in
            let names = (0..<4).map { "film\($0)" }
            for name in names { try source.put(name, size: 2_000_000) { $0.validity = .immutable } }
            let warm = try await gateway.client()
            for name in names { _ = try await warm.request("/media/\(name)") }
            await cache.settle()
            try await withThrowingTaskGroup(of: Void.self) { clients in
                for worker in 0..<8 {
                    clients.addTask {
                        var random = SplitMix64(seed: UInt64(worker))
                        for _ in 0..<40 {
                            let name = names[Int(random.next() % 4)]
                            let start = Int64(random.next() % 1_900_000)
                            let end = min(start + Int64(random.next() % 900_000) + 1, 2_000_000)
                            let client = try await gateway.client()
                            if random.next() % 2 == 0 {
                                let answer = try await client.request("/media/\(name)", fields: Self.range(start..<end))
                                #expect(answer.body == PatternBytes(name).bytes(start..<end))
                            } else {
                                // Leaves in the middle, so that its descriptor is free while bytes are still to be sent.
                                try await client.send("GET /media/\(name) HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
                                try await client.untilReceived(1)
                            }
                            try await client.close()
                        }
                    }
                }
                try await clients.waitForAll()
            }
        }
    }

    @Test("a lease is held while a hit is sent")
    func lease() async throws {
        try await withCache { gateway, source, cache in
            try source.update("film.mkv") { $0.isLoaded = true }
            let client = try await gateway.client()
            _ = try await client.request("/media/film.mkv")
            await cache.settle()
            try await source.untilIdle()
            try await client.setReading(false)
            for _ in 0..<8 { try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\n\r\n") }
            _ = try await source.counts.until { $0.leases == 1 }
            try await client.setReading(true)
            for _ in 0..<8 { #expect(try await client.answer().body == film.bytes(0..<size)) }
            try await source.untilIdle()
        }
    }
}
