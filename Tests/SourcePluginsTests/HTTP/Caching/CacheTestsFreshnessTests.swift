import SourcePlugins
import Testing

@Suite("Freshness by cache-tests")
struct CacheTestsFreshnessTests {
    @Test("Cache-Control gives the lifetime", arguments: cacheControl + ages)
    func checkCacheControl(row: CacheTestsRow) throws { try row.run() }

    @Test("Expires gives the lifetime where Cache-Control does not", arguments: expires + expiresForms)
    func checkExpires(row: CacheTestsRow) throws { try row.run() }

    @Test("CDN-Cache-Control overrides both, unless it cannot be read", arguments: targeted)
    func checkTargeted(row: CacheTestsRow) throws { try row.run() }

    @Test("Last-Modified lets a lifetime be guessed, of some statuses", arguments: heuristics)
    func checkHeuristics(row: CacheTestsRow) throws { try row.run() }

    @Test("every status may be kept as long as the origin says", arguments: statuses)
    func checkStatus(row: CacheTestsRow) throws { try row.run() }

    static let cacheControl: [CacheTestsRow] = [
        .init("freshness-none", [:], .notCached),
        .init("freshness-max-age", ["Cache-Control": "max-age=3600"], .cached),
        .init("freshness-max-age-stale", ["Cache-Control": "max-age=2", "Date": 0], .notCached),
        .init("freshness-max-age-0", ["Cache-Control": "max-age=0"], .notCached),
        .init("freshness-max-age-max-minus-1", ["Cache-Control": "max-age=2147483647"], .cached),
        .init("freshness-max-age-max", ["Cache-Control": "max-age=2147483648"], .cached),
        .init("freshness-max-age-max-plus-1", ["Cache-Control": "max-age=2147483649"], .cached),
        .init("freshness-max-age-max-plus", ["Cache-Control": "max-age=99999999999"], .cached),
        .init("freshness-max-age-age", ["Date": 0, "Cache-Control": "max-age=3600", "Age": "7200"], .notCached),
        .init("freshness-max-age-date", ["Date": -7200, "Cache-Control": "max-age=3600"], .notCached),
        .init(
            "freshness-max-age-expires",
            ["Cache-Control": "max-age=3600", "Expires": -7200, "Date": 0],
            .cached
        ),
        .init(
            "freshness-max-age-expires-invalid",
            ["Cache-Control": "max-age=3600", "Expires": "0", "Date": 0],
            .cached
        ),
        .init(
            "freshness-max-age-0-expires",
            ["Expires": 3600, "Cache-Control": "max-age=0", "Date": 0],
            .notCached
        ),
        .init("freshness-max-age-extension", ["Cache-Control": "foobar, max-age=3600"], .cached),
        .init("freshness-max-age-case-insenstive", ["Cache-Control": "MaX-aGe=3600"], .cached),
        .init("freshness-max-age-negative", ["Cache-Control": "max-age=-3600"], .notCached),
        .init("freshness-s-maxage-shared", ["Cache-Control": "s-maxage=3600"], .cached),
        .init(
            "freshness-max-age-s-maxage-shared-longer",
            ["Cache-Control": "max-age=3600, s-maxage=1"],
            .notCached
        ),
        .init(
            "freshness-max-age-s-maxage-shared-longer-reversed",
            ["Cache-Control": "s-maxage=1, max-age=3600"],
            .notCached
        ),
        .init(
            "freshness-max-age-s-maxage-shared-longer-multiple",
            ["Cache-Control": "max-age=3600", "Cache-Control": "s-maxage=1"],
            .notCached
        ),
        .init(
            "freshness-max-age-s-maxage-shared-shorter",
            ["Cache-Control": "max-age=1, s-maxage=3600"],
            .cached
        ),
        .init(
            "freshness-max-age-s-maxage-shared-shorter-expires",
            ["Expires": -10, "Cache-Control": "max-age=0, s-maxage=3600"],
            .cached
        ),
        // Of two values the shorter counts.
        .init("freshness-max-age-two-fresh-stale-sameline", ["Cache-Control": "max-age=1800, max-age=1"], .notCached),
        .init(
            "freshness-max-age-two-fresh-stale-sepline",
            ["Cache-Control": "max-age=1800", "Cache-Control": "max-age=1"],
            .notCached
        ),
        .init("freshness-max-age-two-stale-fresh-sameline", ["Cache-Control": "max-age=1, max-age=1800"], .notCached),
        .init(
            "freshness-max-age-two-stale-fresh-sepline",
            ["Cache-Control": "max-age=1", "Cache-Control": "max-age=1800"],
            .notCached
        ),
        .init("freshness-max-age-quoted", ["Cache-Control": "max-age=\"3600\""], .cached),
        .init(
            "freshness-max-age-ignore-quoted",
            ["Cache-Control": "extension=\"max-age=3600\", max-age=1"],
            .notCached
        ),
        .init(
            "freshness-max-age-ignore-quoted-rev",
            ["Cache-Control": "max-age=1, extension=\"max-age=3600\""],
            .notCached
        ),
        .init("freshness-max-age-space-before-equals", ["Cache-Control": "max-age =3600"], .notCached),
        .init("freshness-max-age-space-after-equals", ["Cache-Control": "max-age= 3600"], .notCached),
        .init("freshness-max-age-leading-zero", ["Cache-Control": "max-age=003600"], .cached),
        .init("freshness-max-age-single-quoted", ["Cache-Control": "max-age='3600'"], .notCached),
        .init("freshness-max-age-decimal-zero", ["Cache-Control": "max-age=3600.0"], .notCached),
        .init("freshness-max-age-decimal-five", ["Cache-Control": "max-age=3600.5"], .notCached),
        .init("freshness-max-age-a100", ["Cache-Control": "max-age=a3600"], .notCached),
        .init("freshness-max-age-100a", ["Cache-Control": "max-age=3600a"], .notCached),
    ]

