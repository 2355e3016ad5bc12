import SourceContract
import SourcePlugins
import Testing

@Suite("HTTP: encrypted origins", .timeLimit(.minutes(5)), .enabled(if: TestCertificates.canBeMade))
struct HTTPTLSTests {
    /// A source in front of an origin that is certified as `media.example` by an authority in a file.
    ///
    /// - Parameter name: what the base URL calls the origin.
    private func withTLS(
        _ name: String = "media.example",
        trusts: Bool = true,
        script: OriginScript = .sound,
        _ body: (HTTPUnderTest) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory async throws in
            let certificates = try await TestCertificates.make(in: directory, for: "media.example")
            try await FaultyOrigin.with(script, tls: certificates.server) { origin async throws in
                try await TestContext.with { context async throws in
                    guard let url = OriginURL(base: "https://\(name):\(origin.port)/") else { throw UnusableURL() }
                    var settings = testSettings(url)
                    settings.retries = 0
                    settings.authorities = trusts ? certificates.authority : nil
                    let source = HTTPSource(
                        settings,
                        context: context.source,
                        lookUp: { _ in [IPAddress("127.0.0.1")].compactMap(\.self) }
                    )
                    try await body(HTTPUnderTest(source: source, origin: origin))
                }
            }
        }
    }

    @Test("an origin whose authority is configured is read from")
    func trusted() async throws {
        try await withTLS { http async throws in
            #expect(try await outcome(http, "object.mkv") == .whole)
            #expect(http.origin.requests.first?.field("host") == "media.example:\(http.origin.port)")
        }
    }

    @Test("a body goes to it too")
    func upload() async throws {
        try await withTLS(script: OriginScript { .text("\($0.body.count)") }) { http async throws in
            let response = try await http.forward("POST", body: PartsBody(["one", "two"]))
            #expect(try await text(response) == "6")
        }
    }

    @Test("an origin is told nothing whose authority nobody knows")
    func unknownAuthority() async throws {
        try await withTLS(trusts: false) { http async throws in try await expectRefusal(http) }
    }

    @Test("an origin is told nothing that is certified as another", arguments: ["other.example", "127.0.0.1"])
    func wrongName(_ name: String) async throws {
        try await withTLS(name) { http async throws in try await expectRefusal(http) }
    }

    private func expectRefusal(_ http: HTTPUnderTest) async throws {
        #expect(try await openingCode(http, "object.mkv") == .unavailable)
        let body = PartsBody(["one", "two"])
        let error = try await sourceError { _ = try await http.forward("POST", body: body) }
        #expect(error?.code == .unavailable)
        #expect(body.progress.value.taken == 0)
        #expect(http.origin.requests.isEmpty)
    }

    @Test("the configured authority says nothing of the hosts of strangers")
    func stranger() async throws {
        try await withTemporaryDirectory { directory async throws in
            let certificates = try await TestCertificates.make(in: directory, for: "stranger.example")
            try await FaultyOrigin.with(.sound, tls: certificates.server) { stranger async throws in
                let location = "https://stranger.example:\(stranger.port)/"
                try await withHTTP(
                    OriginScript { _ in .redirect(location) },
                    HTTPSetup(
                        lookUp: { _ in [IPAddress("127.0.0.1")].compactMap(\.self) },
                        settings: { settings, _ in
                            settings.authorities = certificates.authority
                            settings.allowsPrivateAddresses = true
                        }
                    )
                ) { http async throws in
                    #expect(try await openingCode(http, "object.mkv") == .unavailable)
                    #expect(stranger.requests.isEmpty)
                }
            }
        }
    }
}
