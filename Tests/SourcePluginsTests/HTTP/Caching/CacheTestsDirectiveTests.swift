import SourcePlugins
import Testing

@Suite("Directives by cache-tests")
struct CacheTestsDirectiveTests {
    @Test("a response's directives are obeyed", arguments: responses)
    func checkResponse(row: CacheTestsRow) throws { try row.run() }

    @Test("a request's directives are obeyed", arguments: requests + pragma)
    func checkRequest(row: CacheTestsRow) throws { try row.run() }

    @Test("a stale response is used as its directives allow", arguments: staleness)
    func checkStale(row: CacheTestsRow) throws { try row.run() }

    @Test("what one user was given for a secret is given to others only if it says so", arguments: authorization)
    func checkAuthorization(row: CacheTestsRow) throws { try row.run() }

    static let responses: [CacheTestsRow] = [
        .init("cc-resp-private-shared", ["Cache-Control": "private, max-age=3600"], .notCached, pause: 0),
        .init("cc-resp-no-store", ["Cache-Control": "no-store"], .notCached, pause: 0),
        .init("cc-resp-no-store-case-insensitive", ["Cache-Control": "No-StOrE"], .notCached, pause: 0),
        .init(
            "cc-resp-no-store-fresh",
            ["Cache-Control": "max-age=10000, no-store", "Expires": 10_000, "Date": 0],
            .notCached,
            pause: 0
        ),
        .init(
            "cc-resp-no-cache",
            ["Cache-Control": "max-age=10000, no-cache", "Expires": 10_000, "Date": 0],
            .notCached,
            pause: 0
        ),
        .init(
            "cc-resp-no-cache-case-insensitive",
            ["Cache-Control": "max-age=10000, No-CaChE", "Expires": 10_000, "Date": 0],
            .notCached,
            pause: 0
        ),
        .init(
            "cc-resp-no-cache-revalidate",
            ["Cache-Control": "no-cache", "ETag": "\"abcd\""],
            .eTagValidated,
            pause: 0
        ),
        .init(
            "cc-resp-no-cache-revalidate-fresh",
            ["Cache-Control": "max-age=10000, no-cache", "Expires": 10_000, "Date": 0, "ETag": "\"abcd\""],
            .eTagValidated,
            pause: 0
        ),
        withheld("headers-omit-headers-listed-in-Cache-Control-no-cache-single", "a", ["a"]),
        withheld("headers-omit-headers-listed-in-Cache-Control-no-cache", "a, b", ["a", "b"]),
        .init(
            "cc-resp-must-revalidate-fresh",
            ["Cache-Control": "max-age=10000, must-revalidate", "ETag": "\"abcd\""],
            .cached,
            pause: 0
        ),
        .init(
            "cc-resp-must-revalidate-stale",
            [
                .init(response: ["Cache-Control": "max-age=2, must-revalidate", "ETag": "\"abcd\""]),
                .init(
                    response: ["Cache-Control": "max-age=2, must-revalidate", "ETag": "\"abcd\""],
                    expected: .cached,
                    pause: 3
                ),
                .init(expected: .eTagValidated),
            ]
        ),
        older("cc-resp-no-store-old-new", "no-store"),
        older("cc-resp-no-store-old-max-age", "no-store, max-age=0"),
    ]

    private static func older(_ id: String, _ newer: String) -> CacheTestsRow {
        CacheTestsRow(
            id,
            [
                .init(
                    response: ["Cache-Control": "max-age=10000", "Expires": 10_000, "Date": 0, "A": "1"],
                    pause: 3
                ),
                .init(response: ["Cache-Control": .text(newer), "Date": 0, "A": "2"], pause: 3),
                .init(expected: .cached, expectedFields: ["A": "1"]),
            ]
        )
    }

    private static func withheld(_ id: String, _ names: String, _ missing: [String]) -> CacheTestsRow {
        let response: CacheTestsRow.Fields = [
            "Cache-Control": .text("no-cache=\"\(names)\""), "a": "1", "b": "2", "c": "3",
            "Cache-Control": "max-age=3600", "Date": 0,
        ]
        return CacheTestsRow(
            id,
            [
                .init(response: response, pause: 3),
                .init(expected: .cached, expectedFields: ["c": "3"], missingFields: missing),
            ]
        )
    }

    static let requests: [CacheTestsRow] = [
        fresh("ccreq-ma0", [:], "max-age=0", .notCached),
        fresh("ccreq-ma1", [:], "max-age=1", .notCached),
        fresh("ccreq-magreaterage", ["Age": "1800"], "max-age=600", .notCached),
        .init(
            "ccreq-max-stale",
            ["Cache-Control": "max-age=2", "Date": 0],
            .cached,
            second: ["Cache-Control": "max-stale=1000"]
        ),
        .init(
            "ccreq-max-stale-age",
            ["Cache-Control": "max-age=1500", "Age": "2000"],
            .cached,
            second: ["Cache-Control": "max-stale=1000"],
            pause: 0
        ),
        .init(
            "ccreq-min-fresh",
            ["Cache-Control": "max-age=1500"],
            .notCached,
            second: ["Cache-Control": "min-fresh=2000"],
            pause: 0
        ),
        .init(
            "ccreq-min-fresh-age",
            ["Cache-Control": "max-age=1500", "Age": "1000"],
            .notCached,
            second: ["Cache-Control": "min-fresh=1000"],
            pause: 0
        ),
        fresh("ccreq-no-cache", [:], "no-cache", .notCached),
        fresh("ccreq-no-cache-lm", ["Last-Modified": -10_000], "no-cache", .dateValidated),
        fresh("ccreq-no-cache-etag", ["ETag": "\"abc\""], "no-cache", .eTagValidated),
        fresh("ccreq-no-store", [:], "no-store", .notCached),
        .init(
            "ccreq-oic",
            [.init(request: ["Cache-Control": "only-if-cached"], expected: .cached, expectedStatus: 504)]
        ),
    ]

