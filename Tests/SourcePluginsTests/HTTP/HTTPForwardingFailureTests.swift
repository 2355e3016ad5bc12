import SourceContract
import SourcePlugins
import Testing

@Suite("HTTP: forwarded requests that fail", .timeLimit(.minutes(5)))
struct HTTPForwardingFailureTests {
    private static let safe = ["GET", "HEAD", "OPTIONS", "TRACE"]
    private static let unsafe = ["POST", "PUT", "DELETE", "PATCH", "MKCOL"]

    @Test(
        "a connection that breaks is tried again if the method changes nothing, an answer never is",
        arguments: safe + unsafe
    )
    func retries(_ method: String) async throws {
        try await withHTTP(
            OriginScript { request in
                switch (request.target, request.earlier) {
                case ("/gateway", 0): .status("502 Bad Gateway")
                case ("/slow", 0): .status("504 Gateway Timeout")
                case ("/closed", 0): FaultyOrigin.Reply(head: "", ending: .close)
                case ("/broken", 0): .status("500 Internal Server Error")
                case ("/busy", 0): .status("503 Service Unavailable")
                default: .text("x")
                }
            }
        ) { http async throws in
            let isSafe = Self.safe.contains(method)
            #expect(try await http.forward(method, "gateway").head.status == 502)
            #expect(try await http.forward(method, "slow").head.status == 504)
            let error = try await sourceError { _ = try await http.forward(method, "closed") }
            #expect(error?.code == (isSafe ? nil : .unavailable))
            #expect(try await http.forward(method, "broken").head.status == 500)
            #expect(try await http.forward(method, "busy").head.status == 503)
            #expect(http.origin.requests.count == (isSafe ? 6 : 5))
        }
    }

    @Test("a failure of somebody behind the origin is the answer", arguments: [502, 504])
    func gatewayFailure(_ status: Int) async throws {
        try await withHTTP(OriginScript { _ in .text("why", "\(status) Failed") }) { http async throws in
            let response = try await http.forward()
            #expect(response.head.status == status)
            #expect(try await text(response) == "why")
            #expect(http.origin.requests.count == 1)
        }
    }

    @Test("where nobody took the request it goes to the next place, whatever the method", arguments: ["GET", "POST"])
    func unreachable(_ method: String) async throws {
        let dead = try DeadPort()
        try await withHTTP(
            OriginScript { _ in .text("x") },
            HTTPSetup(settings: { settings, _ in
                settings.fallbacks = [settings.baseURL]
                settings.baseURL = try dead.url
            })
        ) { http async throws in
            let body = method == "POST" ? PartsBody(["one", "two"]) : nil
            #expect(try await http.forward(method, body: body).head.status == 200)
            let bodies = http.origin.requests.map { String(decoding: $0.body, as: UTF8.self) }
            #expect(bodies == [body == nil ? "" : "onetwo"])
        }
    }

    @Test(
        "what the first place fails at the next is asked for, if the method changes nothing",
        arguments: safe + unsafe
    )
    func fallbacks(_ method: String) async throws {
        for failure in ["500 Oops", "503 Busy", "closed"] {
            try await FaultyOrigin.with(
                OriginScript { _ in
                    failure == "closed" ? FaultyOrigin.Reply(head: "", ending: .close) : .status(failure)
                }
            ) { first async throws in
                let firstURL = try baseURL(of: first)
                try await withHTTP(
                    OriginScript { _ in .text("x") },
                    HTTPSetup(settings: { settings, _ in
                        settings.fallbacks = [settings.baseURL]
                        settings.baseURL = firstURL
                    })
                ) { http async throws in
                    let response = try? await http.forward(method)
                    let isSafe = Self.safe.contains(method)
                    #expect(response?.head.status == (isSafe ? 200 : Int(failure.prefix(3))))
                    #expect(http.origin.requests.count == (isSafe ? 1 : 0))
                }
            }
        }
    }

    @Test("if no place does better, the client sees what one said", arguments: [true, false])
    func lastAnswer(_ isSecondDead: Bool) async throws {
        try await FaultyOrigin.with(OriginScript { _ in .text("second", "500 Oops") }) { second async throws in
            let dead = try DeadPort()
            let secondURL = isSecondDead ? try dead.url : try baseURL(of: second)
            try await withHTTP(
                OriginScript { _ in .text("first", "500 Oops") },
                HTTPSetup(settings: { settings, _ in settings.fallbacks = [secondURL] })
            ) { http async throws in
                let response = try await http.forward()
                #expect(try await text(response) == (isSecondDead ? "first" : "second"))
                try await http.origin.activity.until { $0.open == 0 }
            }
        }
    }

    @Test("an origin that fails is left alone for a while")
    func breaker() async throws {
        let clock = SettableClock()
        try await withHTTP(
            OriginScript { _ in .status("502 Bad Gateway") },
            HTTPSetup(now: { clock.now }, settings: { settings, _ in settings.breakerFailures = 3 })
        ) { http async throws in
            for path in 0..<3 { #expect(try await http.forward("POST", "\(path)").head.status == 502) }
            let error = try await sourceError { _ = try await http.forward("GET", "other") }
            #expect(error?.code == .unavailable)
            #expect(http.origin.requests.count == 3)
            clock.advance(by: .seconds(2))
            #expect(try await http.forward("GET", "other").head.status == 502)
        }
    }

    @Test("an origin that does not answer has its time, and no more")
    func silent() async throws {
        try await withHTTP(.silent, HTTPSetup(settings: { settings, _ in settings.limitSilence(.milliseconds(300)) })) {
            http async throws in
            let error = try await sourceError { _ = try await http.forward() }
            #expect(error?.code == .timedOut)
            #expect(http.origin.requests.count == 1)
        }
    }
}
