import Dispatch
import SourceContract
import SourcePlugins
import Testing

@Suite("HTTP: origins that are down", .timeLimit(.minutes(5)))
struct HTTPOutageTests {
    @Test("an origin that keeps failing is left alone, and one request finds out that it is back")
    func breaker() async throws {
        let clock = SettableClock()
        let isUp = ChangeFlag()
        try await withHTTP(
            OriginScript { isUp.value ? OriginObject().reply($0) : .status("502 Bad Gateway") },
            HTTPSetup(
                now: { clock.now },
                settings: { settings, _ in (settings.retries, settings.breakerFailures) = (0, 3) }
            )
        ) { http async throws in
            for path in 0..<10 { #expect(try await openingCode(http, "\(path).mkv") == .unavailable) }
            #expect(http.origin.requests.count == 3)
            isUp.set()
            #expect(try await openingCode(http, "object.mkv") == .unavailable)
            clock.advance(by: .seconds(2))
            #expect(try await openingCode(http, "object.mkv") == nil)
            #expect(http.origin.requests.count == 4)
        }
    }

    @Test("a probe that is cancelled leaves the next request to find out")
    func cancelledProbe() async throws {
        let clock = SettableClock()
        try await withHTTP(
            OriginScript { request in
                switch request.target {
                case "/broken": .status("502 Bad Gateway")
                case "/silent": FaultyOrigin.Reply(head: "", ending: .stall)
                default: OriginObject().reply(request)
                }
            },
            HTTPSetup(
                now: { clock.now },
                settings: { settings, _ in
                    (settings.retries, settings.breakerFailures) = (0, 1)
                }
            )
        ) { http async throws in
            #expect(try await openingCode(http, "broken") == .unavailable)
            clock.advance(by: .seconds(2))
            let probe = Task { try await http.open("silent") }
            try await http.origin.activity.until { $0.requests.count == 2 }
            #expect(try await openingCode(http, "object.mkv") == .unavailable)
            probe.cancel()
            _ = await probe.result
            #expect(try await openingCode(http, "object.mkv") == nil)
        }
    }

    @Test(
        "what is missing or refused is no sign of being down",
        arguments: ["404 Not Found", "403 Forbidden", "429 Slow", "500 Broken", "501 Not Implemented"]
    )
    func statuses(_ status: String) async throws {
        try await withHTTP(
            OriginScript { $0.target == "/object.mkv" ? OriginObject().reply($0) : .status(status) },
            HTTPSetup(settings: { settings, _ in settings.breakerFailures = 1 })
        ) { http async throws in
            for _ in 0..<3 { #expect(try await openingCode(http, "other") != nil) }
            #expect(try await openingCode(http, "object.mkv") == nil)
        }
    }

    @Test("a failure is tried again so many times")
    func retries() async throws {
        try await withHTTP(
            OriginScript { _ in .status("500 Internal Server Error") },
            HTTPSetup(settings: { settings, _ in settings.retries = 3 })
        ) { http async throws in
            #expect(try await openingCode(http, "object.mkv") == .unavailable)
            #expect(http.origin.requests.count == 4)
        }
    }

    @Test("an origin that cannot be reached is told at once")
    func unreachable() async throws {
        let dead = try DeadPort()
        try await withHTTP(.sound, HTTPSetup(settings: { settings, _ in settings.baseURL = try dead.url })) {
            http async throws in
            #expect(try await openingCode(http, "object.mkv") == .unavailable)
        }
    }

    @Test(
        "while the first place is down, the others are asked in their order",
        arguments: ["dead", "broken", "busy", "silent"]
    )
    func fallbacks(_ state: String) async throws {
        try await FaultyOrigin.with(
            OriginScript { request in
                switch state {
                case "broken": .status("500 Internal Server Error")
                case "busy": .status("503 Service Unavailable")
                default: FaultyOrigin.Reply(head: "", ending: .stall)
                }
            }
        ) { first async throws in
            let dead = try DeadPort()
            let firstURL = state == "dead" ? try dead.url : try baseURL(of: first)
            try await withHTTP(
                .sound,
                HTTPSetup(settings: { settings, origin in
                    settings.baseURL = firstURL
                    settings.fallbacks = [try baseURL(of: origin, "/mirror"), try baseURL(of: origin, "/last")]
                    if state == "silent" { settings.limitSilence(.seconds(4)) }
                })
            ) { http async throws in
                #expect(try await outcome(http, "object.mkv", 1000..<2000) == .whole)
                #expect(http.origin.requests.map(\.target) == ["/mirror/object.mkv", "/mirror/object.mkv"])
            }
        }
    }

    @Test("a read goes on at another place if that has the same version, and fails if not", arguments: [true, false])
    func readingOn(_ isSame: Bool) async throws {
        try await FaultyOrigin.with(
            OriginScript { request in
                request.earlier == 0 ? OriginObject().reply(request) : .status("500 Internal Server Error")
            }
        ) { first async throws in
            let firstURL = try baseURL(of: first)
            try await withHTTP(
                OriginScript { isSame ? OriginObject().reply($0) : OriginObject.second.reply($0) },
                HTTPSetup(settings: { settings, origin in
                    settings.baseURL = firstURL
                    settings.fallbacks = [try baseURL(of: origin)]
                })
            ) { http async throws in
                #expect(try await outcome(http, "object.mkv") == (isSame ? .whole : .failed(.changed)))
            }
        }
    }

    @Test("what is not at the first place is not looked for at the others")
    func missing() async throws {
        try await FaultyOrigin.with(OriginScript { _ in .status("404 Not Found") }) { first async throws in
            let firstURL = try baseURL(of: first)
            try await withHTTP(
                .sound,
                HTTPSetup(settings: { settings, origin in
                    settings.fallbacks = [settings.baseURL]
                    settings.baseURL = firstURL
                })
            ) { http async throws in
                #expect(try await openingCode(http, "object.mkv") == .notFound)
                #expect(http.origin.requests.isEmpty)
            }
        }
    }

    @Test("another address of a name is tried when one is not reached")
    func addresses() async throws {
        try await withHTTP(
            .sound,
            HTTPSetup(  // Nobody listens at the first.
                lookUp: { _ in [IPAddress("127.0.0.2"), IPAddress("127.0.0.1")].compactMap(\.self) },
                settings: { settings, origin in
                    guard let url = OriginURL(base: "http://media.example:\(origin.port)/") else { throw UnusableURL() }
                    settings.baseURL = url
                }
            )
        ) { http async throws in
            #expect(try await outcome(http, "object.mkv", 0..<1000) == .whole)
        }
    }

    @Test("a name that nobody answers for is not waited for any longer than a connection")
    func silentResolver() async throws {
        let door = DispatchSemaphore(value: 0)
        try await withHTTP(
            .sound,
            HTTPSetup(
                lookUp: { _ in
                    // Blocks, as the resolver does, until the test is over.
                    door.wait()
                    return []
                },
                settings: { settings, _ in
                    guard let url = OriginURL(base: "http://media.example/") else { throw UnusableURL() }
                    settings.baseURL = url
                    settings.connectTimeout = .milliseconds(50)
                }
            )
        ) { http async throws in
            #expect(try await openingCode(http, "object.mkv") == .timedOut)
            door.signal()
        }
    }

    /// A source at a name, whose addresses `lookUp` says.
    private func withName(
        _ clock: SettableClock,
        _ lookUp: @escaping @Sendable (String) throws -> [IPAddress],
        _ body: (HTTPUnderTest) async throws -> Void
    ) async throws {
        try await withHTTP(
            .sound,
            HTTPSetup(
                lookUp: lookUp,
                now: { clock.now },
                settings: { settings, origin in
                    guard let url = OriginURL(base: "http://media.example:\(origin.port)/") else { throw UnusableURL() }
                    settings.baseURL = url
                    settings.connectTimeout = .seconds(5)
                    settings.breakerFailures = 2
                }
            ),
            body
        )
    }

    private static let home = [IPAddress("127.0.0.1")].compactMap(\.self)

    @Test("a name server that is silent is a way of being down, once for all who wait for it together")
    func silentResolverCounts() async throws {
        let clock = SettableClock()
        let door = DispatchSemaphore(value: 0)
        let lookUp: @Sendable (String) throws -> [IPAddress] = { _ in
            door.wait()
            return Self.home
        }
        try await withName(clock, lookUp) { http async throws in
            try await withThrowingTaskGroup(of: SourceError?.self) { group in
                for number in 0..<4 { group.addTask { try await sourceError { _ = try await http.open("\(number)") } } }
                for try await error in group { #expect(error?.code == .timedOut) }
            }
            #expect(try await openingCode(http, "object.mkv") == .timedOut)
            #expect(try await openingCode(http, "object.mkv") == .unavailable)
            door.signal()
            // The answer is kept, though nobody waited for it.
            clock.advance(by: .seconds(2))
            while try await openingCode(http, "object.mkv") != nil { clock.advance(by: .seconds(2)) }
        }
    }

    @Test("addresses from before are used while the name server is silent or fails, and not for ever")
    func oldAddresses() async throws {
        let clock = SettableClock()
        let door = DispatchSemaphore(value: 0)
        let answers = Observed<[[IPAddress]?]>([Self.home, nil])
        let lookUp: @Sendable (String) throws -> [IPAddress] = { _ in
            let answer: [IPAddress]?? = answers.update { $0.isEmpty ? .none : .some($0.removeFirst()) }
            switch answer {
            case .none:
                door.wait()
                return Self.home
            case .some(let addresses):
                guard let addresses else { throw SourceError(.timedOut, "no answer") }
                return addresses
            }
        }
        try await withName(clock, lookUp) { http async throws in
            #expect(try await openingCode(http, "object.mkv") == nil)
            clock.advance(by: .seconds(31))
            #expect(try await openingCode(http, "object.mkv") == nil)
            #expect(answers.value.isEmpty)
            clock.advance(by: .seconds(6))
            for _ in 0..<3 { #expect(try await openingCode(http, "object.mkv") == nil) }
            clock.advance(by: .seconds(3600))
            #expect(try await openingCode(http, "object.mkv") == .timedOut)
            door.signal()
        }
    }

    @Test("a name that is no more has no addresses from before")
    func goneName() async throws {
        let clock = SettableClock()
        let isGone = ChangeFlag()
        let lookUp: @Sendable (String) throws -> [IPAddress] = { _ in
            if isGone.value { throw SourceError(.unavailable, "no such name") }
            return Self.home
        }
        try await withName(clock, lookUp) { http async throws in
            #expect(try await openingCode(http, "object.mkv") == nil)
            isGone.set()
            #expect(try await openingCode(http, "object.mkv") == nil)
            clock.advance(by: .seconds(31))
            #expect(try await openingCode(http, "object.mkv") == .unavailable)
        }
    }
}
