import Config
import Gateway
import SourceContract
import SourcePlugins
import Testing

@Suite(.timeLimit(.minutes(1))) struct ItemGateTests {
    /// What a request says of where it comes from, and whether it may bring something in.
    struct Case: Sendable {
        var who = AddPolicy.Who.local
        var host = "localhost"
        var fields: [String] = []
        var isProxied = false
        var status = 303
    }

    @Test(
        "who may bring in what is not known",
        arguments: [
            Case(), Case(host: "127.0.0.1:8080"), Case(host: "[::1]:8080"), Case(host: "gateway.lan"),
            Case(host: "LOCALHOST:1"),
            // A name that leads here, and addresses of others.
            Case(host: "evil.test", status: 403), Case(host: "localhost.evil.test", status: 403),
            Case(host: "127.0.0.1.evil.test", status: 403), Case(host: "192.0.2.1", status: 403),
            Case(host: "0.0.0.0", status: 403), Case(who: .anyone, host: "evil.test"),
            // What the proxies say, and whose word counts.
            Case(fields: ["X-Forwarded-For: 192.0.2.7"], isProxied: true, status: 403),
            Case(fields: ["X-Forwarded-For: 127.0.0.1"], isProxied: true),
            Case(fields: ["X-Forwarded-For: 127.0.0.1, 192.0.2.7"], isProxied: true, status: 403),
            Case(fields: ["X-Forwarded-For: 192.0.2.7"], status: 403),
            Case(who: .anyone, fields: ["X-Forwarded-For: 192.0.2.7"], isProxied: true),
            Case(who: .admin, status: 403),
            // What browsers say of the page behind the request.
            Case(fields: ["Origin: http://localhost", "Sec-Fetch-Site: same-origin"]),
            Case(fields: ["Sec-Fetch-Site: same-origin"]), Case(fields: ["Sec-Fetch-Site: none"]),
            Case(fields: ["Sec-Fetch-Site: cross-site"], status: 403),
            Case(fields: ["Sec-Fetch-Site: same-site"], status: 403),
            Case(fields: ["Origin: http://evil.test"], status: 403), Case(fields: ["Origin: null"], status: 403),
            Case(fields: ["Origin: http://localhost:5173"]),
            Case(fields: ["Origin: http://localhost:5173", "Sec-Fetch-Site: same-site"]),
            Case(fields: ["Origin: http://localhost:5174", "Sec-Fetch-Site: same-site"], status: 403),
            Case(fields: ["Origin: http://localhost:5173", "Origin: http://evil.test"], status: 403),
            Case(who: .anyone, fields: ["Sec-Fetch-Site: cross-site"], status: 403),
        ]
    )
    func who(_ test: Case) async throws {
        let policy = AddPolicy(who: test.who, origins: ["http://localhost:5173"])
        try await ItemsUnderTest.with(policy) { options in
            if test.isProxied, let range = AddressRange("127.0.0.0/8") { options.trustedProxies = [range] }
        } _: { items, gateway in
            let client = try await gateway.client()
            let answer = try await client.request(
                "/torrent/play?xt=urn:btih:\(items.b)",
                fields: test.fields,
                host: test.host
            )
            #expect(answer.status == test.status)
            #expect(items.source.counts.value.asked == (test.status == 303 ? 1 : 0))
            guard test.status == 403 else { return }
            #expect(answer.text.contains("options.add"))
            // What is known may be played by anybody.
            let known = try await client.request(
                "/torrent/play?xt=urn:btih:\(items.a)",
                fields: test.fields,
                host: test.host
            )
            #expect(known.status == 303)
        }
    }

    /// Every way to ask the world for the item `b`.
    static let ways = [
        "/torrent/play?xt=urn:btih:B", "/torrent/play?magnet=B", "/torrent/B/", "/torrent/B/film.mp4", "/torrent/B/~0",
        "/torrent/B/?format=m3u", "/torrent/B/film.mp4?play", "/torrent/B/dir/", "/metadata/B", "/add/B", "/stream/B",
        "/streamfile/B/film.mp4", "/subtitles/B", "POST /torrent/",
    ]

    private static func ask(
        _ way: String,
        _ hash: String,
        _ client: RawClient,
        host: String = "localhost"
    ) async throws
        -> RawClient.Answer
    {
        if way.hasPrefix("POST ") {
            return try await client.request(
                "/torrent/",
                method: "POST",
                fields: ["Content-Type: text/plain"],
                host: host,
                body: Array(hash.utf8)
            )
        }
        return try await client.request(way.replacing("B", with: hash), host: host)
    }

    @Test("there is no way around it", arguments: ways)
    func noWayAround(way: String) async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            let refused = try await Self.ask(way, items.b, client, host: "evil.test")
            #expect(refused.status == 403)
            #expect(items.source.counts.value.resolves == 0)
            // A body that was not read ends the connection.
            let allowed = try await Self.ask(way, items.b, try await gateway.client())
            #expect(![403, 429, 504].contains(allowed.status))
            #expect(items.source.counts.value.asked == 1)
        }
    }

    @Test(
        "each question to the world counts, whatever the route, and answers about what is known do not",
        arguments: ways
    )
    func limit(way: String) async throws {
        try await ItemsUnderTest.with(limit: .rate(2, per: .hour)) { items, gateway in
            let client = try await gateway.client()
            for _ in 0..<5 { #expect(try await client.local("/metadata/\(items.a)").status == 200) }
            for _ in 0..<2 { #expect(try await client.local("/metadata/\(items.none)").status == 504) }
            let limited = try await Self.ask(way, items.none, try await gateway.client())
            #expect(limited.status == 429)
            #expect(limited["Retry-After"].flatMap { Int($0) }.map { (1...1801).contains($0) } == true)
            #expect(limited["Content-Type"] == ProblemDetails.mediaType)
            #expect(limited.text.contains("2/h"))
            #expect(items.source.counts.value.asked == 2)
            #expect(try await Self.ask(way, items.a, try await gateway.client()).status != 429)
        }
    }

    @Test("until a source has read what is known, strangers are to come back, others wait, and nobody is counted")
    func notReady() async throws {
        try await ItemsUnderTest.with(limit: .rate(1, per: .hour)) { items, gateway in
            items.source.ready.update { $0 = false }
            // Who may bring in nothing may not do so now.
            for way in Self.ways where !way.hasPrefix("POST ") {
                let answer = try await Self.ask(way, items.a, gateway.client(), host: "evil.test")
                #expect(answer.status == 503, "\(way)")
                #expect(answer["Retry-After"] == "5")
            }
            #expect(items.source.counts.value.resolves == 0)
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for way in ["/metadata/B", "/torrent/B/", "/torrent/play?magnet=B", "POST /torrent/"] {
                    group.addTask { try await Self.ask(way, items.a, gateway.client()).status }
                }
                try await items.source.counts.until { $0.resolves == 4 }
                items.source.ready.update { $0 = true }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.sorted() == [200, 200, 201, 303])
            #expect(items.source.counts.value.asked == 0)
            let known = try await Self.ask("/metadata/B", items.a, gateway.client(), host: "evil.test")
            #expect(known.status == 200)
            // The one question that there may be is left.
            #expect(try await gateway.client().local("/metadata/\(items.b)").status == 200)
        }
    }

    @Test("a description that comes whole asks nobody, so it does not count")
    func wholeDescriptions() async throws {
        try await ItemsUnderTest.with(limit: .rate(1, per: .hour)) { items, gateway in
            let client = try await gateway.client()
            #expect(try await client.local("/metadata/\(items.none)").status == 504)
            #expect(try await client.local("/metadata/\(items.b)").status == 429)
            let added = try await client.post("/torrent/", type: "application/x-bittorrent", "d4:hash40:\(items.b)e")
            #expect(added.status == 201)
            #expect(try await client.local("/metadata/\(items.b)").status == 200)
        }
    }

    @Test("those who ask for the same at once are counted each, and the world is asked once")
    func together() async throws {
        try await ItemsUnderTest.with(limit: .rate(5, per: .hour)) { items, gateway in
            let door = Gate()
            items.source.update(items.idOfB) { $0.answer = .waits(door) }
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for way in ["/metadata/B", "/torrent/B/", "/torrent/B/film.mp4", "/torrent/play?magnet=B", "/add/B"] {
                    group.addTask { try await Self.ask(way, items.b, gateway.client()).status }
                }
                try await items.source.counts.until { $0.resolves == 5 }
                #expect(try await gateway.client().local("/metadata/\(items.b)").status == 429)
                door.open()
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(statuses.sorted() == [200, 200, 200, 200, 303])
            #expect(items.source.counts.value.asked == 1)
        }
    }

    @Test("a world that does not answer is 504 at the first-byte deadline, and a client that leaves ends the question")
    func silence() async throws {
        try await ItemsUnderTest.with {
            $0.firstByteDeadline = .milliseconds(100)
        } _: { items, gateway in
            items.source.update(items.idOfB) { $0.answer = .waits(Gate()) }
            for path in ["/metadata/\(items.b)", "/torrent/\(items.b)/", "/torrent/\(items.b)/film.mp4"] {
                let answer = try await gateway.client().local(path)
                #expect(answer.status == 504)
                #expect(answer["Content-Type"] == ProblemDetails.mediaType)
            }
        }
    }

    @Test(
        "a refusal of the source keeps its meaning",
        arguments: [
            (SourceError.Code.refused, 422), (.overloaded, 503), (.timedOut, 504),
        ]
    )
    func failures(code: SourceError.Code, status: Int) async throws {
        try await ItemsUnderTest.with { items, gateway in
            items.source.update(items.idOfB) { $0.answer = .fails(SourceError(code, "no")) }
            let answer = try await gateway.client().local("/torrent/\(items.b)/")
            #expect(answer.status == status)
            #expect((answer["Retry-After"] != nil) == (status == 503))
            #expect(answer.text.contains(code.rawValue))
        }
    }
}
