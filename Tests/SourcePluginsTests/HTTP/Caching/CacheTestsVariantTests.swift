import SourcePlugins
import Testing

@Suite("Variants and conditions by cache-tests")
struct CacheTestsVariantTests {
    @Test("a response answers the requests that its Vary takes for the same", arguments: vary + varyForms)
    func checkVary(row: CacheTestsRow) throws { try row.run() }

    @Test("a client that has the response is told so", arguments: conditions)
    func checkCondition(row: CacheTestsRow) throws { try row.run() }

    @Test("a stale response is asked about by its validators", arguments: validations)
    func checkValidation(row: CacheTestsRow) throws { try row.run() }

    static let vary: [CacheTestsRow] = [
        varied("vary-match", "Foo", ["Foo": "1"], ["Foo": "1"], .cached),
        varied("vary-no-match", "Foo", ["Foo": "1"], ["Foo": "2"], .notCached),
        varied("vary-omit-stored", "Foo", [:], ["Foo": "1"], .notCached),
        varied("vary-omit", "Foo", ["Foo": "1"], [:], .notCached),
        varied("vary-empty is not absent", "Foo", ["Foo": ""], [:], .notCached),
        .init(
            "vary-invalidate",
            [
                .init(request: ["Foo": "1"], response: response(vary: "Foo")),
                .init(request: ["Foo": "2"], response: response(vary: "Foo"), expected: .notCached),
                .init(request: ["Foo": "1"], expected: .cached),
            ]
        ),
        varied("vary-cache-key", "Foo", ["Foo": "1", "Other": "2"], ["Foo": "1", "Other": "3"], .cached),
        varied("vary-2-match", "Foo, Bar", ["Foo": "1", "Bar": "abc"], ["Foo": "1", "Bar": "abc"], .cached),
        varied("vary-2-no-match", "Foo, Bar", ["Foo": "1", "Bar": "abc"], ["Foo": "2", "Bar": "abc"], .notCached),
        varied("vary-2-match-omit", "Foo, Bar", ["Foo": "1", "Bar": "abc"], [:], .notCached),
        varied(
            "vary-3-match",
            "Foo, Bar, Baz",
            ["Foo": "1", "Bar": "abc", "Baz": "789"],
            ["Foo": "1", "Bar": "abc", "Baz": "789"],
            .cached
        ),
        varied(
            "vary-3-no-match",
            "Foo, Bar, Baz",
            ["Foo": "1", "Bar": "abc", "Baz": "789"],
            ["Foo": "2", "Bar": "abc", "Baz": "789"],
            .notCached
        ),
        varied(
            "vary-3-order",
            "Foo, Bar, Baz",
            ["Foo": "1", "Bar": "abc", "Baz": "789"],
            ["Foo": "1", "Baz": "789", "Bar": "abcde"],
            .notCached
        ),
        varied("vary-3-omit", "Foo, Bar, Baz", ["Foo": "1", "Baz": "789"], ["Foo": "1", "Baz": "789"], .cached),
        varied("vary-star", "*", ["Foo": "1", "Baz": "789"], ["Foo": "1", "Baz": "789"], .notCached),
        varied("vary-normalise-combine", "Foo", ["Foo": "1, 2"], ["Foo": "1", "Foo": "2"], .cached),
        varied("vary-normalise-space", "Foo", ["Foo": "1,2"], ["Foo": " 1, 2 "], .cached),
        varied("vary-normalise order counts", "Foo", ["Foo": "1,2"], ["Foo": "2,1"], .notCached),
        varied("vary-normalise case counts", "Foo", ["Foo": "a"], ["Foo": "A"], .notCached),
        language("vary-normalise-lang-case", "eN, De", .cached),
        language("vary-normalise-lang-space", " en ,   de", .cached),
        // The order of languages means nothing to the protocol, and something to origins.
        language("vary-normalise-lang-order", "de, en", .notCached),
    ]

