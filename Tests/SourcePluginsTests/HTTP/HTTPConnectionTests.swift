import SourceContract
import SourcePlugins
import Testing

@Suite("HTTP: connections that run short or out", .timeLimit(.minutes(5)))
struct HTTPConnectionTests {
    @Test("to wait for a connection is not the origin's silence")
    func waiting() async throws {
        try await withHTTP(
            OriginScript { OriginObject(size: 1 << 40).reply($0) },
            HTTPSetup(settings: { settings, _ in
                (settings.connections, settings.breakerFailures) = (1, 1)
                settings.firstByteTimeout = .seconds(1)
            })
        ) { http async throws in
            var stream: ByteStream? = try await http.open("object.mkv").read(0..<1 << 40)
            _ = try await stream?.next()
            let error = try await sourceError { _ = try await http.open("other.mkv") }
            #expect(error?.code == .overloaded, "\(String(describing: error))")
            stream = nil
            #expect(try await openingCode(http, "other.mkv") == nil)
        }
    }

    @Test("whoever waits for a connection and leaves does not keep it from others")
    func leaving() async throws {
        try await withHTTP(
            OriginScript { OriginObject(size: 1 << 40).reply($0) },
            HTTPSetup(settings: { settings, _ in settings.connections = 1 })
        ) { http async throws in
            var stream: ByteStream? = try await http.open("object.mkv").read(0..<1 << 40)
            _ = try await stream?.next()
            let waiting = Task { try await http.open("other.mkv") }
            waiting.cancel()
            await #expect(throws: CancellationError.self) { _ = try await waiting.value }
            stream = nil
            #expect(try await openingCode(http, "other.mkv") == nil)
        }
    }

    /// Two names at one address, each with a client of its own, and room for one client.
    private func withTwoNames(
        connections: Int = 20,
        waitingFor limit: Duration = .seconds(30),
        _ body: (HTTPUnderTest) async throws -> Void
    ) async throws {
        try await withHTTP(
            OriginScript { request in
                if request.target == "/away", request.field("host")?.hasPrefix("a.") == true {
                    let port = request.field("host")?.split(separator: ":").last ?? ""
                    return .redirect("http://b.example:\(port)/object")
                }
                return OriginObject(size: 1 << 40).reply(request)
            },
            HTTPSetup(
                lookUp: { _ in [IPAddress("127.0.0.1")].compactMap(\.self) },
                policy: { $0.mostClients = 1 },
                settings: { settings, origin in
                    guard let url = OriginURL(base: "http://a.example:\(origin.port)/") else { throw UnusableURL() }
                    settings.baseURL = url
                    settings.allowsPrivateAddresses = true
                    (settings.connections, settings.firstByteTimeout) = (connections, limit)
                }
            ),
            body
        )
    }

    @Test("a client that made room for another ends with the source like the others")
    func evicted() async throws {
        try await withTwoNames { http async throws in
            let stream = try await http.open("object").read(0..<1 << 40)
            _ = try await stream.next()
            #expect(try await openingCode(http, "away") == nil)
            try await http.end(stream)
        }
    }

    @Test("connections are bounded at a host and port, whichever client has them")
    func bound() async throws {
        try await withTwoNames(connections: 2, waitingFor: .seconds(10)) { http async throws in
            let object = try await http.open("object")
            let first = try await object.read(0..<1 << 40)
            _ = try await first.next()
            // Makes room for the client of the other name.
            #expect(try await openingCode(http, "away") == nil)
            let second = try await object.read(0..<1 << 40)
            _ = try await second.next()
            #expect(try await sourceError { _ = try await object.read(0..<10) }?.code == .overloaded)
            #expect(try await first.next() != nil)
        }
    }

    @Test("the refused connection of one request is no failure of all that wait for one")
    func refusal() async throws {
        let listener = try FullListener()
        let count = 10
        try await withHTTP(
            .sound,
            HTTPSetup(
                policy: { $0.retryPause = .seconds(1) },
                settings: { settings, _ in
                    guard let url = OriginURL(base: "http://127.0.0.1:\(listener.port)/") else { throw UnusableURL() }
                    settings.baseURL = url
                    settings.breakerFailures = 3
                    settings.connectTimeout = .seconds(30)
                }
            )
        ) { http async throws in
            try await withThrowingTaskGroup(of: SourceError?.self) { group in
                for number in 0..<count {
                    group.addTask { try await sourceError { _ = try await http.open("\(number)") } }
                }
                try await listener.untilConnecting(count)
                // Each is refused when it knocks the next time, and the first of them tells all.
                listener.close()
                try await listener.untilConnecting(0)
                try await FaultyOrigin.with(.sound, port: listener.port) { _ async throws in
                    for try await error in group { #expect(error == nil, "\(String(describing: error))") }
                }
            }
        }
    }

    @Test("one path that always fails keeps nobody from the others")
    func onePath() async throws {
        try await withHTTP(
            OriginScript { $0.target.hasPrefix("/broken") ? .status("500 Oops") : OriginObject().reply($0) },
            HTTPSetup(settings: { settings, _ in settings.breakerFailures = 2 })
        ) { http async throws in
            for _ in 0..<5 { #expect(try await openingCode(http, "broken") == .unavailable) }
            for _ in 0..<5 { #expect(try await http.forward("POST", "broken?x").head.status == 500) }
            #expect(try await openingCode(http, "object.mkv") == nil)
        }
    }

    @Test(
        "who is out to see whether an origin is back asks once, and holds nobody up for longer than a pause"
    )
    func probe() async throws {
        let clock = SettableClock()
        try await withHTTP(
            OriginScript { request in
                switch request.target {
                case "/silent": FaultyOrigin.Reply(head: "", ending: .stall)
                case "/object.mkv": OriginObject().reply(request)
                default: FaultyOrigin.Reply(head: "", ending: .close)
                }
            },
            HTTPSetup(
                now: { clock.now },
                settings: { settings, _ in (settings.retries, settings.breakerFailures) = (3, 1) }
            )
        ) { http async throws in
            #expect(try await openingCode(http, "broken") == .unavailable)
            let before = http.origin.requests.count
            clock.advance(by: .seconds(2))
            #expect(try await openingCode(http, "closed") == .unavailable)
            #expect(http.origin.requests.count == before + 1)
            clock.advance(by: .seconds(2))
            let silent = Task { try await http.open("silent") }
            try await http.origin.activity.until { $0.requests.count == before + 2 }
            #expect(try await openingCode(http, "object.mkv") == .unavailable)
            clock.advance(by: .seconds(2))
            #expect(try await openingCode(http, "object.mkv") == nil)
            silent.cancel()
            _ = await silent.result
        }
    }
}
