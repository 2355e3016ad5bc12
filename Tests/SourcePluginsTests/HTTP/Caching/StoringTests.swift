import SourcePlugins
import Testing

@Suite("Storing")
struct StoringTests {
    static let now = Timestamp(seconds: 1_787_659_200)
    private static let date = HeaderDate.format(seconds: now.seconds)
    private static let dayBefore = HeaderDate.format(seconds: now.seconds - 86_400)

    private static func decide(
        _ method: String,
        _ request: HeaderFields,
        _ status: Int,
        _ response: HeaderFields,
        policy: CachingPolicy = CachingPolicy()
    ) throws -> StoreDecision {
        StoredResponse.decide(
            request: RequestMessage(method: method, target: try #require(TargetURI("http://h/x")), fields: request),
            response: ResponseMessage(status: status, fields: response, requestTime: now, responseTime: now),
            policy: policy
        )
    }

    private static func stored(
        _ response: HeaderFields,
        policy: CachingPolicy = CachingPolicy()
    ) throws -> StoredResponse {
        guard case .store(let stored) = try decide("GET", [:], 200, response, policy: policy) else {
            throw Refused()
        }
        return stored
    }

    private struct Refused: Error {}

    @Test(
        "what may not be stored is refused, with the reason",
        arguments: [
            ("HEAD", [:], 200, ["Cache-Control": "max-age=5"], .method),
            ("PUT", [:], 200, ["Cache-Control": "max-age=5"], .method),
            ("POST", [:], 200, ["Cache-Control": "max-age=5"], .method),
            ("POST", [:], 200, ["Content-Location": "/x", "Last-Modified": dayBefore], .method),
            ("POST", [:], 302, ["Content-Location": "/x", "Cache-Control": "max-age=5"], .method),
            ("get", [:], 200, ["Cache-Control": "max-age=5"], .method),
            ("GET", ["Content-Length": "3"], 200, ["Cache-Control": "max-age=5"], .method),
            ("GET", ["Transfer-Encoding": "chunked"], 200, ["Cache-Control": "max-age=5"], .method),
            ("GET", ["Cache-Control": "no-store"], 200, ["Cache-Control": "max-age=5"], .requestNoStore),
            ("GET", [:], 103, ["Cache-Control": "max-age=5"], .status),
            ("GET", [:], 304, ["Cache-Control": "max-age=5"], .status),
            ("GET", [:], 416, ["Cache-Control": "max-age=5"], .status),
            ("GET", [:], 999, ["Cache-Control": "max-age=5"], .status),
            ("GET", [:], 206, ["Cache-Control": "max-age=5"], .partial),
            ("GET", [:], 299, ["Cache-Control": "max-age=5, must-understand"], .notUnderstood),
            ("GET", [:], 200, ["Cache-Control": "max-age=5, no-store"], .noStore),
            ("GET", [:], 200, ["Cache-Control": "max-age=5, private"], .isPrivate),
            ("GET", ["Authorization": "x"], 200, ["Cache-Control": "max-age=5"], .authorization),
            ("GET", ["Cookie": "id=\u{FFFD}"], 200, ["Cache-Control": "max-age=5", "Vary": "Cookie"], .method),
            ("GET", [:], 200, ["Cache-Control": "max-age=5", "Vary": "*"], .varyAny),
            ("GET", [:], 200, [:], .noUse),
            ("GET", [:], 200, ["Cache-Control": "public"], .noUse),
            ("GET", [:], 200, ["Cache-Control": "max-age=0"], .noUse),
            ("GET", [:], 200, ["Cache-Control": "max-age=5, no-cache"], .noUse),
            ("GET", [:], 200, ["Expires": "0"], .noUse),
            ("GET", [:], 302, ["ETag": "\"a\""], .noUse),
            ("GET", [:], 302, ["Last-Modified": dayBefore], .noUse),
        ] as [(String, HeaderFields, Int, HeaderFields, StoreRefusal)]
    )
    func refused(
        method: String,
        request: HeaderFields,
        status: Int,
        response: HeaderFields,
        refusal: StoreRefusal
    ) throws {
        #expect(try Self.decide(method, request, status, response) == .refuse(refusal))
    }

    @Test(
        "the rest is stored",
        arguments: [
            (200, ["ETag": "\"a\""]), (200, ["Last-Modified": dayBefore]), (200, ["Cache-Control": "max-age=5"]),
            (302, ["Cache-Control": "max-age=5"]), (404, ["ETag": "\"a\""]), (500, ["Cache-Control": "s-maxage=5"]),
            (200, ["Cache-Control": "no-cache", "ETag": "\"a\""]), (200, ["Cache-Control": "max-age=5, private=\"a\""]),
            (200, ["Cache-Control": "max-age=0, stale-while-revalidate=5"]),
            (200, ["Cache-Control": "max-age=5", "Set-Cookie": "a=b"]),
            (302, ["Cache-Control": "public", "Last-Modified": dayBefore]),
        ] as [(Int, HeaderFields)]
    )
    func stored(status: Int, response: HeaderFields) throws {
        guard case .store = try Self.decide("GET", [:], status, response) else {
            Issue.record("refused")
            return
        }
    }

    @Test("fields that are withheld, of a connection, or of another time are not stored")
    func fields() throws {
        let stored = try Self.stored([
            "Cache-Control": "max-age=5, private=\"a\", no-cache=\"Set-Cookie\"", "A": "1", "Set-Cookie": "2",
            "Age": "1",
            "Connection": "Close, X-Hop, Cache-Control", "X-Hop": "3", "B": "4", "Proxy-Authenticate": "5",
            "Content-Range": "bytes 0-1/2",
        ])
        #expect(stored.fields.lines.map(\.name) == ["Cache-Control", "B", "Date"])
        #expect(stored.fields.first("date") == Self.date)
        #expect(stored.freshness.initialAge == .seconds(1))
    }

    @Test("a Date that can be read stays as it was written", arguments: ["Sunday, 06-Nov-94 08:49:37 GMT", "x"])
    func date(text: String) throws {
        let stored = try Self.stored(["ETag": "\"a\"", "Date": text])
        #expect(stored.fields.first("date") == (text == "x" ? Self.date : text))
    }

    @Test(
        "cookies are stored, left out or a reason not to store, as the operator says",
        arguments: [.store, .omit, .refuse] as [CachingPolicy.SetCookie]
    )
    func cookies(setCookie: CachingPolicy.SetCookie) throws {
        var policy = CachingPolicy()
        policy.setCookie = setCookie
        let decision = try Self.decide(
            "GET",
            [:],
            200,
            ["Cache-Control": "max-age=5", "Set-Cookie": "a=b"],
            policy: policy
        )
        switch (setCookie, decision) {
        case (.store, .store(let response)): #expect(response.fields.contains("set-cookie"))
        case (.omit, .store(let response)): #expect(!response.fields.contains("set-cookie"))
        case (.refuse, let decision): #expect(decision == .refuse(.setCookie))
        default: Issue.record("not as the operator says: \(decision)")
        }
    }

    @Test(
        "404 and 410 without a lifetime get the operator's, which limits a guess and nothing explicit",
        arguments: [
            (404, [:], 10), (410, [:], 10), (500, [:], nil), (503, [:], nil), (403, [:], nil), (200, [:], nil),
            (500, ["Last-Modified": dayBefore], nil), (503, ["Cache-Control": "max-age=60"], 60),
            (404, ["Cache-Control": "max-age=60"], 60), (404, ["Last-Modified": dayBefore], 10),
            (404, ["Last-Modified": HeaderDate.format(seconds: now.seconds - 50)], 5),
            (404, ["Cache-Control": "no-store"], nil), (404, ["Cache-Control": "private"], nil),
        ] as [(Int, HeaderFields, Int?)]
    )
    func negative(status: Int, fields: HeaderFields, lifetime: Int?) throws {
        var policy = CachingPolicy()
        policy.negativeLifetime = .seconds(10)
        let decision = try Self.decide("GET", [:], status, fields, policy: policy)
        if case .store(let response) = decision {
            #expect(response.freshness.lifetime == lifetime.map { .seconds($0) })
        } else {
            #expect(lifetime == nil)
        }
    }

    @Test(
        "an error is kept for seconds on a guess, and as long as it says",
        arguments: [
            (404, [:], 10), (405, [:], 10), (410, [:], 10), (414, [:], 10), (501, [:], 10),
            (500, ["Cache-Control": "public"], 10), (404, ["Cache-Control": "max-age=60"], 60), (200, [:], 8640),
            (301, [:], 8640),
        ] as [(Int, HeaderFields, Int)]
    )
    func errors(status: Int, fields: HeaderFields, lifetime: Int) throws {
        var fields = fields
        fields.set("Last-Modified", Self.dayBefore)
        guard case .store(let response) = try Self.decide("GET", [:], status, fields) else { throw Refused() }
        #expect(response.freshness.lifetime == .seconds(lifetime))
    }

    @Test("a guess is a share of the time without a change, and a day at most")
    func guess() throws {
        var policy = CachingPolicy()
        #expect(try Self.stored(["Last-Modified": Self.dayBefore], policy: policy).freshness.lifetime == .seconds(8640))
        policy.heuristicPercentage = 50
        #expect(
            try Self.stored(["Last-Modified": Self.dayBefore], policy: policy).freshness.lifetime == .seconds(43_200)
        )
        let old = "Thu, 01 Jan 1998 00:00:00 GMT"
        #expect(try Self.stored(["Last-Modified": old], policy: policy).freshness.lifetime == .seconds(86_400))
    }
}
