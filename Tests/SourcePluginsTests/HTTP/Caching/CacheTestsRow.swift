import SourcePlugins
import Testing

/// A test of the suite http-tests/cache-tests, by its id, as a conversation with a ``CacheModel``.
struct CacheTestsRow: Sendable, CustomTestStringConvertible {
    /// What the suite says of an answer.
    enum Expectation: Sendable {
        case cached
        case notCached
        /// The origin was asked with the last `ETag`, and said 304.
        case eTagValidated
        /// The origin was asked with the last `Last-Modified`, and said 304.
        case dateValidated
    }

    /// A value, or a date so many seconds from the origin's now.
    enum Value: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
        case text(String)
        case date(Int64)

        init(stringLiteral value: String) { self = .text(value) }
        init(integerLiteral value: Int64) { self = .date(value) }
    }

    struct Fields: Sendable, ExpressibleByDictionaryLiteral {
        var lines: [(name: String, value: Value)]

        init(dictionaryLiteral elements: (String, Value)...) { lines = elements.map { (name: $0.0, value: $0.1) } }

        func fields(at now: Timestamp) -> HeaderFields {
            HeaderFields(
                lines.map { line in
                    switch line.value {
                    case .text(let text): (name: line.name, value: text)
                    case .date(let offset):
                        (name: line.name, value: HeaderDate.format(seconds: now.seconds + offset))
                    }
                }
            )
        }
    }

    /// One request, what the origin answers if it is asked, and what is expected.
    struct Step: Sendable {
        var method = "GET"
        var target = ""
        var request: Fields = [:]
        var status = 200
        var response: Fields = [:]
        var disconnects = false
        var expected: Expectation?
        var expectedStatus: Int?
        var expectedFields: HeaderFields = [:]
        var missingFields: [String] = []
        /// Seconds until the next request.
        var pause: Int64 = 0
    }

    let id: String
    let steps: [Step]

    var testDescription: String { id }

    init(_ id: String, _ steps: [Step]) {
        self.id = id
        self.steps = steps
    }

    /// The usual row: a response, three seconds, and the same request again.
    init(
        _ id: String,
        _ response: Fields,
        _ expected: Expectation,
        status: Int = 200,
        request: Fields = [:],
        second: Fields = [:],
        pause: Int64 = 3
    ) {
        let first = Step(request: request, status: status, response: response, pause: pause)
        self.init(id, [first, Step(request: second, status: status, expected: expected)])
    }

    /// A point in time that is no whole second.
    static let start = Timestamp(seconds: 1_787_659_200, nanoseconds: 400_000_000)

    func run(policy: CachingPolicy = CachingPolicy()) throws {
        var cache = CacheModel(policy: policy)
        var now = Self.start
        var last: HeaderFields = [:]
        for step in steps {
            let target = try #require(TargetURI("http://origin.example/test/abc/\(step.target)"))
            let request = RequestMessage(method: step.method, target: target, fields: step.request.fields(at: now))
            let fields = step.response.fields(at: now)
            let answer = cache.answer(request, at: now) { forwarded in
                step.disconnects ? nil : (step.originStatus(forwarded, last: last), fields)
            }
            step.check(answer)
            last = fields
            now = Timestamp(seconds: now.seconds + step.pause, nanoseconds: 400_000_000)
        }
    }
}

extension CacheTestsRow.Step {
    func originStatus(_ request: RequestMessage, last: HeaderFields) -> Int {
        let asked = (tag: request.fields.first("if-none-match"), date: request.fields.first("if-modified-since"))
        switch expected {
        case .eTagValidated: return asked.tag != nil && asked.tag == last.first("etag") ? 304 : 999
        case .dateValidated: return asked.date != nil && asked.date == last.first("last-modified") ? 304 : 999
        default: return status
        }
    }

    func check(_ answer: CacheModel.Answer) {
        switch expected {
        case .cached: #expect(answer.isFromCache)
        case .notCached: #expect(!answer.isFromCache)
        case .eTagValidated: #expect(answer.forwarded.first?.fields.contains("if-none-match") == true)
        case .dateValidated: #expect(answer.forwarded.first?.fields.contains("if-modified-since") == true)
        case nil: break
        }
        #expect(answer.status == expectedStatus ?? status)
        for line in expectedFields.lines {
            #expect(answer.fields.first(line.name) == line.value)
        }
        for name in missingFields {
            #expect(!answer.fields.contains(name))
        }
    }
}
