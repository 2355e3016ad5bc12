import SourcePlugins
import Testing

@Suite("Fields and methods by cache-tests")
struct CacheTestsFieldTests {
    @Test("every field is stored but those of a connection or a proxy", arguments: stored)
    func checkStored(row: CacheTestsRow) throws { try row.run() }

    @Test("a 304 replaces fields but those of the body", arguments: updated)
    func checkUpdated(row: CacheTestsRow) throws { try row.run() }

    @Test("HEAD brings what is stored up to date", arguments: heads)
    func checkHead(row: CacheTestsRow) throws { try row.run() }

    @Test("what changes a resource makes its stored responses invalid", arguments: invalidation)
    func checkInvalidation(row: CacheTestsRow) throws { try row.run() }

    @Test("an answer from the cache tells its age, and leaves the dates alone", arguments: others)
    func checkOthers(row: CacheTestsRow) throws { try row.run() }

    /// Names, two values, and whether a 304 brings the second about; `nil` for what is never stored.
    private static let names: [(name: String, values: (String, String), isUpdated: Bool?)] = [
        ("Test-Header", ("a", "b"), true), ("X-Test-Header", ("a", "b"), true), ("Content-Foo", ("a", "b"), true),
        ("X-Content-Foo", ("a", "b"), true), ("Cache-Control", ("max-age=1", "max-age=3600"), true),
        ("Connection", ("a", "b"), nil), ("Content-Encoding", ("a", "b"), false),
        ("Content-Length", ("36", "10"), false), ("Content-Location", ("/foo", "/bar"), true),
        ("Content-MD5", ("rL0Y20zC+Fzt72VPzMSk2A==", "N7UdGUp1E+RbVvZSTy1R8g=="), true),
        // The suite wants it stored; there is no range of which it would tell.
        ("Content-Range", ("a", "b"), nil),
        ("Content-Security-Policy", ("default-src 'self'", "default-src 'self' cdn.example.com"), true),
        ("Content-Type", ("text/plain", "text/plain;charset=utf-8"), true),
        ("Clear-Site-Data", ("cache", "cookies"), true),
        ("Expires", ("Fri, 01 Jan 2038 01:01:01 GMT", "Mon, 11 Jan 2038 11:11:11 GMT"), true),
        ("Keep-Alive", ("a", "b"), nil), ("Proxy-Authenticate", ("a", "b"), nil),
        ("Proxy-Authentication-Info", ("a", "b"), nil), ("Proxy-Authorization", ("a", "b"), nil),
        ("Proxy-Connection", ("a", "b"), nil), ("Public-Key-Pins", ("a", "b"), true),
        ("Set-Cookie", ("a=b", "a=c"), false), ("Set-Cookie2", ("a=b", "a=c"), false), ("TE", ("a", "b"), nil),
        ("Transfer-Encoding", ("a", "b"), nil), ("Upgrade", ("a", "b"), nil),
        ("X-Frame-Options", ("deny", "sameorigin"), true), ("X-XSS-Protection", ("1", "1; mode=block"), true),
    ]

    static let stored: [CacheTestsRow] =
        names.map { name, values, isUpdated in
            var response: CacheTestsRow.Fields = ["Date": 0]
            response.lines.append((name: name, value: .text(values.1)))
            if name != "Cache-Control" { response.lines.append((name: "Cache-Control", value: "max-age=3600")) }
            return CacheTestsRow(
                "headers-store-\(name)",
                [
                    .init(response: response, pause: 3),
                    .init(
                        expected: .cached,
                        expectedFields: isUpdated == nil ? [:] : [name: values.1],
                        missingFields: isUpdated == nil ? [name] : []
                    ),
                ]
            )
        }
        + [
            .init(
                "headers-omit-headers-listed-in-Connection",
                [
                    .init(
                        response: [
                            "Cache-Control": "max-age=100000", "Date": 0, "Connection": "a, b", "a": "1", "b": "2",
                            "c": "3",
                        ],
                        pause: 3
                    ),
                    .init(expected: .cached, expectedFields: ["c": "3"], missingFields: ["a", "b", "Connection"]),
                ]
            )
        ]

