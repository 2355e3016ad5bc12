import SourceContract
import SourcePlugins
import Testing

@Suite("HTTP: URLs of origins")
struct OriginURLTests {
    @Test(
        "a URL is brought into one form",
        arguments: [
            ("http://origin.example", "http://origin.example/"),
            ("HTTP://Origin.Example:80/A", "http://origin.example/A"),
            ("https://origin.example:443/", "https://origin.example/"),
            ("http://a.example:8080", "http://a.example:8080/"),
            ("http://127.0.0.1:1/x?y=z#f", "http://127.0.0.1:1/x?y=z"), ("http://[::1]/", "http://[::1]/"),
            ("http://[2001:DB8::1]:8080/a", "http://[2001:db8::1]:8080/a"), ("http://a.example:/", "http://a.example/"),
            ("http://a.example?q", "http://a.example/?q"), ("http://a.example/a/../b/./c", "http://a.example/b/c"),
            ("http://a.example/a b\"é\\", "http://a.example/a%20b%22%C3%A9%5C"),
            ("http://a.example/%zz%4", "http://a.example/%25zz%254"), ("http://a.example/%41", "http://a.example/%41"),
            ("http://a.example/\r\nX: y", "http://a.example/%0D%0AX:%20y"),
        ]
    )
    func form(_ text: String, _ form: String) throws {
        #expect(try #require(OriginURL(text)).description == form)
    }

    @Test(
        "what is no URL of http is none, and nobody's name or password is taken along",
        arguments: [
            "", "/a", "//a.example/", "a.example", "ftp://a.example/", "file:///etc/passwd", "http:/a.example",
            "http:a.example", "http://", "http:///a", "http://u@a.example/", "http://u:p@a.example/",
            "http://a.example@/",
            "http://a.example:0/", "http://a.example:65536/", "http://a.example:80:80/", "http://a.example:x/",
            "http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://[::1/", "http://::1/", "http://a..b/",
            "http://a.example\\@b.example/", "unix:/run/x", "http+unix://x/", "javascript:alert(1)",
            "http://é.example/",
            "http://[fe80::1%25eth0]/", "http:\\\\a.example\\", "1http://a.example/",
        ]
    )
    func refused(_ text: String) {
        #expect(OriginURL(text) == nil)
    }

    @Test(
        "a reference leads where RFC 3986 §5.4 says",
        arguments: [
            ("g", "http://a.example/b/c/g"), ("./g", "http://a.example/b/c/g"), ("g/", "http://a.example/b/c/g/"),
            ("/g", "http://a.example/g"), ("//g.example", "http://g.example/"), ("?y", "http://a.example/b/c/d?y"),
            ("g?y", "http://a.example/b/c/g?y"), ("#s", "http://a.example/b/c/d?q"), ("", "http://a.example/b/c/d?q"),
            (".", "http://a.example/b/c/"), ("..", "http://a.example/b/"), ("../g", "http://a.example/b/g"),
            ("../../g", "http://a.example/g"), ("../../../../g", "http://a.example/g"),
            ("g..", "http://a.example/b/c/g.."),
            ("./../g", "http://a.example/b/g"), ("g?y/../x", "http://a.example/b/c/g?y/../x"),
            ("https://h.example/x", "https://h.example/x"), ("/\\evil.example", "http://a.example/%5Cevil.example"),
        ]
    )
    func reference(_ reference: String, _ target: String) throws {
        let url = try #require(OriginURL("http://a.example/b/c/d?q"))
        #expect(url.resolving(reference)?.description == target)
    }

    @Test(
        "a reference that is no URL of http leads nowhere",
        arguments: ["ftp://x/", "mailto:a@b", "http://u@h/", "//u@h/"]
    )
    func nowhere(_ reference: String) throws {
        #expect(try #require(OriginURL("http://a.example/")).resolving(reference) == nil)
    }

    @Test(
        "a base has no query and no fragment, and ends in a slash",
        arguments: [
            ("http://a.example", "http://a.example/"), ("http://a.example/vod", "http://a.example/vod/"),
            ("http://a.example/vod/", "http://a.example/vod/"), ("http://a.example/?q", nil),
            ("http://a.example/#f", nil),
            ("a.example", nil),
        ] as [(String, String?)]
    )
    func base(_ text: String, _ url: String?) {
        #expect(OriginURL(base: text)?.description == url)
    }

    @Test(
        "a path is put behind the base with every byte escaped that is not unreserved",
        arguments: [
            ("a.mkv", "a.mkv"), ("a/b.mkv", "a/b.mkv"), ("a b+c&d=e?f#g%h.mkv", "a%20b%2Bc%26d%3De%3Ff%23g%25h.mkv"),
            ("été.mkv", "%C3%A9t%C3%A9.mkv"), ("a:b@c;d,e", "a%3Ab%40c%3Bd%2Ce"), ("...", "..."),
            ("..x/x..", "..x/x.."),
        ]
    )
    func path(_ path: String, _ escaped: String) throws {
        let base = try #require(OriginURL(base: "http://a.example/vod"))
        #expect(try base.appending(MediaPath(path)).description == "http://a.example/vod/" + escaped)
    }

    @Test("random references lead nowhere or to a URL that reads the same again")
    func random() throws {
        var random = SplitMix64(seed: 3)
        let url = try #require(OriginURL("http://a.example/b/c?d"))
        let pieces = [
            "http:", "https:", "//", "/", "..", ".", "a", "%", "%41", "?", "#", "@", ":", "80", "[", "]", "::1", "é",
            "\\",
        ]
        for _ in 0..<20_000 {
            let count = Int.random(in: 0..<8, using: &random)
            let reference = (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            guard let target = url.resolving(reference) else { continue }
            #expect(OriginURL(target.description) == target, "\(reference)")
            #expect(target.target.hasPrefix("/"), "\(reference)")
        }
    }
}