    static let ages: [CacheTestsRow] = [
        age("age-parse-nonnumeric", ["abc"], .cached),
        age("age-parse-negative", ["-7200"], .cached),
        age("age-parse-float", ["7200.0"], .cached),
        age("age-parse-large-minus-one", ["2147483647"], .notCached),
        age("age-parse-large", ["2147483648"], .notCached),
        age("age-parse-larger", ["2147483649"], .notCached),
        age("age-parse-suffix", ["7200, 0"], .notCached),
        age("age-parse-prefix", ["0, 7200"], .cached),
        age("age-parse-suffix-twoline", ["7200", "0"], .notCached),
        age("age-parse-prefix-twoline", ["0", "7200"], .cached),
        age("age-parse-dup-0", ["0, 0"], .cached),
        age("age-parse-dup-0-twoline", ["0", "0"], .cached),
        age("age-parse-dup-old", ["3600", "3600"], .cached, lifetime: 10_000),
        age("age-parse-parameter", ["7200;foo=bar"], .notCached),
        age("age-parse-numeric-parameter", ["7200;foo=111"], .notCached),
    ]

    private static func age(
        _ id: String,
        _ lines: [String],
        _ expected: CacheTestsRow.Expectation,
        lifetime: Int = 3600
    ) -> CacheTestsRow {
        var fields: CacheTestsRow.Fields = ["Date": 0]
        fields.lines.append((name: "Cache-Control", value: .text("max-age=\(lifetime)")))
        fields.lines += lines.map { (name: "Age", value: .text($0)) }
        return CacheTestsRow(id, fields, expected)
    }

    static let expires: [CacheTestsRow] = [
        .init("freshness-expires-future", ["Expires": 2_592_000, "Date": 0], .cached),
        .init("freshness-expires-past", ["Expires": -2_592_000, "Date": 0], .notCached),
        .init("freshness-expires-present", ["Expires": 0, "Date": 0], .notCached, pause: 0),
        .init("freshness-expires-old-date", ["Expires": 300, "Date": 400], .notCached),
        .init("freshness-expires-invalid", ["Expires": "0", "Date": 0], .notCached),
        .init("freshness-expires twice, the later first", ["Expires": 3600, "Expires": 2, "Date": 0], .notCached),
        .init("freshness-expires twice, one no date", ["Expires": 3600, "Expires": "x", "Date": 0], .notCached),
        .init("freshness-expires-invalid-date", ["Date": "foo", "Expires": 10], .cached, pause: 0),
        .init("freshness-expires-age-slow-date", ["Date": -10, "Expires": 10, "Age": "25"], .notCached, pause: 0),
        .init("freshness-expires-age-fast-date", ["Date": 10, "Expires": 20, "Age": "15"], .notCached, pause: 0),
    ]

