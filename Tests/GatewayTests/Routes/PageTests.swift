import Config
import Gateway
import SourceContract
import SourcePlugins
import Testing

@Suite(.timeLimit(.minutes(1))) struct PageTests {
    private static func source() throws -> SyntheticSource {
        let source = SyntheticSource()
        try source.put("film.mkv", size: 1000)
        try source.put("film.en.srt", size: 100)
        try source.put("series/one.mp4", size: 1000)
        return source
    }

    @Test("the landing page leads to a film in one click")
    func landing() async throws {
        try await TestGateway.with(Self.source(), .init(disabled: "films")) { gateway in
            let page = try await gateway.client().request("/", fields: ["Accept: text/html"])
            #expect(page.status == 200)
            #expect(page["Content-Type"] == Page.contentType)
            #expect(page["Content-Security-Policy"] == Page.contentSecurityPolicy)
            #expect(page.text.contains("/media/film.mkv?play"))
            #expect(page.text.contains("plugins.d/films.toml"))
        }
    }

    @Test("what is mounted at the root is listed for programs and players, and from the landing page")
    func rootListing() async throws {
        try await TestGateway.with(Self.source(), .init(mount: "/")) { gateway in
            let client = try await gateway.client()
            let landing = try await client.request("/", fields: ["Accept: text/html"])
            #expect(landing.text.contains(#"href="/?format=html""#))
            let page = try await client.request("/?format=html", fields: ["Accept: text/html"])
            #expect(page.text.contains(#"href="/series/""#))
            #expect(try await client.request("/").text.contains(#""url":"/series/""#))
            #expect(try await client.request("/?format=m3u").text.contains("http://gateway.test/film.mkv\n"))
            let below = try await client.request("/series/", fields: ["Accept: text/html"])
            #expect(below.text.contains(#"href="/?format=html" rel="up""#))
        }
    }

    @Test("a directory is a page for browsers, JSON for programs, and a playlist for players")
    func listing() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            let page = try await client.request("/media/", fields: ["Accept: text/html,*/*;q=0.8"])
            #expect(page["Content-Type"] == Page.contentType)
            #expect(page.text.contains("film.mkv"))
            let json = try await client.request("/media/")
            #expect(json["Content-Type"] == "application/json")
            #expect(json.text.contains(#""url":"/media/series/""#))
            let playlist = try await client.request("/media/?format=m3u")
            #expect(playlist["Content-Type"] == Playlist.mediaType)
            #expect(playlist.text.contains("http://gateway.test/media/film.mkv\n"))
            let one = try await client.request("/media/series/one.mp4?format=m3u")
            #expect(one.text.contains("http://gateway.test/media/series/one.mp4\n"))
        }
    }

    @Test(
        "a playlist has the scheme and host that a trusted proxy tells, if they are sound",
        arguments: [
            (true, "evil, HTTPS", "evil, media.example:8443", "https://media.example:8443"),
            (true, "http", "media.example", "http://media.example"),
            (true, "javascript", "a/b", "http://gateway.test"), (true, "https", "", "https://gateway.test"),
            (false, "https", "media.example", "http://gateway.test"),
        ]
    )
    func proxied(isTrusted: Bool, scheme: String, host: String, base: String) async throws {
        var options = TestGateway.Options()
        if isTrusted, let range = AddressRange("127.0.0.0/8") { options.trustedProxies = [range] }
        try await TestGateway.with(Self.source(), options) { gateway in
            let fields = ["X-Forwarded-Proto: \(scheme)", "X-Forwarded-Host: \(host)"]
            let playlist = try await gateway.client().request("/media/series/one.mp4?format=m3u", fields: fields)
            #expect(playlist.text.contains("\n\(base)/media/series/one.mp4\n"))
        }
    }

    @Test("a film has a player page, and other files have none")
    func player() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            #expect(try await client.request("/media/film.mkv?play").text.contains("<video"))
            #expect(try await client.request("/media/film.en.srt?play").status == 404)
            #expect(try await client.request("/media/none.mkv?play").status == 404)
        }
    }

    @Test("a directory without its slash, and the bare mount, are redirected")
    func redirects() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            for (path, location) in [
                ("/media", "/media/"), ("/media?format=m3u", "/media/?format=m3u"), ("/media/series", "/media/series/"),
            ] {
                let answer = try await client.request(path)
                #expect(answer.status == 308)
                #expect(answer["Location"] == location)
            }
        }
    }

    @Test("a subtitle in SubRip is given as WebVTT by its other name")
    func subtitle() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            let answer = try await client.request("/media/film.en.vtt")
            #expect(answer.status == 200)
            #expect(answer["Content-Type"] == "text/vtt; charset=utf-8")
            #expect(answer.text.hasPrefix("WEBVTT"))
            let tag = try #require(answer["ETag"])
            #expect(try await client.request("/media/film.en.vtt", fields: ["If-None-Match: \(tag)"]).status == 304)
            #expect(try await client.request("/media/film.en.vtt", fields: ["If-Match: \"x\""]).status == 412)
            #expect(try await client.request("/media/none.vtt").status == 404)
        }
    }

    @Test("a subtitle that is too large to be converted is refused, and is there by its own name")
    func largeSubtitle() async throws {
        let source = try Self.source()
        let limit = Int64(SubtitleConverter.inputLimit)
        try source.put("film.srt", size: limit + 1)
        try source.put("film.de.srt", size: limit)
        try await TestGateway.with(source) { gateway in
            let client = try await gateway.client()
            let answer = try await client.request("/media/film.vtt")
            #expect(answer.status == 422)
            #expect(answer.text.contains("too large to be converted"))
            #expect(try await client.request("/media/film.srt").status == 200)
            #expect(try await client.request("/media/film.de.vtt").status == 200)
        }
    }

    @Test("a source that is off says where to turn it on")
    func disabled() async throws {
        try await TestGateway.with(Self.source(), .init(disabled: "films")) { gateway in
            let answer = try await gateway.client().request("/films/a.mkv")
            #expect(answer.status == 404)
            #expect(answer.text.contains("plugins.d/films.toml:2:1"))
            #expect(answer.text.contains("source_disabled"))
        }
    }

    @Test("what is nowhere is 404 as a problem with the request's id")
    func nowhere() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            for path in ["/nope", "/mediax/film.mkv", "/media/none", "/media/film.mkv/"] {
                let answer = try await client.request(path)
                #expect(answer.status == 404)
                let id = try #require(answer["X-Request-Id"])
                #expect(answer.text.contains(id))
            }
        }
    }

    @Test("download gives a file to save, under its own name")
    func download() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let answer = try await gateway.client().request("/media/film.mkv?download")
            #expect(answer["Content-Disposition"] == #"attachment; filename="film.mkv""#)
            #expect(answer["Content-Type"] == "video/x-matroska")
        }
    }
}
