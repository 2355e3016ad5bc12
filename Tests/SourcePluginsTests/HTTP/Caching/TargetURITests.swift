import SourcePlugins
import Testing

@Suite("TargetURI")
struct TargetURITests {
    @Test(
        "a URI is brought into one form",
        arguments: [
            ("http://h", "http://h/"), ("HTTP://EXAMPLE.org:80/A?b#c", "http://example.org/A?b"),
            ("https://h:443", "https://h/"), ("https://h:80/", "https://h:80/"), ("http://h:/x", "http://h/x"),
            ("http://user:pass@h:81/x", "http://h:81/x"), ("http://[::1]:8080/x", "http://[::1]:8080/x"),
            ("http://[::1]/x", "http://[::1]/x"), ("http://h/a/./b/../c", "http://h/a/c"), ("http://h/..", "http://h/"),
            ("http://h/a/..", "http://h/"), ("http://h/a/.", "http://h/a/"), ("http://h/../../x", "http://h/x"),
            ("http://h//a//b", "http://h//a//b"), ("http://h?q", "http://h/?q"), ("http://h/?", "http://h/?"),
            ("http://h/a%2Fb", "http://h/a%2Fb"), ("http://h/x?/../y", "http://h/x?/../y"),
        ]
    )
    func form(text: String, expected: String) {
        #expect(TargetURI(text)?.description == expected)
    }

    @Test(
        "what is no http or https URI is refused",
        arguments: [
            "", "/x", "h", "ftp://h/", "http:/x", "http://", "http:///x", "http://:80/", "http://h:0/",
            "http://h:65536/",
            "http://h:x/", "http://h:-1/", "http://h/a b", "http://h/\u{fc}", "http://h/\n",
            "http://h:999999999999999999/",
            "http://@/", "mailto:a@b", "http://a:b:80/", "http://[/", "http://[]/", "http://a\\b/", "http://[::1/",
            "http://a\"/",
        ]
    )
    func refused(text: String) {
        #expect(TargetURI(text) == nil)
    }

    // RFC 3986 §5.4, as far as it concerns http.
    @Test(
        "references are resolved against the URI they were found at",
        arguments: [
            ("g", "http://a/b/c/g"), ("./g", "http://a/b/c/g"), ("g/", "http://a/b/c/g/"), ("/g", "http://a/g"),
            ("//g", "http://g/"), ("?y", "http://a/b/c/d;p?y"), ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"), (";x", "http://a/b/c/;x"), ("", "http://a/b/c/d;p?q"), (".", "http://a/b/c/"),
            ("..", "http://a/b/"), ("../g", "http://a/b/g"), ("../..", "http://a/"), ("../../../g", "http://a/g"),
            ("/../g", "http://a/g"), ("g.", "http://a/b/c/g."), ("./../g", "http://a/b/g"),
            ("g/../h", "http://a/b/c/h"), ("https://x/y", "https://x/y"), ("ftp://x/y", nil), ("g:h", nil),
            ("a b", nil),
            ("//h:x/", nil),
        ]
    )
    func resolved(reference: String, expected: String?) throws {
        let base = try #require(TargetURI("http://a/b/c/d;p?q"))
        #expect(base.resolve(reference)?.description == expected)
    }

    @Test(
        "an origin is scheme, host and port",
        arguments: [
            ("http://a/x", true), ("http://A:80/", true), ("http://a:81/", false), ("https://a:80/", false),
            ("http://b/", false),
        ]
    )
    func origin(text: String, isSame: Bool) throws {
        let base = try #require(TargetURI("http://a/b/c/d"))
        #expect(try #require(TargetURI(text)).isSameOrigin(as: base) == isSame)
    }

    @Test(
        "an unsafe request makes invalid what it may have changed, of its own origin",
        arguments: [
            ("PUT", 204, [:], ["http://a/x"]), ("FROB", 200, [:], ["http://a/x"]), ("GET", 200, ["Location": "/y"], []),
            ("QUERY", 200, [:], []), ("POST", 400, ["Location": "/y"], []), ("POST", 500, [:], []),
            ("POST", 303, ["Location": "/y?z"], ["http://a/x", "http://a/y?z"]),
            ("POST", 201, ["Location": "y", "Content-Location": "/x"], ["http://a/x", "http://a/y"]),
            ("POST", 201, ["Location": "http://b/y", "Content-Location": "https://a/y"], ["http://a/x"]),
            ("DELETE", 200, ["Content-Location": "//a:80/z"], ["http://a/x", "http://a/z"]),
        ] as [(String, Int, HeaderFields, [String])]
    )
    func invalidated(method: String, status: Int, fields: HeaderFields, expected: [String]) throws {
        let request = RequestMessage(method: method, target: try #require(TargetURI("http://a/x")))
        let targets = Invalidation.targets(of: request, status: status, fields: fields)
        #expect(targets.map(\.description) == expected)
    }
}