    static let expiresForms: [CacheTestsRow] =
        [
            ("freshness-expires-32bit", "Tue, 19 Jan 2038 14:14:08 GMT", .cached),
            ("freshness-expires-far-future", "Sun, 21 Nov 2286 04:46:39 GMT", .cached),
            ("freshness-expires-rfc850", "Thursday, 18-Aug-50 02:01:18 GMT", .cached),
            ("freshness-expires-ansi-c", "Thu Aug  8 02:01:18 2050", .cached),
            ("freshness-expires-wrong-case-weekday", "THU, 18 Aug 2050 02:01:18 GMT", .cached),
            ("freshness-expires-wrong-case-month", "Thu, 18 AUG 2050 02:01:18 GMT", .cached),
            ("freshness-expires-wrong-case-tz", "Thu, 18 Aug 2050 02:01:18 gMT", .cached),
            ("freshness-expires-invalid-utc", "Thu, 18 Aug 2050 02:01:18 UTC", .notCached),
            ("freshness-expires-invalid-aest", "Thu, 18 Aug 2050 02:01:18 AEST", .notCached),
            ("freshness-expires-invalid-2-digit-year", "Thu, 18 Aug 50 02:01:18 GMT", .notCached),
            ("freshness-expires-invalid-no-comma", "Thu 18 Aug 2050 02:01:18 GMT", .notCached),
            ("freshness-expires-invalid-multiple-spaces", "Thu, 18  Aug  2050 02:01:18 GMT", .notCached),
            ("freshness-expires-invalid-date-dashes", "Thu, 18-Aug-2050 02:01:18 GMT", .notCached),
            ("freshness-expires-invalid-time-periods", "Thu, 18 Aug 2050 02.01.18 GMT", .notCached),
            ("freshness-expires-invalid-1-digit-hour", "Thu, 18 Aug 2050 2:01:18 GMT", .notCached),
            (
                "freshness-expires-invalid-multiple-lines",
                "Thu, 18 Aug 2050 2:01:18 GMT, Thu, 18 Aug 2050 2:01:19 GMT",
                .notCached
            ),
        ]
        .map { (id: String, text: String, expected: CacheTestsRow.Expectation) in
            CacheTestsRow(id, ["Expires": .text(text), "Date": 0], expected)
        }