    static let updated: [CacheTestsRow] =
        names.compactMap { name, values, isUpdated in
            guard let isUpdated else { return nil }
            let expected = isUpdated ? values.1 : values.0
            return CacheTestsRow(
                "304-etag-update-response-\(name)",
                [
                    .init(response: tagged(name, values.0), pause: 3),
                    .init(
                        response: tagged(name, values.1),
                        expected: .eTagValidated,
                        expectedStatus: 200,
                        expectedFields: [name: expected]
                    ),
                    .init(expected: .cached, expectedFields: [name: expected]),
                ]
            )
        }
        + [
            .init(
                "304-lm-use-stored-Test-Header",
                [
                    .init(
                        response: [
                            "Cache-Control": "max-age=2", "Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT", "Date": 0,
                            "Test-Header": "a",
                        ],
                        pause: 3
                    ),
                    .init(
                        response: ["Last-Modified": "Wed, 01 Jan 2020 00:00:00 GMT", "Date": 0],
                        expected: .dateValidated,
                        expectedStatus: 200,
                        expectedFields: ["Test-Header": "a"]
                    ),
                ]
            )
        ]

    private static func tagged(_ name: String, _ value: String) -> CacheTestsRow.Fields {
        var fields: CacheTestsRow.Fields = ["Date": 0, "ETag": "\"tag\""]
        fields.lines.append((name: name, value: .text(value)))
        if name != "Cache-Control" { fields.lines.append((name: "Cache-Control", value: "max-age=2")) }
        return fields
    }

    static let heads: [CacheTestsRow] = [
        head("head-writethrough", .init(method: "HEAD", expected: .notCached)),
        head("head-200-retain", .init(method: "HEAD", expectedFields: ["Template-A": "1"])),
        head(
            "head-200-freshness-update",
            .init(method: "HEAD", response: ["Cache-Control": "max-age=1000"]),
            .init(expected: .cached)
        ),
        head(
            "head-200-update",
            .init(method: "HEAD", response: ["Template-A": "2", "Cache-Control": "max-age=1000"]),
            .init(expected: .cached, expectedFields: ["Template-A": "2"])
        ),
        // Another status tells of another response: what is stored is not brought up to date by it.
        head(
            "head-410-update",
            .init(method: "HEAD", status: 410, response: ["Template-A": "2", "Cache-Control": "max-age=1000"]),
            .init(expected: .notCached)
        ),
        head(
            "head with another length",
            .init(method: "HEAD", response: ["Content-Length": "37", "Cache-Control": "max-age=1000"]),
            .init(expected: .notCached)
        ),
        head(
            "head is answered from GET",
            .init(expected: .notCached),
            .init(method: "HEAD", expected: .notCached)
        ),
    ]

    private static func head(_ id: String, _ steps: CacheTestsRow.Step...) -> CacheTestsRow {
        let first = CacheTestsRow.Step(
            response: ["Cache-Control": "max-age=2", "Date": 0, "Template-A": "1", "Content-Length": "36"],
            pause: 3
        )
        return CacheTestsRow(id, [first] + steps)
    }

    static let invalidation: [CacheTestsRow] =
        ["POST", "PUT", "DELETE", "M-SEARCH"].flatMap { method in
            [
                invalidated("invalidate-\(method)", .init(method: method), .notCached),
                invalidated("invalidate-\(method)-failed", .init(method: method, status: 500), .cached),
                invalidated(
                    "invalidate-\(method)-location",
                    .init(method: method, target: "form", response: ["Location": "/test/abc/page"]),
                    .notCached
                ),
                invalidated(
                    "invalidate-\(method)-cl",
                    .init(method: method, target: "form", response: ["Content-Location": "page"]),
                    .notCached
                ),
                invalidated(
                    "invalidate-\(method)-location of another origin",
                    .init(method: method, target: "form", response: ["Location": "http://other.example/test/abc/page"]),
                    .cached
                ),
            ]
        }
        + [
            invalidated("invalidate-OPTIONS", .init(method: "OPTIONS"), .cached),
            .init(
                "method-POST",
                [
                    .init(
                        method: "POST",
                        request: ["Content-Length": "5"],
                        response: ["Cache-Control": "max-age=3600", "Content-Location": "/test/abc/", "Date": 0],
                        pause: 3
                    ),
                    .init(expected: .cached),
                ]
            ),
            .init(
                "method-POST of another URI",
                [
                    .init(
                        method: "POST",
                        response: ["Cache-Control": "max-age=3600", "Content-Location": "/test/abc/x", "Date": 0]
                    ),
                    .init(expected: .notCached),
                    .init(target: "x", expected: .notCached),
                ]
            ),
        ]

