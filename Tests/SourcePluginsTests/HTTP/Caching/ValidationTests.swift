import SourcePlugins
import Testing

@Suite("Validation")
struct ValidationTests {
    private static let start = Timestamp(seconds: 1_787_659_200)

    private static func date(_ offset: Int64) -> String { HeaderDate.format(seconds: start.seconds + offset) }

    /// Responses of one URI, each a second younger than the one before it.
    ///
    /// - Parameter differ: whether each is for another `Accept`, and not all for none.
    private static func variants(_ validators: [HeaderFields], differ: Bool = false) throws -> [StoredResponse] {
        try validators.enumerated().map { index, validator in
            var fields: HeaderFields = ["Cache-Control": "max-age=10, stale-if-error=1", "Vary": "Accept"]
            fields.set("Date", date(Int64(index)))
            fields.replace(with: validator)
            return StoredResponse(
                status: 200,
                fields: fields,
                freshness: Freshness(message(200, fields), policy: CachingPolicy()),
                variant: try #require(
                    VariantKey(response: fields, request: differ ? ["Accept": "\(index)"] : [:])
                )
            )
        }
    }

    private static func message(_ status: Int, _ fields: HeaderFields, at offset: Int64 = 0) -> ResponseMessage {
        let time = Timestamp(seconds: start.seconds + offset)
        return ResponseMessage(status: status, fields: fields, requestTime: time, responseTime: time)
    }

    private static func request(_ fields: HeaderFields = [:], _ method: String = "GET") throws -> RequestMessage {
        RequestMessage(method: method, target: try #require(TargetURI("http://h/x")), fields: fields)
    }

    private static func validation(
        _ validators: [HeaderFields],
        selected: Int?,
        client: HeaderFields = [:]
    ) throws -> ValidationRequest {
        ValidationRequest(for: try request(client), stored: try variants(validators), selected: selected)
    }

    @Test(
        "the origin is asked with every tag, and with the selected response's date",
        arguments: [
            ([["ETag": "\"a\""]], 0, [:], "\"a\"", nil),
            ([["ETag": "\"a\""], ["ETag": "W/\"b\""], ["ETag": "\"c\""]], 0, [:], "\"a\", \"c\", W/\"b\"", nil),
            ([["ETag": "\"a\""], ["ETag": "\"b\""]], nil, [:], "\"b\", \"a\"", nil),
            ([["ETag": "\"a\"", "Last-Modified": date(-9)]], 0, [:], "\"a\"", date(-9)),
            ([["Last-Modified": date(-9)]], 0, [:], nil, date(-9)),
            // With another's tag, the date would not be looked at.
            ([["Last-Modified": date(-9)], ["ETag": "\"b\""]], 0, [:], nil, date(-9)),
            ([["Last-Modified": date(-9)]], nil, [:], nil, nil),
            ([["Last-Modified": "yesterday"]], 0, [:], nil, nil),
            ([["ETag": "a"]], 0, [:], nil, nil),
            ([["ETag": "\"a\""], ["ETag": "\"a\""]], 0, [:], "\"a\"", nil),
            // The client's own conditions make way for ours, but for its tags.
            ([["ETag": "\"a\""]], 0, ["If-None-Match": "\"x\", \"a\""], "\"a\", \"x\"", nil),
            ([["ETag": "\"a\""]], 0, ["If-None-Match": "*"], "\"a\"", nil),
            ([["ETag": "\"a\""]], 0, ["If-Modified-Since": date(0)], "\"a\"", nil),
            ([["Last-Modified": date(-9)]], 0, ["If-Modified-Since": date(0)], nil, date(-9)),
            ([[:]], 0, ["If-None-Match": "\"x\""], "\"x\"", nil),
        ] as [([HeaderFields], Int?, HeaderFields, String?, String?)]
    )
    func conditions(
        validators: [HeaderFields],
        selected: Int?,
        client: HeaderFields,
        tags: String?,
        since: String?
    ) throws {
        let validation = try Self.validation(validators, selected: selected, client: client)
        #expect(validation.fields.first("if-none-match") == tags)
        #expect(validation.fields.first("if-modified-since") == since)
    }

    @Test("a client's list of tags is not passed on without bound")
    func manyTags() throws {
        let list = (0..<1000).map { "\"\($0)\"" }.joined(separator: ", ")
        let validation = try Self.validation(
            (0..<100).map { ["ETag": "\"s\($0)\""] },
            selected: 0,
            client: ["If-None-Match": list]
        )
        #expect(ETagCondition(validation.fields)?.tags.count == 32)
        #expect(validation.named.count == 16)
    }

    @Test(
        "a 304 is about the responses that its validator names",
        arguments: [
            (["\"a\"", "\"b\""], 1, ["ETag": "\"a\""], .update([0])),
            (["\"a\"", "\"a\""], 1, ["ETag": "\"a\""], .update([1, 0])),
            (["\"a\"", "\"a\""], nil, ["ETag": "\"a\""], .update([0, 1])),
            (["\"a\"", "W/\"a\""], 0, ["ETag": "\"a\""], .update([0])),
            (["W/\"a\""], 0, ["ETag": "\"a\""], .repeatUnconditionally),
            (["\"a\""], 0, ["ETag": "\"c\""], .repeatUnconditionally),
            (["\"a\"", "W/\"a\""], nil, ["ETag": "W/\"a\""], .update([1])),
            (["\"a\"", "W/\"a\""], 0, ["ETag": "W/\"a\""], .update([0])),
            (["\"a\"", "\"b\""], 0, ["ETag": "W/\"c\""], .repeatUnconditionally),
            (["\"a\""], 0, [:], .update([0])),
            (["\"a\"", "\"b\""], 0, [:], .repeatUnconditionally),
        ] as [([String], Int?, HeaderFields, ValidationRequest.Outcome)]
    )
    func tagged(tags: [String], selected: Int?, fields: HeaderFields, expected: ValidationRequest.Outcome) throws {
        let stored = try Self.variants(tags.map { ["ETag": $0] })
        let validation = ValidationRequest(for: try Self.request(), stored: stored, selected: selected)
        #expect(validation.outcome(of: Self.message(304, fields), stored: stored) == expected)
    }

    @Test("a response that the request could not select is neither asked about nor changed by a 304")
    func otherVariants() throws {
        let stored = try Self.variants([["ETag": "\"a\""], ["ETag": "\"a\""], ["ETag": "\"b\""]], differ: true)
        let update = Self.message(304, ["ETag": "\"a\"", "Access-Control-Allow-Origin": "https://one.example"])
        let known = ValidationRequest(for: try Self.request(["Accept": "1"]), stored: stored, selected: 1)
        #expect(known.fields.first("if-none-match") == "\"a\"")
        #expect(known.outcome(of: update, stored: stored) == .update([1]))
        let new = try Self.request(["Accept": "9"])
        let unknown = ValidationRequest(for: new, stored: stored, selected: nil)
        #expect(unknown.fields == new.fields && unknown.isClientsOwn)
        #expect(unknown.outcome(of: update, stored: stored) == .repeatUnconditionally)
        let conditional = try Self.request(["Accept": "9", "If-None-Match": "\"a\""])
        let own = ValidationRequest(for: conditional, stored: stored, selected: nil)
        #expect(own.outcome(of: update, stored: stored) == .passOn)
    }

    @Test(
        "a 304 with a date is about the selected response of that date",
        arguments: [
            ([-9, -9, -5], 0, -9, .update([0])), ([-9, -9, -5], 1, -9, .update([1])),
            ([-9, -5], 0, -5, .update([1])), ([-9], 0, -8, .repeatUnconditionally), ([-9], 0, nil, .update([0])),
        ] as [([Int64], Int, Int64?, ValidationRequest.Outcome)]
    )
    func dated(dates: [Int64], selected: Int, date: Int64?, expected: ValidationRequest.Outcome) throws {
        let stored = try Self.variants(dates.map { ["Last-Modified": Self.date($0)] })
        let validation = ValidationRequest(for: try Self.request(), stored: stored, selected: selected)
        let fields = date.map { ["Last-Modified": Self.date($0)] as HeaderFields } ?? [:]
        #expect(validation.outcome(of: Self.message(304, fields), stored: stored) == expected)
    }

    @Test(
        "a 304 to the client's own conditions is the client's",
        arguments: [
            (["ETag": "\"a\""], ["If-None-Match": "\"x\""], ["ETag": "\"x\""], .passOn),
            (["ETag": "\"a\""], ["If-None-Match": "\"x\""], ["ETag": "W/\"x\""], .passOn),
            (["ETag": "\"a\""], ["If-None-Match": "\"x\""], ["ETag": "\"a\""], .update([0])),
            (["ETag": "\"a\""], ["If-None-Match": "\"x\""], [:], .repeatUnconditionally),
            (["ETag": "\"a\""], ["If-None-Match": "\"a\""], [:], .update([0])),
            ([:], ["If-None-Match": "\"x\""], ["ETag": "\"x\""], .passOn),
            ([:], ["If-Modified-Since": date(0)], ["Last-Modified": date(0)], .passOn),
            ([:], ["If-Modified-Since": date(0)], [:], .update([0])),
            ([:], [:], ["ETag": "\"x\""], .repeatUnconditionally),
        ] as [(HeaderFields, HeaderFields, HeaderFields, ValidationRequest.Outcome)]
    )
    func clients(
        validator: HeaderFields,
        client: HeaderFields,
        fields: HeaderFields,
        expected: ValidationRequest.Outcome
    ) throws {
        let stored = try Self.variants([validator])
        let validation = ValidationRequest(for: try Self.request(client), stored: stored, selected: 0)
        #expect(validation.outcome(of: Self.message(304, fields), stored: stored) == expected)
    }

    @Test("a 304 makes a response as young as it is, with its fields")
    func freshened() throws {
        let stored = try Self.variants([["ETag": "\"a\"", "A": "1", "B": "1", "Content-Length": "5"]])[0]
        let update = Self.message(
            304,
            [
                "Cache-Control": "max-age=100", "ETag": "W/\"a\"", "B": "2", "B": "3", "C": "4", "Content-Length": "0",
                "Connection": "X", "X": "5", "Age": "7",
            ],
            at: 50
        )
        let fresh = stored.freshened(by: update, request: try Self.request(), policy: CachingPolicy())
        #expect(fresh.effect == .replace)
        let response = fresh.response
        #expect(response.fields.values("b") == ["2", "3"])
        #expect(response.fields.first("a") == "1")
        #expect(response.fields.first("c") == "4")
        #expect(response.fields.first("content-length") == "5")
        #expect(response.fields.first("etag") == "\"a\"")
        #expect(response.fields.first("date") == Self.date(50))
        #expect(!response.fields.contains("x") && !response.fields.contains("age"))
        #expect(response.freshness.lifetime == .seconds(100))
        #expect(response.freshness.age(at: Timestamp(seconds: Self.start.seconds + 51)) == .seconds(8))
        #expect(response.variant == stored.variant)
        #expect(response.status == 200)
    }

    @Test("a cookie of a 304 or of HEAD is for whoever asked", arguments: [nil, "c=stored"])
    func cookies(cookie: String?) throws {
        let fields: HeaderFields = cookie.map { ["ETag": "\"a\"", "Set-Cookie": $0] } ?? ["ETag": "\"a\""]
        let stored = try Self.variants([fields])[0]
        let update: HeaderFields = ["ETag": "\"a\"", "Set-Cookie": "c=other", "Set-Cookie2": "c=other", "New": "1"]
        func check(_ fresh: FreshenedResponse) {
            #expect(fresh.effect == .replace)
            #expect(fresh.response.fields.first("new") == "1")
            #expect(fresh.response.fields.values("set-cookie") == [cookie].compactMap { $0 })
            #expect(!fresh.response.fields.contains("set-cookie2"))
        }
        check(stored.freshened(by: Self.message(304, update), request: try Self.request(), policy: CachingPolicy()))
        let outcome = stored.outcome(
            ofHead: Self.message(200, update),
            request: try Self.request([:], "HEAD"),
            policy: CachingPolicy()
        )
        guard case .update(let fresh) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        check(fresh)
    }

    @Test("another Vary in a 304 makes another key, by the request that it answers")
    func otherVary() throws {
        let stored = try Self.variants([["ETag": "\"a\""]], differ: true)[0]
        let request = try Self.request(["Accept": "0", "Foo": "bar"])
        let fresh = stored.freshened(
            by: Self.message(304, ["Vary": "Foo"]),
            request: request,
            policy: CachingPolicy()
        )
        #expect(fresh.response.variant.selectors == [.init(name: "foo", value: "bar")])
        let any = stored.freshened(by: Self.message(304, ["Vary": "*"]), request: request, policy: CachingPolicy())
        #expect(any.effect == .remove(.varyAny))
        #expect(any.response.fields.first("vary") == "*")
    }

    @Test(
        "a 304 may take its response out of the cache, or be one that is not kept",
        arguments: [
            ([:], ["Cache-Control": "no-store"], .remove(.noStore)),
            ([:], ["Cache-Control": "private"], .remove(.isPrivate)), ([:], [:], .replace),
            (["Cache-Control": "no-store"], [:], .keep), (["Authorization": "x"], [:], .keep),
            (["Authorization": "x"], ["Cache-Control": "public, max-age=5"], .replace),
        ] as [(HeaderFields, HeaderFields, FreshenedResponse.Effect)]
    )
    func effects(request: HeaderFields, update: HeaderFields, effect: FreshenedResponse.Effect) throws {
        let stored = try Self.variants([["ETag": "\"a\""]])[0]
        let fresh = stored.freshened(
            by: Self.message(304, update),
            request: try Self.request(request),
            policy: CachingPolicy()
        )
        #expect(fresh.effect == effect)
    }

    @Test(
        "HEAD updates a response that it still describes",
        arguments: [
            (200, [:], true), (200, ["ETag": "\"a\"", "Content-Length": "5", "Last-Modified": date(-9)], true),
            (200, ["ETag": "\"b\""], false), (200, ["ETag": "W/\"a\""], false), (200, ["Content-Length": "6"], false),
            (200, ["Last-Modified": date(-8)], false), (404, [:], false), (410, [:], false), (500, [:], nil),
            (302, [:], nil),
        ] as [(Int, HeaderFields, Bool?)]
    )
    func head(status: Int, fields: HeaderFields, isRight: Bool?) throws {
        let validators: HeaderFields = ["ETag": "\"a\"", "Content-Length": "5", "Last-Modified": Self.date(-9)]
        let stored = try Self.variants([validators])[0]
        let outcome = stored.outcome(
            ofHead: Self.message(status, fields, at: 20),
            request: try Self.request([:], "HEAD"),
            policy: CachingPolicy()
        )
        switch (outcome, isRight) {
        case (.update(let fresh), true):
            #expect(fresh.effect == .replace)
            #expect(fresh.response.fields.first("date") == Self.date(20))
        case (.invalidate, false), (.keep, nil): break
        default: Issue.record("\(outcome)")
        }
    }

    @Test("of the responses that match, the one made last is selected")
    func selection() throws {
        var stored = try Self.variants([[:], [:], [:]], differ: true)
        func selected(_ accept: String, _ method: String = "GET") throws -> Int? {
            let request = try Self.request(["Accept": accept], method)
            return StoredResponse.select(for: request, among: stored)
        }
        #expect(try selected("1") == 1)
        #expect(try selected("1", "HEAD") == 1)
        #expect(try selected("1", "POST") == nil)
        #expect(try selected("9") == nil)
        stored[0].variant = VariantKey(selectors: [])
        #expect(try selected("9") == 0)
        #expect(try selected("1") == 1)
        stored[0].fields.set("Date", Self.date(100))
        #expect(try selected("1") == 0)
    }

    @Test("different keys have different texts and digests")
    func keyTexts() {
        let keys: [VariantKey] = [
            VariantKey(selectors: []), VariantKey(selectors: [.init(name: "a", value: nil)]),
            VariantKey(selectors: [.init(name: "a", value: "")]),
            VariantKey(selectors: [.init(name: "a", value: "b=1:c")]),
            VariantKey(selectors: [.init(name: "a", value: "1"), .init(name: "b", value: "2")]),
            VariantKey(selectors: [.init(name: "a", value: "1;b=1:2")]),
        ]
        #expect(Set(keys.map(\.text)).count == keys.count)
        #expect(Set(keys.map(\.digest)).count == keys.count)
        let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect(VariantKey(selectors: []).digest == digest)
    }
}
