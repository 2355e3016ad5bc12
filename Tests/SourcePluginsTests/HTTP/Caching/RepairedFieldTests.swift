import SourcePlugins
import Testing

/// Bytes that are no UTF-8 are U+FFFD by the time that they are looked at, so that two values may look like one.
@Suite("Fields that are not known to the byte")
struct RepairedFieldTests {
    private static let now = Timestamp(seconds: 1_787_659_200)
    private static let fresh = "max-age=60"

    private static func message(_ status: Int, _ fields: HeaderFields) -> ResponseMessage {
        ResponseMessage(status: status, fields: fields, requestTime: now, responseTime: now)
    }

    private static func request(_ fields: HeaderFields = [:], _ method: String = "GET") throws -> RequestMessage {
        RequestMessage(method: method, target: try #require(TargetURI("http://h/x")), fields: fields)
    }

    private static func stored(_ fields: HeaderFields, for request: HeaderFields = [:]) throws -> StoredResponse? {
        let decision = StoredResponse.decide(
            request: try Self.request(request),
            response: message(200, fields),
            policy: CachingPolicy()
        )
        if case .store(let response) = decision { return response }
        return nil
    }

    @Test("a tag of such bytes is none, in a response and in a condition", arguments: ["", "W/"])
    func tag(weakness: String) throws {
        let tag = weakness + "\"a\u{FFFD}\""
        #expect(ETag(tag) == nil)
        #expect(ETagCondition(["If-None-Match": "\"b\", \(tag), \"c\""])?.tags.map(\.opaque) == ["b", "c"])
        let stored = try #require(try Self.stored(["ETag": tag, "Cache-Control": Self.fresh]))
        #expect(!stored.hasValidator && !stored.fields.contains("etag"))
        #expect(!stored.isNotModified(for: try Self.request(["If-None-Match": tag])))
        #expect(ObjectVersion(size: 1, tag: tag, modified: nil).validator == nil)
    }

    @Test("tags are the same if their bytes are")
    func equality() throws {
        let (one, two) = (try #require(ETag("\"\u{E9}\"")), try #require(ETag("\"e\u{301}\"")))
        #expect(one != two)
        #expect(!one.matchesStrongly(two) && !one.matchesWeakly(two))
        #expect(one == ETag("\"\u{E9}\"") && Set([one, two]).count == 2)
    }

    @Test("requests are the same to a Vary if their bytes are", arguments: ["Cookie", "Foo", "Accept-Language"])
    func variants(name: String) throws {
        let fields: HeaderFields = ["Vary": name, "Cache-Control": Self.fresh]
        let stored = try #require(try Self.stored(fields, for: [name: "\u{E9}"]))
        for (value, isSame) in [("\u{E9}", true), ("e\u{301}", false), ("\u{FFFD}", false)] {
            let request = try Self.request([name: value])
            let found = StoredResponse.select(for: request, among: [stored])
            #expect((found != nil) == isSame)
            #expect(stored.variant.matches(request.fields) == isSame)
        }
        #expect(try Self.stored(fields, for: [name: "id=\u{FFFD}"]) == nil)
        #expect(try Self.stored(fields, for: ["Other": "id=\u{FFFD}"]) != nil)
        let composed = VariantKey(selectors: [.init(name: "a", value: "\u{E9}")])
        #expect(composed != VariantKey(selectors: [.init(name: "a", value: "e\u{301}")]))
    }

    @Test("a 304 with such a tag is about nothing that is stored")
    func notModified() throws {
        let update = Self.message(304, ["ETag": "\"\u{FFFD}\""])
        for validator: HeaderFields in [["ETag": "\"a\""], ["ETag": "\"\u{FFFD}\""], [:]] {
            var fields = validator
            fields.set("Cache-Control", Self.fresh)
            let stored = try #require(try Self.stored(fields))
            let plain = ValidationRequest(for: try Self.request(), stored: [stored], selected: 0)
            #expect(plain.outcome(of: update, stored: [stored]) == .repeatUnconditionally)
            guard stored.eTag == nil else { continue }
            let any = try Self.request(["If-None-Match": "*"])
            let own = ValidationRequest(for: any, stored: [stored], selected: 0)
            #expect(own.outcome(of: update, stored: [stored]) == .passOn)
        }
    }

    @Test("HEAD with such a tag describes nothing that is stored")
    func head() throws {
        let stored = try #require(try Self.stored(["ETag": "\"\u{FFFD}\"", "Cache-Control": Self.fresh]))
        let outcome = stored.outcome(
            ofHead: Self.message(200, ["ETag": "\"\u{FFFD}\"", "Cache-Control": Self.fresh]),
            request: try Self.request([:], "HEAD"),
            policy: CachingPolicy()
        )
        #expect(outcome == .invalidate)
    }

    @Test("a 304 that such a request asked for leaves the variant as it was")
    func freshened() throws {
        let fields: HeaderFields = ["Vary": "Cookie", "Cache-Control": Self.fresh, "ETag": "\"a\""]
        let stored = try #require(try Self.stored(fields, for: ["Cookie": "a"]))
        let fresh = stored.freshened(
            by: Self.message(304, ["ETag": "\"a\""]),
            request: try Self.request(["Cookie": "\u{FFFD}"]),
            policy: CachingPolicy()
        )
        #expect(fresh.effect == .replace)
        #expect(fresh.response.variant == stored.variant)
    }

    @Test(
        "what is compared for a Vary is at most 1 KiB of 32 fields",
        arguments: [
            (["Vary": "Foo"], ["Foo": String(repeating: "a", count: 1021)], true),
            (["Vary": "Foo"], ["Foo": String(repeating: "a", count: 1022)], false),
            (
                ["Vary": "Foo, Bar"],
                ["Foo": String(repeating: "a", count: 512), "Bar": String(repeating: "a", count: 512)], false
            ),
            (["Vary": "Bar"], ["Foo": String(repeating: "a", count: 9000)], true),
            (["Vary": (0..<32).map { "a\($0)" }.joined(separator: ",")], [:], true),
            (["Vary": (0..<33).map { "a\($0)" }.joined(separator: ",")], [:], false),
        ] as [(HeaderFields, HeaderFields, Bool)]
    )
    func limit(vary: HeaderFields, request: HeaderFields, isStored: Bool) throws {
        var fields = vary
        fields.set("Cache-Control", Self.fresh)
        let stored = try Self.stored(fields, for: request)
        #expect((stored != nil) == isStored)
        if let stored {
            let message = try Self.request(request)
            #expect(StoredResponse.select(for: message, among: [stored]) == 0)
        }
    }
}