    static let targeted: [CacheTestsRow] = [
        .init("cdn-max-age", ["CDN-Cache-Control": "max-age=3600"], .cached),
        .init("cdn-max-age-max", ["CDN-Cache-Control": "max-age=2147483648"], .cached),
        .init("cdn-max-age-max-plus", ["CDN-Cache-Control": "max-age=99999999999"], .cached),
        .init("cdn-max-age-age", ["Date": 0, "CDN-Cache-Control": "max-age=3600", "Age": "7200"], .notCached),
        .init(
            "cdn-max-age-space-before-equals",
            ["Cache-Control": "max-age=1", "CDN-Cache-Control": "max-age =100"],
            .notCached
        ),
        .init(
            "cdn-max-age-space-after-equals",
            ["Cache-Control": "max-age=1", "CDN-Cache-Control": "max-age= 100"],
            .notCached
        ),
        .init("cdn-max-age-0", ["CDN-Cache-Control": "max-age=0"], .notCached),
        .init("cdn-max-age-extension", ["CDN-Cache-Control": "foobar, max-age=3600"], .cached),
        // Keys of structured fields are in lower case.
        .init("cdn-max-age-case-insensitive", ["CDN-Cache-Control": "MaX-aGe=3600"], .notCached),
        .init("cdn-max-age-expires", ["CDN-Cache-Control": "max-age=3600", "Expires": -10_000, "Date": 0], .cached),
        .init(
            "cdn-max-age-cc-max-age-invalid-expires",
            ["CDN-Cache-Control": "max-age=3600", "Expires": "0", "Date": 0],
            .cached
        ),
        .init("cdn-max-age-0-expires", ["CDN-Cache-Control": "max-age=0", "Expires": 10_000, "Date": 0], .notCached),
        .init(
            "cdn-max-age-short-cc-max-age",
            ["Cache-Control": "max-age=1", "CDN-Cache-Control": "max-age=3600"],
            .cached
        ),
        .init(
            "cdn-max-age-long-cc-max-age",
            ["Cache-Control": "max-age=3600", "CDN-Cache-Control": "max-age=1"],
            .notCached
        ),
        .init("cdn without lifetime", ["CDN-Cache-Control": "foo", "Expires": 3600, "Date": 0], .notCached),
        .init("cdn-private", fresh(cdn: "private"), .notCached, pause: 0),
        .init("cdn-no-cache", fresh(cdn: "no-cache"), .notCached, pause: 0),
        .init("cdn-no-store-cc-fresh", fresh(cdn: "no-store"), .notCached),
        .init("cdn-fresh-cc-nostore", ["Cache-Control": "no-store", "CDN-Cache-Control": "max-age=10000"], .cached),
        .init(
            "cdn-cc-invalid-sh-type-unknown",
            ["CDN-Cache-Control": "max-age=10000, &&&&&", "Cache-Control": "no-store"],
            .notCached
        ),
        .init(
            "cdn-cc-invalid-sh-type-wrong",
            ["CDN-Cache-Control": "max-age=\"10000\"", "Cache-Control": "no-store"],
            .notCached
        ),
    ]

    private static func fresh(cdn: String) -> CacheTestsRow.Fields {
        ["CDN-Cache-Control": .text(cdn), "Cache-Control": "max-age=10000", "Expires": 10_000, "Date": 0]
    }

    static let heuristics: [CacheTestsRow] =
        [200, 203, 204, 404, 405, 410, 414, 501].map { heuristic($0, .cached) }
        + [201, 202, 403, 502, 503, 504, 599].map { heuristic($0, .notCached) }
        + [
            .init("heuristic-599-cached", modified(["Cache-Control": "public"]), .cached, status: 599, pause: 0),
            .init("heuristic-delta-5", ["Last-Modified": -5, "Date": 0], .notCached),
            .init("heuristic-delta-30", ["Last-Modified": -30, "Date": 0], .notCached),
            .init("heuristic-delta-60", ["Last-Modified": -60, "Date": 0], .cached),
            .init("heuristic-delta-86400", ["Last-Modified": -86_400, "Date": 0], .cached),
        ]

    private static func heuristic(_ status: Int, _ expected: CacheTestsRow.Expectation) -> CacheTestsRow {
        let ending = expected == .cached ? "cached" : "not_cached"
        return CacheTestsRow("heuristic-\(status)-\(ending)", modified([:]), expected, status: status, pause: 0)
    }

    private static func modified(_ more: CacheTestsRow.Fields) -> CacheTestsRow.Fields {
        var fields: CacheTestsRow.Fields = ["Last-Modified": -86_400, "Date": 0]
        fields.lines += more.lines
        return fields
    }

    static let statuses: [CacheTestsRow] =
        [200, 203, 204, 299, 301, 302, 303, 307, 308, 400, 404, 410, 499, 500, 502, 503, 504, 599].flatMap { status in
            [
                CacheTestsRow(
                    "status-\(status)-fresh",
                    ["Cache-Control": "max-age=100000", "Date": 0],
                    .cached,
                    status: status
                ),
                CacheTestsRow(
                    "status-\(status)-stale",
                    ["Expires": -5000, "Last-Modified": -100_000, "Date": 0],
                    .notCached,
                    status: status
                ),
            ]
        }
        + [
            .init(
                "status-599-must-understand",
                ["Cache-Control": "max-age=3600, no-store, must-understand"],
                .notCached,
                status: 599
            ),
            .init(
                "status-200-must-understand",
                ["Cache-Control": "max-age=3600, no-store, must-understand"],
                .cached
            ),
        ]
}