    static let varyForms: [CacheTestsRow] =
        [
            ("vary-syntax-star", ["*"]), ("vary-syntax-star-star", ["*, *"]),
            ("vary-syntax-star-star-lines", ["*", "*"]),
            ("vary-syntax-empty-star", [", *"]), ("vary-syntax-empty-star-lines", ["", "*"]),
            ("vary-syntax-star-foo", ["*, Foo"]), ("vary-syntax-foo-star", ["Foo, *"]),
            ("vary-syntax no name", ["Foo, B/r"]),
        ]
        .map { (id: String, lines: [String]) in
            var fields = response(vary: nil)
            fields.lines += lines.map { (name: "Vary", value: .text($0)) }
            let request: CacheTestsRow.Fields = ["Foo": "1", "Baz": "789"]
            return CacheTestsRow(id, fields, .notCached, request: request, second: request, pause: 0)
        }

    private static func response(vary: String?) -> CacheTestsRow.Fields {
        var fields: CacheTestsRow.Fields = ["Cache-Control": "max-age=5000", "Last-Modified": -3000, "Date": 0]
        if let vary { fields.lines.append((name: "Vary", value: .text(vary))) }
        return fields
    }

    private static func varied(
        _ id: String,
        _ vary: String,
        _ first: CacheTestsRow.Fields,
        _ second: CacheTestsRow.Fields,
        _ expected: CacheTestsRow.Expectation
    ) -> CacheTestsRow {
        CacheTestsRow(id, response(vary: vary), expected, request: first, second: second, pause: 0)
    }

    private static func language(
        _ id: String,
        _ second: String,
        _ expected: CacheTestsRow.Expectation
    ) -> CacheTestsRow {
        varied(id, "Accept-Language", ["Accept-Language": "en, de"], ["Accept-Language": .text(second)], expected)
    }

