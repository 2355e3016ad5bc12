import Gateway
import SourceContract
import SourcePlugins
import Testing

@Suite struct DeliveryPlanTests {
    private static let modified = Timestamp(seconds: 784_111_777)  // Sun, 06 Nov 1994 08:49:37 GMT
    private static let date = "Sun, 06 Nov 1994 08:49:37 GMT"
    private static let earlier = "Sun, 06 Nov 1994 08:49:36 GMT"
    private static let later = "Sun, 06 Nov 1994 08:49:38 GMT"

    private static func info(size: Int64? = 100, revision: String? = "r1") -> ObjectInfo {
        ObjectInfo(
            size: size,
            revision: revision.flatMap { Revision($0) },
            lastModified: modified,
            validity: .recheck(after: .seconds(1))
        )
    }

    struct Row: Sendable, CustomTestStringConvertible {
        let preconditions: Preconditions
        var range: String?
        let status: Int

        var testDescription: String { "\(preconditions) \(range ?? "") → \(status)" }
    }

    @Test(
        "conditional fields count in the order of RFC 9110",
        arguments: [
            Row(preconditions: .init(), status: 200),
            Row(preconditions: .init(ifMatch: "\"r1\""), status: 200),
            Row(preconditions: .init(ifMatch: "*"), status: 200),
            Row(preconditions: .init(ifMatch: "\"x\", \"r1\""), status: 200),
            Row(preconditions: .init(ifMatch: "\"x\""), status: 412),
            Row(preconditions: .init(ifMatch: "W/\"r1\""), status: 412),
            Row(preconditions: .init(ifMatch: ""), status: 412),
            Row(preconditions: .init(ifUnmodifiedSince: date), status: 200),
            Row(preconditions: .init(ifUnmodifiedSince: later), status: 200),
            Row(preconditions: .init(ifUnmodifiedSince: earlier), status: 412),
            Row(preconditions: .init(ifUnmodifiedSince: "yesterday"), status: 200),
            Row(preconditions: .init(ifMatch: "\"r1\"", ifUnmodifiedSince: earlier), status: 200),
            Row(preconditions: .init(ifNoneMatch: "\"r1\""), status: 304),
            Row(preconditions: .init(ifNoneMatch: "W/\"r1\""), status: 304),
            Row(preconditions: .init(ifNoneMatch: "*"), status: 304),
            Row(preconditions: .init(ifNoneMatch: "\"x\", W/\"r1\""), status: 304),
            Row(preconditions: .init(ifNoneMatch: "\"x\""), status: 200),
            Row(preconditions: .init(ifNoneMatch: "r1"), status: 200),
            Row(preconditions: .init(ifModifiedSince: date), status: 304),
            Row(preconditions: .init(ifModifiedSince: later), status: 304),
            Row(preconditions: .init(ifModifiedSince: earlier), status: 200),
            Row(preconditions: .init(ifModifiedSince: "Sunday, 06-Nov-94 08:49:37 GMT"), status: 304),
            Row(preconditions: .init(ifModifiedSince: "Sun Nov  6 08:49:37 1994"), status: 304),
            Row(preconditions: .init(ifModifiedSince: "06 Nov 1994"), status: 200),
            Row(preconditions: .init(ifNoneMatch: "\"x\"", ifModifiedSince: date), status: 200),
            Row(preconditions: .init(ifMatch: "\"x\"", ifNoneMatch: "\"r1\""), status: 412),
            Row(preconditions: .init(ifNoneMatch: "\"r1\""), range: "bytes=0-1", status: 304),
            Row(preconditions: .init(ifRange: "\"r1\""), range: "bytes=0-1", status: 206),
            Row(preconditions: .init(ifRange: "W/\"r1\""), range: "bytes=0-1", status: 200),
            Row(preconditions: .init(ifRange: "\"x\""), range: "bytes=0-1", status: 200),
            Row(preconditions: .init(ifRange: date), range: "bytes=0-1", status: 206),
            Row(preconditions: .init(ifRange: later), range: "bytes=0-1", status: 200),
            Row(preconditions: .init(ifRange: "\"r1\""), range: "bytes=100-", status: 416),
            Row(preconditions: .init(ifRange: "\"x\""), range: "bytes=100-", status: 200),
            Row(preconditions: .init(ifRange: "\"r1\""), status: 200),
        ]
    )
    func conditions(row: Row) {
        let plan = DeliveryPlan(info: Self.info(), isHead: false, range: row.range, preconditions: row.preconditions)
        #expect(plan.status == row.status)
    }

