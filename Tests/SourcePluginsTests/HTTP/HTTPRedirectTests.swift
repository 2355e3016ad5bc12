import SourceContract
import SourcePlugins
import Testing

@Suite("HTTP: redirects", .timeLimit(.minutes(5)))
struct HTTPRedirectTests {
    /// What opening comes to when the origin answers `/start` with a redirect to `location`, and everything else well.
    private func code(
        redirectingTo location: String,
        settings: @escaping @Sendable (inout HTTPSettings) -> Void = { _ in },
        lookUp: (@Sendable (String) throws -> [IPAddress])? = nil
    ) async throws -> SourceError.Code? {
        try await withHTTP(
            OriginScript { $0.target == "/start" ? .redirect(location) : OriginObject().reply($0) },
            HTTPSetup(lookUp: lookUp, settings: { changed, _ in settings(&changed) })
        ) { http async throws in try await openingCode(http, "start") }
    }

    @Test("whatever the status, a redirect is followed", arguments: ["301 A", "302 B", "303 C", "307 D", "308 E"])
    func statuses(_ status: String) async throws {
        try await withHTTP(
            OriginScript { request in
                request.target == "/start" ? .redirect("/end", status) : OriginObject().reply(request)
            }
        ) { http async throws in
            #expect(try await outcome(http, "start", 1000..<2000) == .whole)
            #expect(http.origin.requests.map(\.target) == ["/start", "/end", "/start", "/end"])
        }
    }

    @Test(
        "so many redirects in a row are followed, and no more",
        arguments: [(5, nil), (6, .unavailable)] as [(Int, SourceError.Code?)]
    )
    func count(_ count: Int, _ code: SourceError.Code?) async throws {
        try await withHTTP(
            OriginScript { request in
                let step = Int(request.target.dropFirst()) ?? 0
                return step < count ? .redirect("/\(step + 1)") : OriginObject().reply(request)
            }
        ) { http async throws in
            #expect(try await openingCode(http, "0") == code)
            #expect(http.origin.requests.count == 6)
        }
    }

    @Test("a circle is left at once", arguments: ["/start", "start", "#x", "?"])
    func circle(_ location: String) async throws {
        try await withHTTP(OriginScript { _ in .redirect(location) }) { http async throws in
            #expect(try await openingCode(http, "start") == .unavailable)
            #expect(http.origin.requests.count <= 2)
        }
    }

    @Test(
        "a redirect that leads nowhere is a failure of the origin",
        arguments: ["ftp://a.example/", "file:///etc/passwd", "http://u:p@a.example/", "http://127.1/", "unix:/run/x"]
    )
    func nowhere(_ location: String) async throws {
        #expect(try await code(redirectingTo: location) == .unavailable)
    }

    @Test(
        "a redirect to an address that is not for strangers is refused",
        arguments: [
            "http://127.0.0.1:1/", "http://localhost/", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data/",
            "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[fd00::1]/", "http://0.0.0.0/", "http://router/",
            "http://printer.local/", "//127.0.0.1:1/",
        ]
    )
    func refused(_ location: String) async throws {
        #expect(try await code(redirectingTo: location) == .forbidden)
    }

    @Test("a redirect to a name is refused if no address of it is for strangers")
    func refusedName() async throws {
        let code = try await code(
            redirectingTo: "http://media.example/",
            lookUp: { _ in [IPAddress("127.0.0.1"), IPAddress("10.0.0.1")].compactMap(\.self) }
        )
        #expect(code == .forbidden)
    }

    @Test("nobody is connected to who may not be", arguments: [false, true])
    func canary(_ allowsPrivate: Bool) async throws {
        try await FaultyOrigin.with(.sound) { canary async throws in
            let location = "http://127.0.0.1:\(canary.port)/"
            let code = try await code(
                redirectingTo: location,
                settings: { $0.allowsPrivateAddresses = allowsPrivate }
            )
            #expect(code == (allowsPrivate ? nil : .forbidden))
            #expect(canary.requests.count == (allowsPrivate ? 1 : 0))
        }
    }

    @Test("a name is connected to at the address it was vetted with, under its name")
    func vettedAddress() async throws {
        let lookups = Observed<[String]>([])
        try await FaultyOrigin.with(.sound) { target async throws in
            let code = try await code(
                redirectingTo: "http://media.example:\(target.port)/film",
                settings: { $0.allowsPrivateAddresses = true },
                lookUp: { name in
                    lookups.update { $0.append(name) }
                    return IPAddress("127.0.0.1").map { [$0] } ?? []
                }
            )
            #expect(code == nil)
            #expect(target.requests.map { $0.field("host") } == ["media.example:\(target.port)"])
            #expect(lookups.value == ["media.example"])
        }
    }

    @Test("headers go to the origin of the base URL and to nobody else")
    func credentials() async throws {
        try await FaultyOrigin.with(.sound) { target async throws in
            try await withHTTP(
                OriginScript { request in
                    switch request.target {
                    case "/here": .redirect("/there")
                    case "/away": .redirect("http://127.0.0.1:\(target.port)/")
                    default: OriginObject().reply(request)
                    }
                },
                HTTPSetup(settings: { settings, _ in
                    settings.allowsPrivateAddresses = true
                    settings.headers = [OriginHeader("Authorization", .text("Bearer x"))]
                })
            ) { http async throws in
                _ = try await http.open("here")
                _ = try await http.open("away")
                #expect(http.origin.requests.map { $0.field("authorization") == "Bearer x" } == [true, true, true])
                #expect(target.requests.map { $0.field("authorization") } == [nil])
            }
        }
    }
}
