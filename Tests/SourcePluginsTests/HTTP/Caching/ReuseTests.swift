import SourcePlugins
import Testing

@Suite("Reuse")
struct ReuseTests {
    private static let start = Timestamp(seconds: 1_787_659_200, nanoseconds: 250_000_000)

    private static func after(_ seconds: Int64) -> Timestamp {
        Timestamp(seconds: start.seconds + seconds, nanoseconds: 250_000_000)
    }

    private static func request(_ cacheControl: String = "", _ method: String = "GET") throws -> RequestMessage {
        RequestMessage(
            method: method,
            target: try #require(TargetURI("http://h/x")),
            fields: cacheControl.isEmpty ? [:] : ["Cache-Control": cacheControl]
        )
    }

    private static func stored(_ cacheControl: String, status: Int = 200) throws -> StoredResponse {
        let response = ResponseMessage(
            status: status,
            fields: ["Cache-Control": cacheControl, "ETag": "\"a\""],
            requestTime: start,
            responseTime: start
        )
        let decision = StoredResponse.decide(request: try request(), response: response, policy: CachingPolicy())
        guard case .store(let stored) = decision else { throw Refused() }
        return stored
    }

    private struct Refused: Error {}

    @Test(
        "a response is used, checked or refused by its age and what both sides say",
        arguments: [
            ("max-age=10", "", 9, .fresh(age: .seconds(9))),
            ("max-age=10", "", 10, .validate(.stale, staleIfErrorUntil: nil)),
            ("max-age=10, no-cache", "", 1, .validate(.responseNoCache, staleIfErrorUntil: nil)),
            ("max-age=10", "no-cache", 1, .validate(.requestNoCache, staleIfErrorUntil: nil)),
            ("max-age=10", "no-store", 1, .validate(.requestNoStore, staleIfErrorUntil: nil)),
            ("max-age=10", "max-age=3", 3, .fresh(age: .seconds(3))),
            ("max-age=10", "max-age=3", 4, .validate(.requestMaxAge, staleIfErrorUntil: nil)),
            ("max-age=10", "min-fresh=5", 5, .fresh(age: .seconds(5))),
            ("max-age=10", "min-fresh=5", 6, .validate(.requestMinFresh, staleIfErrorUntil: nil)),
            ("max-age=10", "max-stale=5", 15, .stale(age: .seconds(15), .acceptedByClient)),
            ("max-age=10", "max-stale=5", 16, .validate(.stale, staleIfErrorUntil: nil)),
            ("max-age=10", "max-stale", 99_999, .stale(age: .seconds(99_999), .acceptedByClient)),
            ("max-age=10, must-revalidate", "max-stale", 11, .validate(.stale, staleIfErrorUntil: nil)),
            ("max-age=10, proxy-revalidate", "max-stale", 11, .validate(.stale, staleIfErrorUntil: nil)),
            ("s-maxage=10", "max-stale", 11, .validate(.stale, staleIfErrorUntil: nil)),
            ("max-age=10, stale-while-revalidate=5", "", 14, .stale(age: .seconds(14), .whileRevalidating)),
            ("max-age=10, stale-while-revalidate=5", "", 15, .validate(.stale, staleIfErrorUntil: nil)),
            (
                "max-age=10, stale-while-revalidate=5", "max-age=20", 12,
                .validate(.stale, staleIfErrorUntil: nil)
            ),
            (
                "s-maxage=10, stale-while-revalidate=5, stale-if-error=5", "", 12,
                .validate(.stale, staleIfErrorUntil: nil)
            ),
            ("max-age=10, stale-if-error=5", "", 12, .validate(.stale, staleIfErrorUntil: after(15))),
            ("max-age=10, stale-if-error=5", "", 15, .validate(.stale, staleIfErrorUntil: nil)),
            ("max-age=10, stale-if-error=5", "no-cache", 1, .validate(.requestNoCache, staleIfErrorUntil: after(15))),
            ("max-age=10", "stale-if-error=7", 12, .validate(.stale, staleIfErrorUntil: after(17))),
            ("max-age=10, must-revalidate", "stale-if-error=7", 12, .validate(.stale, staleIfErrorUntil: nil)),
            ("max-age=10, immutable", "max-age=0", 5, .fresh(age: .seconds(5))),
            ("max-age=10, immutable", "no-cache", 5, .validate(.requestNoCache, staleIfErrorUntil: nil)),
            ("max-age=10, immutable", "", 10, .validate(.stale, staleIfErrorUntil: nil)),
            ("max-age=10", "only-if-cached", 5, .fresh(age: .seconds(5))),
            ("max-age=10", "only-if-cached", 11, .gatewayTimeout),
            ("max-age=10", "only-if-cached, max-stale=5", 11, .stale(age: .seconds(11), .acceptedByClient)),
        ] as [(String, String, Int64, ReuseDecision)]
    )
    func decision(response: String, request: String, age: Int64, expected: ReuseDecision) throws {
        let decision = try Self.stored(response)
            .reuse(for: try Self.request(request), at: Self.after(age), policy: CachingPolicy())
        #expect(decision == expected)
    }

