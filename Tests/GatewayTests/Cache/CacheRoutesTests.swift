import ChunkCache
import Foundation
import Gateway
import SourceContract
import Testing

@Suite(.timeLimit(.minutes(1))) struct CacheRoutesTests {
    private static let objects: [(source: String, path: String, size: Int64)] = [
        ("media", "films/one.mkv", 200_000), ("media", "films/two.mkv", 100_000), ("media", "filmstrip.png", 10),
        ("other", "films/one.mkv", 50_000),
    ]

    private static func paths(_ cache: CacheUnderTest) -> Set<String> {
        Set(cache.store.objects.map { "\($0.record.source)/\(String(decoding: $0.record.path, as: UTF8.self))" })
    }

    @Test("the totals say what the cache holds and what it has done")
    func totals() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                let answer = try await admin.request("GET", "/admin/v1/cache")
                #expect(answer.status == 200)
                #expect(answer["Content-Type"] == "application/json")
                #expect(answer["Cache-Control"] == "no-store")
                let json = try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
                #expect(json["directory"] as? String == cache.store.settings.directory)
                #expect(json["is_open"] as? Bool == true)
                #expect(json["chunks"] as? Int == 8)
                #expect(json["objects"] as? Int == 4)
                #expect(json["limit_bytes"] as? Int == 16 << 20)
                #expect(json["chunk_size"] as? Int == CacheUnderTest.chunkSize)
                let missed = cache.store.counters.missed.value
                #expect(missed > 0)
                #expect((json["requests"] as? [String: Int])?["miss"] == missed)
                #expect((json["evictions"] as? [String: Int])?["purge"] == 0)
            }
        }
    }

    @Test("the totals say what each source has, and may have")
    func sources() async throws {
        try await CacheUnderTest.with(Self.objects, sourceSizes: ["media": 1 << 20, "spare": 2 << 20]) {
            cache in
            try await cache.serve { admin in
                let report = try Self.decode(CacheReport.self, try await admin.request("GET", "/admin/v1/cache"))
                #expect(report.sources.map(\.name) == ["media", "other", "spare"])
                #expect(report.sources.map(\.limitBytes) == [1 << 20, nil, 2 << 20])
                #expect(report.sources.map(\.chunks) == [7, 1, 0])
                #expect(report.sources.reduce(0) { $0 + $1.bytes } == report.bytes)
                let text = CacheText.text(report)
                #expect(text.contains("source media  "))
                #expect(text.contains(" of 1.0 MiB ("))
                #expect(text.contains("source spare  0 B of 2.0 MiB (0.0 %), 0 chunks\n"))
            }
        }
    }

    @Test("purges are counted by what they named, soft ones as well, and those that were refused are not")
    func countedPurges() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            let registry = PrometheusRegistry()
            CacheMetrics.register(cache.store, in: registry)
            try await cache.serve { admin in
                for query in [
                    "object&source=media&path=a", "object&source=media&path=a&soft=true", "prefix&source=media&path=a",
                    "source&source=other", "all", "film",
                ] {
                    _ = try await admin.request("POST", "/admin/v1/cache/purge?scope=\(query)")
                }
            }
            let page = registry.page()
            for (scope, count) in [("object", 2), ("prefix", 1), ("source", 1), ("all", 1)] {
                let line = "media_gateway_cache_purges_total{scope=\"\(scope)\",tier=\"lmdb\"} \(count)\n"
                #expect(page.contains(line), "\(line)")
            }
        }
    }

    @Test(
        "without a database a purge is refused, as what is on the disk would come back with it",
        arguments: ["", "&soft=true"]
    )
    func purgeWithoutDatabase(soft: String) async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            cache.store.close()
            try await cache.serve { admin in
                let answer = try await admin.request("POST", "/admin/v1/cache/purge?scope=all\(soft)")
                #expect(answer.status == 503)
                #expect(String(decoding: answer.body, as: UTF8.self).contains("the cache is not open"))
                // What is known elsewhere is not believed any more.
                #expect(cache.forgotten.value == [.all])
            }
        }
    }

    @Test("the totals say what was found of each source, one without chunks included")
    func lookups() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            let one = try #require(cache.store.objects.first { $0.record.source == "other" })
            for _ in 0..<3 { #expect(cache.store.use(one.chunk(at: 0), of: one) == .again) }
            try await cache.put("gone", "a", size: 10)
            cache.store.purge { $0.source == "gone" }
            await cache.store.flush()
            try await cache.serve { admin in
                let report = try Self.decode(CacheReport.self, try await admin.request("GET", "/admin/v1/cache"))
                #expect(report.sources.map(\.name) == ["gone", "media", "other"])
                #expect(report.sources.map(\.requests.hit) == [0, 0, 3])
                #expect(report.sources.map(\.requests.miss) == [1, report.requests.miss - 2, 1])
                #expect(report.requests.miss > 2)
                let text = CacheText.text(report)
                #expect(text.contains(" 1 chunk, 75.0 % hit\n"))
                #expect(text.contains("source gone   0 B, 0 chunks, 0.0 % hit\n"))
            }
        }
    }

    @Test("the totals say how old objects are, and what of the cache is asked for")
    func agesAndHeat() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            let now = Int64(Date().timeIntervalSince1970)
            try await cache.put("media", "new.mkv", size: 10, created: (now - 7200) * 1_000_000_000)
            let one = try #require(cache.store.objects.first { $0.record.source == "other" })
            #expect(cache.store.use(one.chunk(at: 0), of: one) == .again)
            try await cache.serve { admin in
                let report = try Self.decode(CacheReport.self, try await admin.request("GET", "/admin/v1/cache"))
                let ages = try #require(report.ages)
                #expect((7200..<7300).contains(ages.newest))
                #expect(ages.median > 86_400 && ages.oldest >= ages.median)
                #expect((report.heat.objects, report.heat.bytes) == (1, one.storedBytes))
                let text = CacheText.text(report)
                #expect(text.contains(" d old, the newest 2 h, half of them over "))
                #expect(text.contains("heat          1 object, "))
            }
        }
    }

    @Test("the totals say how far the scrub is, or that there is none")
    func scrub() async throws {
        for rate in [Int64(0), 16 << 20] {
            try await CacheUnderTest.with(Self.objects, scrubRate: rate) { cache in
                let start = ContinuousClock.now
                cache.store.maintain(now: start)
                cache.store.maintain(now: start + .seconds(1))
                while rate > 0, cache.store.counters.scrubbedAllAt == nil { await Task.yield() }
                try await cache.serve { admin in
                    let report = try Self.decode(CacheReport.self, try await admin.request("GET", "/admin/v1/cache"))
                    guard rate > 0 else {
                        #expect(report.scrub == nil)
                        let lines = CacheText.text(report).split(separator: "\n")
                        #expect(lines.contains { $0.hasPrefix("scrub ") && $0.hasSuffix("  off") })
                        return
                    }
                    let scrub = try #require(report.scrub)
                    #expect((scrub.bytesPerSecond, scrub.chunks) == (rate, 8))
                    let end = try #require(scrub.completed)
                    let text = CacheText.text(report, now: end + 200)
                    #expect(text.contains(" 8 chunks, "))
                    #expect(text.contains(" checked at 16.0 MiB/s; all of them 3 min ago\n"))
                    var early = report
                    early.scrub?.completed = nil
                    #expect(CacheText.text(early).contains("/s; not yet all of them\n"))
                }
            }
        }
    }

    @Test(
        "the list is of what was asked for, in the order asked for",
        arguments: [
            ("", ["media/films/one.mkv", "media/films/two.mkv", "other/films/one.mkv", "media/filmstrip.png"]),
            (
                "?sort=name",
                ["media/films/one.mkv", "media/films/two.mkv", "media/filmstrip.png", "other/films/one.mkv"]
            ),
            ("?sort=chunks&limit=2", ["media/films/one.mkv", "media/films/two.mkv"]),
            ("?source=other", ["other/films/one.mkv"]),
            ("?source=media&prefix=films%2F", ["media/films/one.mkv", "media/films/two.mkv"]),
            ("?prefix=/films/one", ["media/films/one.mkv", "other/films/one.mkv"]),
            ("?source=media&prefix=none", []),
        ]
    )
    func items(query: String, expected: [String]) async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                let answer = try await admin.request("GET", "/admin/v1/cache/items\(query)")
                let list = try Self.decode(CacheItemList.self, answer)
                #expect(list.items.map { "\($0.source)/\($0.path)" } == expected)
            }
        }
    }

    @Test("a list of a source that there is not is refused, as it would look like an empty cache")
    func unknownSourceList() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                let answer = try await admin.request("GET", "/admin/v1/cache/items?source=medai")
                #expect(answer.status == 404)
                #expect(answer.text.contains("no cached source is named medai; there are media, other"))
            }
        }
    }

    @Test("what was sent most comes first, or what is oldest")
    func order() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            let two = try #require(cache.store.objects.first { $0.record.path == Array("films/two.mkv".utf8) })
            for _ in 0..<3 { #expect(cache.store.use(two.chunk(at: 0), of: two) == .again) }
            try await cache.put("media", "aged.mkv", size: 10, created: 1_500_000_000_000_000_000)
            try await cache.serve { admin in
                for (order, path, hits) in [
                    ("hits", "films/two.mkv", 3), ("heat", "films/two.mkv", 3), ("age", "aged.mkv", 0),
                ] {
                    let answer = try await admin.request("GET", "/admin/v1/cache/items?sort=\(order)&limit=1")
                    let list = try Self.decode(CacheItemList.self, answer)
                    #expect(list.items.map(\.path) == [path])
                    #expect(list.items.map(\.hits) == [hits])
                    #expect(list.items.map(\.heat) == [Double(hits)])
                }
                #expect(try await admin.request("GET", "/admin/v1/cache/items?sort=size").status == 400)
            }
        }
    }

    @Test("an item has the runs of chunks that are there, and what it lacks is not in them")
    func item() async throws {
        try await CacheUnderTest.with { cache in
            let chunk = Int64(CacheUnderTest.chunkSize)
            try await cache.put("media", "a b.mkv", size: 10 * chunk, range: 0..<2 * chunk)
            try await cache.put("media", "a b.mkv", size: 10 * chunk, range: 5 * chunk..<6 * chunk)
            try await cache.serve { admin in
                let number = try #require(cache.store.objects.first?.number)
                let detail = try Self.decode(
                    CacheItemDetail.self,
                    try await admin.request("GET", "/admin/v1/cache/items/\(number)")
                )
                #expect(detail.stored.first?.first == 0)
                #expect(detail.stored.first?.count == 2)
                #expect(detail.stored.contains { $0.first <= 5 && 5 < $0.first + $0.count })
                #expect(detail.stored.reduce(0) { $0 + $1.count } == UInt64(detail.item.chunks))
                #expect(detail.item.urlPath == "a%20b.mkv")
                #expect(detail.item.chunkCount == 10)
                #expect(detail.runs.first == 0, "absent ones come first, and there are none there")
                #expect(detail.runs.reduce(0, +) == 10)
                #expect(
                    stride(from: 1, to: detail.runs.count, by: 2).map { detail.runs[$0] } == detail.stored.map(\.count)
                )
                let named = try await admin.request("GET", "/admin/v1/cache/items/media/a%20b.mkv")
                #expect(try Self.decode(CacheItemDetailList.self, named).items == [detail])
                for other in ["media/a", "other/a%20b.mkv", "media/", "media/a%20b.mkv/"] {
                    #expect(try await admin.request("GET", "/admin/v1/cache/items/\(other)").status == 404)
                }
                for other in ["\(number + 1)", "-1", "x", "99999999999999999999"] {
                    #expect(try await admin.request("GET", "/admin/v1/cache/items/\(other)").status == 404)
                }
            }
        }
    }

    @Test(
        "a purge removes what it names, and nothing else, before it answers",
        arguments: [
            ("scope=object&source=media&path=films/one.mkv", ["media/films/one.mkv"]),
            ("scope=object&source=media&path=/films/one.mkv", ["media/films/one.mkv"]),
            ("scope=object&source=media&path=films/", []),
            ("scope=prefix&source=media&path=films/", ["media/films/one.mkv", "media/films/two.mkv"]),
            (
                "scope=prefix&source=media&path=film",
                ["media/films/one.mkv", "media/films/two.mkv", "media/filmstrip.png"]
            ),
            ("scope=source&source=other", ["other/films/one.mkv"]),
            ("scope=all", objects.map { "\($0.source)/\($0.path)" }),
        ]
    )
    func purge(query: String, removed: [String]) async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                let before = Self.paths(cache)
                let answer = try await admin.request("POST", "/admin/v1/cache/purge?\(query)")
                #expect(before.subtracting(Self.paths(cache)) == Set(removed))
                #expect(answer.status == 200)
                #expect(try Self.decode(PurgeReport.self, answer).objects == removed.count)
                #expect(!cache.forgotten.value.isEmpty)
            }
        }
    }

    @Test(
        "a purge of a source that there is not, neither in the configuration nor in the cache, is refused and not counted",
        arguments: [
            ("scope=source&source=medai", "no cached source is named medai; there are media, other"),
            ("scope=object&source=medai&path=films/one.mkv&soft=true", "no cached source is named medai"),
            ("scope=source&source=media/films/one.mkv", "source and path are two words"),
        ]
    )
    func unknownSourcePurge(query: String, told: String) async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                let answer = try await admin.request("POST", "/admin/v1/cache/purge?\(query)")
                #expect(answer.status == 404)
                #expect(answer.text.contains(told))
                #expect(Self.paths(cache).count == 4)
                #expect(cache.store.counters.purgesOfSources.value + cache.store.counters.purgesOfObjects.value == 0)
            }
        }
    }

    @Test(
        "a purge that is not clear is refused and removes nothing",
        arguments: [
            "", "scope=object", "scope=object&source=media", "scope=prefix&source=media&path=", "scope=source",
            "scope=source&source=", "scope=all&source=media", "scope=source&source=media&path=films/", "scope=most",
            "scope=source&sorce=media", "scope=all&scope=all", "scope=object&source=media&path=%zz", "scope=all&x",
            "scope=source&source=%ff",
        ]
    )
    func unclearPurge(query: String) async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                let answer = try await admin.request("POST", "/admin/v1/cache/purge?\(query)")
                #expect(answer.status == 400)
                #expect(Self.paths(cache).count == 4)
                #expect(cache.forgotten.value.isEmpty)
            }
        }
    }

    @Test("reading changes nothing, and what changes something wants its own method")
    func methods() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                for target in ["/admin/v1/cache/purge?scope=all", "/admin/v1/cache/verify"] {
                    let answer = try await admin.request("GET", target)
                    #expect(answer.status == 405)
                    #expect(answer["Allow"] == "POST")
                }
                #expect(try await admin.request("POST", "/admin/v1/jobs/1")["Allow"] == "GET, HEAD, DELETE")
                #expect(try await admin.request("OPTIONS", "/admin/v1/cache")["Allow"] == "GET, HEAD")
                for (method, target) in [
                    ("POST", "/admin/v1/cache"), ("DELETE", "/admin/v1/cache"), ("POST", "/metrics"), ("POST", "/none"),
                    ("PUT", "/admin/v1/cache/purge?scope=all"), ("DELETE", "/admin/v1/cache/purge?scope=all"),
                ] {
                    #expect(try await admin.request(method, target).status == 405, "\(method) \(target)")
                }
                #expect(Self.paths(cache).count == 4)
            }
        }
    }

    @Test(
        "a page of another site can change nothing",
        arguments: [
            (nil, 200), ("http://gateway.test", 200), ("HTTP://Gateway.Test", 200), ("https://gateway.test", 200),
            ("http://gateway.test:8080", 403), ("http://evil.test", 403), ("null", 403), ("", 403),
            ("http://gateway.test.evil.test", 403), ("gateway.test", 403),
        ] as [(String?, Int)]
    )
    func origins(origin: String?, status: Int) async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                let answer = try await admin.request(
                    "POST",
                    "/admin/v1/cache/purge?scope=all",
                    fields: origin.map { ["Origin: \($0)"] } ?? []
                )
                #expect(answer.status == status)
                #expect(Self.paths(cache).isEmpty == (status == 200))
                #expect(try await admin.request("GET", "/admin/v1/cache", fields: ["Origin: null"]).status == 200)
            }
        }
    }

    @Test("without the token nothing is told and nothing changes")
    func token() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve(token: "secret") { admin in
                for fields in [[], ["Authorization: Bearer wrong"]] {
                    for (method, target) in [
                        ("GET", "/admin/v1/cache"), ("GET", "/admin/v1/cache/items"), ("GET", "/admin/v1/jobs/1"),
                        ("POST", "/admin/v1/cache/purge?scope=all"), ("POST", "/admin/v1/cache/verify"),
                        ("DELETE", "/admin/v1/jobs/1"),
                    ] {
                        #expect(try await admin.request(method, target, fields: fields).status == 401)
                    }
                }
                #expect(Self.paths(cache).count == 4)
                let fields = ["Authorization: Bearer secret"]
                let answer = try await admin.request("POST", "/admin/v1/cache/purge?scope=all", fields: fields)
                #expect(answer.status == 200)
            }
        }
    }

    @Test("the data plane takes no method that changes something")
    func dataPlane() async throws {
        try await TestGateway.with { gateway in
            for method in ["POST", "DELETE", "PUT", "PATCH"] {
                let client = try await gateway.client()
                let answer = try await client.request("/media/x", method: method)
                #expect(answer.status == 405)
                #expect(answer["Allow"] == "GET, HEAD, OPTIONS")
            }
        }
    }

    @Test("a verification is a job that can be asked for and ends")
    func verify() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                let answer = try await admin.request("POST", "/admin/v1/cache/verify")
                #expect(answer.status == 202)
                let location = try #require(answer["Location"])
                var job = try Self.decode(JobReport.self, answer)
                while job.state == .running {
                    job = try Self.decode(JobReport.self, try await admin.request("GET", location))
                }
                #expect(job.state == .done)
                #expect(job.progress.checked == 8)
                #expect(job.progress.corrupt == 0)
                // An end is an end.
                let cancelled = try await admin.request("DELETE", location)
                #expect(try Self.decode(JobReport.self, cancelled).state == .done)
                #expect(try await admin.request("GET", "/admin/v1/jobs/2").status == 404)
                #expect(try await admin.request("DELETE", "/admin/v1/jobs/x").status == 404)
            }
        }
    }

    @Test("once stopped, no job begins")
    func stopped() async throws {
        try await CacheUnderTest.with { cache in
            try await cache.serve { admin in
                await admin.routes.stop()
                let answer = try await admin.request("POST", "/admin/v1/cache/verify")
                #expect(answer.status == 503)
            }
        }
    }

    private static func decode<Value: Decodable>(_ type: Value.Type, _ answer: RawClient.Answer) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(answer.body))
    }
}