    static let conditions: [CacheTestsRow] = [
        condition("conditional-etag-strong-respond", ["ETag": "\"abcdef\""], ["If-None-Match": "\"abcdef\""], 304),
        .init(
            "conditional-304-etag",
            [
                .init(response: fresh(["ETag": "\"abcdef\""]), pause: 3),
                .init(
                    request: ["If-None-Match": "\"abcdef\""],
                    expected: .cached,
                    expectedStatus: 304,
                    expectedFields: ["ETag": "\"abcdef\"", "Cache-Control": "max-age=100000", "Age": "3"],
                    missingFields: ["Content-Type", "Content-Length"]
                ),
            ]
        ),
        condition(
            "conditional-etag-precedence",
            ["Last-Modified": -5000, "ETag": "\"abcdef\""],
            ["If-None-Match": "\"abcdef\"", "If-Modified-Since": -10_000],
            304
        ),
        condition(
            "conditional-etag-precedence, the other way",
            ["Last-Modified": -5000, "ETag": "\"abcdef\""],
            ["If-None-Match": "\"other\"", "If-Modified-Since": 0],
            200
        ),
        condition(
            "conditional-etag-strong-respond-obs-text",
            ["ETag": "\"abcdefü\""],
            ["If-None-Match": "\"abcdefü\""],
            304
        ),
        // What is no entity tag matches none.
        condition(
            "conditional-etag-quoted-respond-unquoted",
            ["ETag": "\"abcdef\""],
            ["If-None-Match": "abcdef"],
            200
        ),
        condition(
            "conditional-etag-unquoted-respond-quoted",
            ["ETag": "abcdef"],
            ["If-None-Match": "\"abcdef\""],
            200
        ),
        condition(
            "conditional-etag-weak-respond",
            ["ETag": "W/\"abcdef\""],
            ["If-None-Match": "W/\"abcdef\""],
            304
        ),
        condition("conditional-etag weakly", ["ETag": "\"abcdef\""], ["If-None-Match": "W/\"abcdef\""], 304),
        condition(
            "conditional-etag-weak-respond-lowercase",
            ["ETag": "w/\"abcdef\""],
            ["If-None-Match": "w/\"abcdef\""],
            200
        ),
        condition(
            "conditional-etag-strong-respond-multiple-first",
            ["ETag": "\"abcdef\""],
            ["If-None-Match": "\"abcdef\", \"1234\", \"5678\""],
            304
        ),
        condition(
            "conditional-etag-strong-respond-multiple-second",
            ["ETag": "\"abcdef\""],
            ["If-None-Match": "\"1234\", \"abcdef\", \"5678\""],
            304
        ),
        condition(
            "conditional-etag-strong-respond-multiple-last",
            ["ETag": "\"abcdef\""],
            ["If-None-Match": "\"1234\", \"5678\", \"abcdef\""],
            304
        ),
        condition("conditional-etag any", [:], ["If-None-Match": "*"], 304),
        condition("conditional-lm-fresh", ["Last-Modified": -3000], ["If-Modified-Since": -3003], 304),
        condition("conditional-lm-fresh-earlier", ["Last-Modified": -3000], ["If-Modified-Since": -2000], 304),
        condition("conditional-lm-fresh later", ["Last-Modified": -3000], ["If-Modified-Since": -3004], 200),
        condition(
            "conditional-lm-fresh-rfc850",
            ["Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"],
            ["If-Modified-Since": "Sunday, 06-Nov-94 08:49:37 GMT"],
            304
        ),
        condition("conditional-lm no date", ["Last-Modified": -3000], ["If-Modified-Since": "today"], 200),
        // The suite wants 304 here; the response was made after that date (RFC 9111 §4.3.2).
        condition("conditional-lm-fresh-no-lm", [:], ["If-Modified-Since": -3000], 200),
        condition("conditional-lm-fresh-no-lm since then", [:], ["If-Modified-Since": 0], 304),
        .init(
            "conditional-lm-stale",
            [
                .init(response: ["Cache-Control": "max-age=2", "Date": 0, "Last-Modified": -3000], pause: 3),
                .init(request: ["If-Modified-Since": -3003], expected: .dateValidated, expectedStatus: 304),
            ]
        ),
    ]

    private static func fresh(_ more: CacheTestsRow.Fields) -> CacheTestsRow.Fields {
        var fields: CacheTestsRow.Fields = [
            "Cache-Control": "max-age=100000", "Date": 0, "Content-Type": "text/plain", "Content-Length": "36",
        ]
        fields.lines += more.lines
        return fields
    }

    private static func condition(
        _ id: String,
        _ response: CacheTestsRow.Fields,
        _ request: CacheTestsRow.Fields,
        _ status: Int
    ) -> CacheTestsRow {
        CacheTestsRow(
            id,
            [
                .init(response: fresh(response), pause: 3),
                .init(request: request, expected: .cached, expectedStatus: status),
            ]
        )
    }

    static let validations: [CacheTestsRow] = [
        .init(
            "conditional-etag-vary-headers",
            ["Expires": 1, "ETag": "\"abcdef\"", "Date": 0, "Vary": "Abc"],
            .eTagValidated,
            request: ["Abc": "123"],
            second: ["Abc": "123"]
        ),
        .init(
            "conditional-etag-vary-headers-mismatch",
            ["Expires": 10_000, "ETag": "\"abcdef\"", "Date": 0, "Vary": "Abc"],
            .notCached,
            request: ["Abc": "123"],
            second: ["Abc": "456"]
        ),
        .init(
            "conditional-etag-strong-generate",
            ["Cache-Control": "max-age=2", "Date": 0, "ETag": "\"abcdef\""],
            .eTagValidated
        ),
        .init(
            "conditional-etag-weak-generate-weak",
            ["Cache-Control": "max-age=2", "Date": 0, "ETag": "W/\"abcdef\""],
            .eTagValidated
        ),
    ]
}