    private static func invalidated(
        _ id: String,
        _ change: CacheTestsRow.Step,
        _ expected: CacheTestsRow.Expectation
    ) -> CacheTestsRow {
        var change = change
        if change.target.isEmpty { change.target = "page" }
        let first = CacheTestsRow.Step(
            target: "page",
            response: ["Cache-Control": "max-age=100000", "Date": 0],
            pause: 3
        )
        return CacheTestsRow(id, [first, change, .init(target: "page", expected: expected)])
    }

    static let others: [CacheTestsRow] = [
        aged("other-age-gen", ["Cache-Control": "max-age=100000"], ["Age": "3"]),
        aged("other-age-update-expires", ["Expires": 2_592_000, "Age": "30"], ["Age": "33"]),
        aged("other-age-update-max-age", ["Cache-Control": "max-age=100000", "Age": "30"], ["Age": "33"]),
        aged("other-date-update", ["Cache-Control": "max-age=100000"], ["Date": startDate]),
        aged("other-date-update-expires", ["Expires": 2_592_000], ["Date": startDate]),
        aged("other-date-update-expires-update", ["Expires": 0, "Cache-Control": "max-age=9"], ["Expires": startDate]),
        aged(
            "cdn-date-update-exceed",
            ["Cache-Control": "max-age=1", "CDN-Cache-Control": "max-age=10000"],
            ["Date": startDate, "Age": "3", "CDN-Cache-Control": "max-age=10000"]
        ),
        aged(
            "other-heuristic-content-disposition-attachment",
            ["Last-Modified": -100_000, "Content-Disposition": "attachment; filename=example.txt"],
            [:]
        ),
        aged("headers-store-ETag", ["Cache-Control": "max-age=3600", "ETag": "\"ghijkl\""], ["ETag": "\"ghijkl\""]),
        aged(
            "cdn-expires-update-exceed",
            ["Cache-Control": "max-age=1", "Expires": 0, "CDN-Cache-Control": "max-age=10000"],
            ["Expires": startDate]
        ),
        aged(
            "other-fresh-content-disposition-attachment",
            ["Cache-Control": "max-age=100000", "Content-Disposition": "attachment; filename=example.txt"],
            [:]
        ),
        aged("other-set-cookie", ["Cache-Control": "max-age=100000", "Set-Cookie": "a=b"], ["Set-Cookie": "a=b"]),
        .init(
            "other-cookie",
            ["Cache-Control": "max-age=100000", "Date": 0],
            .cached,
            second: ["Cookie": "a=b"]
        ),
        .init(
            "query-args-different",
            [
                .init(target: "?test=1", response: ["Cache-Control": "max-age=100000", "Date": 0], pause: 3),
                .init(target: "?test=2", expected: .notCached),
                .init(target: "?test=1", expected: .cached),
            ]
        ),
        .init(
            "partial-use-stored-headers",
            ["Cache-Control": "max-age=3600", "A": "1"],
            .cached,
            second: ["Range": "bytes=0-1"],
            pause: 0
        ),
    ]

    private static let startDate = HeaderDate.format(seconds: CacheTestsRow.start.seconds)

    private static func aged(
        _ id: String,
        _ response: CacheTestsRow.Fields,
        _ expected: HeaderFields
    ) -> CacheTestsRow {
        var response = response
        response.lines.append((name: "Date", value: 0))
        return CacheTestsRow(
            id,
            [.init(response: response, pause: 3), .init(expected: .cached, expectedFields: expected)]
        )
    }
}