    @Test(
        "the operator adds staleness where the response says nothing, and only there",
        arguments: [
            ("max-age=10", 12, .stale(age: .seconds(12), .whileRevalidating)),
            ("max-age=10", 20, .validate(.stale, staleIfErrorUntil: after(110))),
            ("max-age=10", 110, .validate(.stale, staleIfErrorUntil: nil)),
            ("max-age=10, stale-while-revalidate=0", 12, .validate(.stale, staleIfErrorUntil: after(110))),
            ("max-age=10, stale-while-revalidate=x", 12, .validate(.stale, staleIfErrorUntil: after(110))),
            ("max-age=10, stale-if-error=1", 12, .stale(age: .seconds(12), .whileRevalidating)),
            ("max-age=10, stale-if-error=1", 30, .validate(.stale, staleIfErrorUntil: nil)),
            ("max-age=10, must-revalidate", 12, .validate(.stale, staleIfErrorUntil: nil)),
            ("max-age=10, proxy-revalidate", 12, .validate(.stale, staleIfErrorUntil: nil)),
            ("s-maxage=10", 12, .validate(.stale, staleIfErrorUntil: nil)),
            ("max-age=10, no-cache", 12, .validate(.responseNoCache, staleIfErrorUntil: nil)),
            // What was stale from the start stays so, while its origin answers.
            ("max-age=0", 1, .validate(.stale, staleIfErrorUntil: after(100))),
        ] as [(String, Int64, ReuseDecision)]
    )
    func operatorsStaleness(response: String, age: Int64, expected: ReuseDecision) throws {
        var policy = CachingPolicy()
        policy.staleWhileRevalidate = .seconds(5)
        policy.staleIfError = .seconds(100)
        let decision = try Self.stored(response).reuse(for: try Self.request(), at: Self.after(age), policy: policy)
        #expect(decision == expected)
    }

    @Test("what was made invalid is checked before any use")
    func invalidated() throws {
        let decision = try Self.stored("max-age=10, stale-if-error=100").invalidated
            .reuse(for: try Self.request("max-stale"), at: Self.after(1), policy: CachingPolicy())
        #expect(decision == .validate(.responseNoCache, staleIfErrorUntil: nil))
    }

    @Test(
        "the age is the greatest that the dates, Age and the time in transit allow",
        arguments: [
            ([:], 0, 0, 0), ([:], 4, 0, 4), ([:], 0, 7, 7), (["Age": "30"], 4, 7, 41), (["Age": "x"], 0, 0, 0),
            (["Date": "-100"], 0, 0, 100), (["Date": "-100", "Age": "99"], 4, 0, 103), (["Date": "100"], 0, 0, 0),
            (["Date": "100", "Age": "5"], 0, 1, 6), (["Age": "9999999999999"], 0, 0, 2_147_483_648),
        ] as [(HeaderFields, Int64, Int64, Int)]
    )
    func age(fields: HeaderFields, delay: Int64, resident: Int64, expected: Int) {
        var fields = fields
        if let offset = fields.first("date").flatMap({ Int64($0) }) {
            fields.set("Date", HeaderDate.format(seconds: Self.start.seconds + offset))
        }
        let response = ResponseMessage(
            status: 200,
            fields: fields,
            requestTime: Self.after(-delay),
            responseTime: Self.start
        )
        let freshness = Freshness(response, policy: CachingPolicy())
        #expect(freshness.age(at: Self.after(resident)) == .seconds(expected))
    }

    @Test("a clock that goes backwards makes nothing younger, and extreme times do not trap")
    func clocks() throws {
        let freshness = try Self.stored("max-age=10").freshness
        #expect(freshness.age(at: Self.after(-1000)) == .zero)
        #expect(freshness.isFresh(at: Timestamp(nanoseconds: .min)))
        #expect(!freshness.isFresh(at: Timestamp(nanoseconds: .max)))
        var late = freshness
        late.responseTime = Timestamp(nanoseconds: .max)
        late.lifetime = .seconds(2_147_483_648)
        #expect(late.expiration == Timestamp(nanoseconds: .max))
        let backwards = ResponseMessage(
            status: 200,
            fields: [:],
            requestTime: Timestamp(nanoseconds: .max),
            responseTime: Timestamp(nanoseconds: .min)
        )
        #expect(Freshness(backwards, policy: CachingPolicy()).initialAge == .zero)
    }

    @Test("a lifetime ends at the very nanosecond")
    func precision() throws {
        let freshness = try Self.stored("max-age=10").freshness
        let end = freshness.expiration
        #expect(end == Self.after(10))
        #expect(freshness.isFresh(at: Timestamp(nanoseconds: end.nanoseconds - 1)))
        #expect(!freshness.isFresh(at: end))
    }

    @Test(
        "an error of the origin is what no other request would mend",
        arguments: [(500, true), (502, true), (503, true), (504, true), (501, false), (404, false), (200, false)]
    )
    func errors(status: Int, isError: Bool) {
        #expect(ReuseDecision.isError(status: status) == isError)
    }
}
