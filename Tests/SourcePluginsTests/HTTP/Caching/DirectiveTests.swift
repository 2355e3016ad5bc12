import SourcePlugins
import Testing

@Suite("Directives")
struct DirectiveTests {
    @Test(
        "lists are divided at commas that are in no quoted string",
        arguments: [
            ("a, b", ["a", "b"]), (",, a ,\t, b ,", ["a", "b"]), ("", []), (" , ", []),
            ("a=\"1, 2\", b", ["a=\"1, 2\"", "b"]), ("\"x, y\",z", ["\"x, y\"", "z"]),
            (#"a="\", no", b"#, [#"a="\", no""#, "b"]),
            // Neither a quote without end nor one inside of a word hides what follows.
            ("a=\"1, b", ["a=\"1", "b"]), ("a\"1, b\"", ["a\"1", "b\""]), (#"a="\", b"#, [#"a="\""#, "b"]),
            // One character with the accent after it, and a comma still.
            ("a,\u{301}b", ["a", "\u{301}b"]),
        ]
    )
    func lists(value: String, members: [String]) {
        #expect(HeaderFields([("list", value)]).list("LIST").map(String.init) == members)
    }

    @Test("field names have no case, and lines of a name stay apart")
    func fields() {
        var fields: HeaderFields = ["Via": " a ", "VIA": "b", "X": "1"]
        #expect(fields.values("via") == ["a", "b"])
        #expect(fields.first("vIa") == "a")
        fields.set("viA", "c")
        #expect(fields.values("Via") == ["c"])
        fields.replace(with: ["x": "2", "x": "3", "Y": "4"])
        #expect(fields.lines.map(\.value) == ["c", "2", "3", "4"])
        fields.remove(["x"])
        #expect(!fields.contains("X"))
    }

    private static func seconds(_ seconds: Int) -> Duration { .seconds(seconds) }

    @Test(
        "times of responses are read strictly, and the shortest counts",
        arguments: [
            ("max-age=5", 5), ("max-age=\"5\"", 5), ("max-age=005", 5), ("MAX-AGE=5", 5), ("max-age=", 0),
            ("max-age", 0), ("max-age=x", 0), ("max-age=-5", 0), ("max-age=5s", 0), ("max-age= 5", 0),
            ("max-age =5", 0), ("max-age=5 6", 0), ("max-age=\"5", 0), ("max-age=٥", 0), ("max-age=5, max-age=6", 5),
            ("max-age=6, max-age=5", 5), ("max-age=6, max-age=x", 0), ("x=\"max-age=9\"", nil), ("max-ages=5", nil),
            ("=5", nil), ("max age=5", nil), ("max-age=99999999999999999999999", 2_147_483_648),
        ]
    )
    func maxAge(value: String, seconds: Int?) {
        let directives = ResponseDirectives(cacheControl: ["Cache-Control": value])
        #expect(directives.maxAge == seconds.map(Self.seconds))
    }

    @Test(
        "no-cache and private may be about some fields",
        arguments: [
            ("", nil), ("no-cache", .wholeResponse), ("no-cache=\"a\"", .fields(["a"])),
            ("no-cache=\"Set-Cookie, B\"", .fields(["set-cookie", "b"])), ("no-cache=a", .fields(["a"])),
            ("no-cache=\"a\", no-cache=b", .fields(["a", "b"])), ("no-cache=\"a\", no-cache", .wholeResponse),
            ("no-cache, no-cache=\"a\"", .wholeResponse), ("no-cache=\"\"", .wholeResponse),
            ("no-cache=", .wholeResponse), ("no-cache =\"a\"", .wholeResponse), ("no-cache=\"a b\"", .wholeResponse),
            // Without these the cache could not treat the response as its origin wants.
            ("no-cache=\"Cache-Control\"", .wholeResponse), ("no-cache=\"a, Vary\"", .wholeResponse),
        ] as [(String, ResponseDirectives.Scope?)]
    )
    func scope(value: String, scope: ResponseDirectives.Scope?) {
        #expect(ResponseDirectives(cacheControl: ["Cache-Control": value]).noCache == scope)
        let asPrivate = value.split(separator: "no-cache", omittingEmptySubsequences: false).joined(
            separator: "private"
        )
        #expect(ResponseDirectives(cacheControl: ["Cache-Control": asPrivate]).isPrivate == scope)
    }

    @Test("an argument too many makes what permits unknown, and leaves what forbids")
    func surplusArguments() {
        let directives = ResponseDirectives(
            cacheControl: ["Cache-Control": "public=1, immutable=1, no-store=1, must-revalidate=1"]
        )
        #expect(!directives.isPublic && !directives.isImmutable)
        #expect(directives.noStore && directives.mustRevalidate)
    }

    @Test(
        "directives of requests that make no sense are ignored",
        arguments: [
            ("max-age=5", 5, nil, nil), ("max-age=x, min-fresh=y, max-stale=z", nil, nil, nil),
            ("max-stale", nil, nil, 2_147_483_648), ("max-stale=7", nil, nil, 7),
            ("max-stale, max-stale=7", nil, nil, 7),
            ("min-fresh=3, min-fresh=4", nil, 4, nil), ("max-age=6, max-age=5", 5, nil, nil),
            ("MIN-FRESH=\"3\"", nil, 3, nil),
        ] as [(String, Int?, Int?, Int?)]
    )
    func request(value: String, maxAge: Int?, minFresh: Int?, maxStale: Int?) {
        let directives = RequestDirectives(["Cache-Control": value])
        #expect(directives.maxAge == maxAge.map(Self.seconds))
        #expect(directives.minFresh == minFresh.map(Self.seconds))
        #expect(directives.maxStale == maxStale.map(Self.seconds))
    }

    @Test(
        "a targeted field is read as a dictionary, or not at all",
        arguments: [
            ("max-age=60", 60), ("max-age=60;foo=bar;baz", 60), ("max-age=60, max-age=5", 5), ("max-age=-60", 0),
            ("foo=(1 2 \"x\";y), max-age=60", 60), ("foo=:aGk=:, bar=1.5, max-age=60 ", 60), ("*a, max-age=60", 60),
            ("max-age=60.0", nil), ("max-age=\"60\"", nil), ("max-age", nil), ("max-age=?1", nil), ("max-age=", nil),
            ("max-age =60", nil), ("Max-Age=60", nil), ("max-age=60,", nil), ("max-age=60,,x", nil),
            ("max-age=60, &", nil), ("max-age=60 foo", nil), ("max-age=60, foo=(1", nil),
            ("max-age=60, no-store=?0", nil),
            ("max-age=60, foo=\"x", nil), ("max-age=60, foo=\"ü\"", nil), ("max-age=60, foo=-", nil),
            ("max-age=60, foo=1234567890123456", nil), ("max-age=60, foo=1.2345", nil), ("", nil), (" ", nil),
            ("max-age=60, foo=:a", nil), ("max-age=60, foo=?2", nil), ("max-age=60;", nil),
            ("max-age=60, foo=(1\"\")", nil),
        ]
    )
    func targeted(value: String, seconds: Int?) {
        let directives = ResponseDirectives(
            targetedField: "CDN-Cache-Control",
            of: ["cdn-cache-control": value, "Cache-Control": "max-age=1"]
        )
        #expect(directives?.maxAge == seconds.map(Self.seconds))
    }

    @Test("a targeted field takes fields as text, and goes over several lines")
    func targetedScope() {
        let directives = ResponseDirectives(
            targetedField: "CDN-Cache-Control",
            of: ["CDN-Cache-Control": "no-cache=\"a, b\"", "CDN-Cache-Control": "must-revalidate, s-maxage=3"]
        )
        #expect(directives?.noCache == .fields(["a", "b"]))
        #expect(directives?.mustRevalidate == true)
        #expect(directives?.sharedMaxAge == .seconds(3))
        #expect(
            ResponseDirectives(targetedField: "CDN-Cache-Control", of: ["CDN-Cache-Control": "no-cache=(a b)"]) == nil
        )
    }
}