    @Test("an object without a revision matches nothing, by tag or by date")
    func noRevision() {
        let info = Self.info(revision: nil)
        func status(_ preconditions: Preconditions, range: String? = nil) -> Int {
            DeliveryPlan(info: info, isHead: false, range: range, preconditions: preconditions).status
        }
        #expect(status(.init(ifMatch: "\"r1\"")) == 412)
        #expect(status(.init(ifModifiedSince: Self.date)) == 200)
        #expect(status(.init(ifRange: Self.date), range: "bytes=0-1") == 200)
        #expect(status(.init(), range: "bytes=0-1") == 206)
    }

    @Test("a part names its place and length")
    func part() {
        let plan = DeliveryPlan(info: Self.info(), isHead: false, range: "bytes=10-19", preconditions: .init())
        #expect(plan.body == .part(10..<20))
        #expect(plan.contentLength == 10)
        #expect(plan.contentRange == .part(10..<20, size: 100))
    }

    @Test("no byte of the range exists: 416 with the size")
    func unsatisfiable() {
        let plan = DeliveryPlan(info: Self.info(), isHead: false, range: "bytes=100-", preconditions: .init())
        #expect(plan.status == 416)
        #expect(plan.contentRange == .unsatisfiable(size: 100))
        #expect(plan.body == .none)
    }

    @Test("HEAD is a GET without Range and without a body")
    func head() {
        let plan = DeliveryPlan(info: Self.info(), isHead: true, range: "bytes=200-", preconditions: .init())
        #expect(plan.status == 200)
        #expect(plan.contentLength == 100)
        #expect(plan.contentRange == nil)
        #expect(plan.body == .none)
    }

    @Test("an object of unknown size is sent whole, whatever range is asked")
    func unknownSize() {
        let info = Self.info(size: nil)
        let plan = DeliveryPlan(info: info, isHead: false, range: "bytes=0-1", preconditions: .init())
        #expect(plan.status == 200)
        #expect(plan.body == .unknownLength)
        #expect(plan.contentLength == nil)
    }

    @Test("an empty object is 200 without a body, as is all of it from its start on, and 416 for any other range")
    func empty() {
        let info = Self.info(size: 0)
        for range in [nil, "bytes=0-"] {
            let plan = DeliveryPlan(info: info, isHead: false, range: range, preconditions: .init())
            #expect(plan.status == 200)
            #expect(plan.body == .none)
            #expect(plan.contentLength == 0)
        }
        for range in ["bytes=1-", "bytes=0-0", "bytes=-1", "bytes=-0"] {
            let plan = DeliveryPlan(info: info, isHead: false, range: range, preconditions: .init())
            #expect(plan.status == 416)
            #expect(plan.contentRange == .unsatisfiable(size: 0))
        }
    }

    @Test("random conditional fields never trap, and give one of five answers")
    func fuzzed() {
        var random = SplitMix64(seed: 20_261_125)
        let parts = [
            "\"", "W/", "r1", "*", ",", " ", "\"r1\"", "\"x", "bytes=", "0-", "-", "99", Self.date, "é", "\u{0}",
        ]
        func text() -> String? {
            guard random.next() % 3 > 0 else { return nil }
            return (0..<(random.next() % 6)).map { _ in parts[Int(random.next() % UInt64(parts.count))] }.joined()
        }
        for _ in 0..<50_000 {
            let preconditions = Preconditions(
                ifMatch: text(),
                ifUnmodifiedSince: text(),
                ifNoneMatch: text(),
                ifModifiedSince: text(),
                ifRange: text()
            )
            let plan = DeliveryPlan(info: Self.info(), isHead: false, range: text(), preconditions: preconditions)
            #expect([200, 206, 304, 412, 416].contains(plan.status))
            if case .part(let range) = plan.body { #expect(range.lowerBound >= 0 && range.upperBound <= 100) }
        }
    }
}