    private static func fresh(
        _ id: String,
        _ more: CacheTestsRow.Fields,
        _ directive: String,
        _ expected: CacheTestsRow.Expectation
    ) -> CacheTestsRow {
        var response: CacheTestsRow.Fields = ["Cache-Control": "max-age=100000", "Date": 0]
        response.lines += more.lines
        return CacheTestsRow(id, response, expected, second: ["Cache-Control": .text(directive)])
    }

    static let pragma: [CacheTestsRow] = [
        // The suite's client always sends Cache-Control too.
        .init(
            "pragma-request-no-cache",
            ["Cache-Control": "max-age=100000", "Date": 0],
            .cached,
            second: ["Pragma": "no-cache", "Cache-Control": "nothing-to-see-here"]
        ),
        .init(
            "pragma-request-no-cache alone",
            ["Cache-Control": "max-age=100000", "Date": 0],
            .notCached,
            second: ["Pragma": "foo, No-Cache"]
        ),
        .init(
            "pragma-request-extension",
            ["Cache-Control": "max-age=100000", "Date": 0],
            .cached,
            second: ["Pragma": "unrecognised-extension"]
        ),
        .init("pragma-response-no-cache", ["Cache-Control": "max-age=3600", "Pragma": "no-cache"], .cached, pause: 0),
        .init(
            "pragma-response-no-cache-heuristic",
            ["Date": 0, "Last-Modified": -10_000, "Pragma": "no-cache"],
            .cached,
            pause: 0
        ),
        .init(
            "pragma-response-extension",
            ["Cache-Control": "max-age=3600", "Pragma": "unrecognised-extension"],
            .cached,
            pause: 0
        ),
    ]

    static let staleness: [CacheTestsRow] = [
        stale("stale-close-must-revalidate", "must-revalidate", second: .init(disconnects: true, expectedStatus: 504)),
        stale(
            "stale-close-proxy-revalidate",
            "proxy-revalidate",
            second: .init(disconnects: true, expectedStatus: 504)
        ),
        stale("stale-close-no-cache", "no-cache", second: .init(disconnects: true, expectedStatus: 502)),
        stale("stale-close-s-maxage=2", "s-maxage=2", second: .init(disconnects: true, expectedStatus: 504)),
        // Without a directive that allows it, a broken origin is a broken origin.
        stale("stale-close", "foo", second: .init(disconnects: true, expected: .notCached, expectedStatus: 504)),
        stale("stale-503", "foo", second: .init(status: 503, expected: .notCached)),
        stale("stale-sie-close", "stale-if-error=60", second: .init(disconnects: true, expected: .cached)),
        stale("stale-sie-503", "stale-if-error=60", second: .init(status: 503, expected: .cached, expectedStatus: 200)),
        stale(
            "stale-sie-503 after its window",
            "stale-if-error=1",
            second: .init(status: 503, expected: .notCached, expectedStatus: 503)
        ),
        stale(
            "stale-sie-503 although must-revalidate",
            "must-revalidate, stale-if-error=60",
            second: .init(status: 503, expected: .notCached, expectedStatus: 503)
        ),
        stale("stale-while-revalidate", "stale-while-revalidate=3600", second: .init(expected: .cached)),
        .init(
            "stale-while-revalidate-window",
            [
                .init(
                    response: ["Cache-Control": "max-age=1, stale-while-revalidate=4", "ETag": "\"abc\""],
                    pause: 3
                ),
                .init(response: ["Cache-Control": "no-cache", "ETag": "\"def\""], expected: .cached, pause: 3),
                .init(expected: .notCached),
            ]
        ),
    ]

    private static func stale(_ id: String, _ directive: String, second: CacheTestsRow.Step) -> CacheTestsRow {
        CacheTestsRow(
            id,
            [.init(response: ["Cache-Control": .text("max-age=2, \(directive)"), "Date": 0], pause: 3), second]
        )
    }

    static let authorization: [CacheTestsRow] = [
        authorized("other-authorization", "max-age=100000", .notCached),
        authorized("other-authorization-public", "max-age=3600, public", .cached),
        authorized("other-authorization-must-revalidate", "max-age=3600, must-revalidate", .cached),
        authorized("other-authorization-smaxage", "s-maxage=3600", .cached),
    ]

    private static func authorized(
        _ id: String,
        _ directives: String,
        _ expected: CacheTestsRow.Expectation
    ) -> CacheTestsRow {
        CacheTestsRow(
            id,
            ["Cache-Control": .text(directives), "Date": 0],
            expected,
            request: ["Authorization": "FOO"]
        )
    }
}
