import SourcePlugins
import Testing

@Suite("HTTP: where redirects lead")
struct RedirectTrailTests {
    @Test(
        "each step is taken from where the last one led",
        arguments: [
            (["b"], "https://a.example/x/b"), (["/b/", "c"], "https://a.example/b/c"),
            (["//b.example/c"], "https://b.example/c"), (["https://b.example/c/d", "../e"], "https://b.example/e"),
        ]
    )
    func steps(_ references: [String], _ end: String) throws {
        let start = try #require(OriginURL("https://a.example/x/y"))
        var trail = RedirectTrail(from: start, limit: 5)
        #expect(!trail.isRedirected)
        for reference in references { try trail.follow(reference) }
        #expect(trail.isRedirected)
        #expect(trail.url.description == end)
    }

    @Test("a request that has been elsewhere is not at home any more, wherever it is sent to next")
    func home() throws {
        var trail = RedirectTrail(from: try #require(OriginURL("http://a.example/x")), limit: 5)
        try trail.follow("/y")
        #expect(trail.isAtHome)
        try trail.follow("http://b.example/")
        #expect(!trail.isAtHome)
        try trail.follow("http://a.example/z")
        #expect(!trail.isAtHome)
        trail = RedirectTrail(from: try #require(OriginURL("http://a.example/x")), limit: 5)
        try trail.follow("http://a.example:8081/x")
        #expect(!trail.isAtHome)
    }

    @Test(
        "what leads back, nowhere, or out of encryption is not followed",
        arguments: [
            ("http://a.example/x/y", .forbidden), ("http://b.example/", .forbidden), ("y", .unavailable),
            ("https://a.example/x/y", .unavailable), ("#f", .unavailable), ("ftp://a.example/", .unavailable),
            ("https://a.example:22/", .forbidden), ("https://a.example:6000/", .forbidden),
            ("https://u@a.example/", .unavailable), ("https://127.1/", .unavailable),
        ] as [(String, SourceError.Code)]
    )
    func refused(_ reference: String, _ code: SourceError.Code) throws {
        let start = try #require(OriginURL("https://a.example/x/y"))
        var trail = RedirectTrail(from: start, limit: 5)
        let error = #expect(throws: SourceError.self) { try trail.follow(reference) }
        #expect(error?.code == code)
        #expect(trail.url == start)
    }

    @Test("an unencrypted origin may lead to an encrypted one, and that not back")
    func upgrade() throws {
        let start = try #require(OriginURL("http://a.example/"))
        var trail = RedirectTrail(from: start, limit: 5)
        try trail.follow("https://a.example/")
        #expect(throws: SourceError.self) { try trail.follow("http://a.example/b") }
    }

    @Test("there is a limit", arguments: 0...3)
    func limit(_ limit: Int) throws {
        let start = try #require(OriginURL("http://a.example/"))
        var trail = RedirectTrail(from: start, limit: limit)
        for step in 0..<limit { try trail.follow("/\(step)") }
        #expect(throws: SourceError.self) { try trail.follow("/end") }
    }
}
