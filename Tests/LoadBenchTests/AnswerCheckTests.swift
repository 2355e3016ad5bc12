import LoadBench
import NIOHTTP1
import Testing

@Suite struct AnswerCheckTests {
    private static let asked = LoadRequest.range(first: 10, last: 19)

    private static func head(_ status: Int, _ fields: [(String, String)]) -> HTTPResponseHead {
        HTTPResponseHead(version: .http1_1, status: .init(statusCode: status), headers: HTTPHeaders(fields))
    }

    private static func failure(_ request: LoadRequest, _ head: HTTPResponseHead, size: Int64?) -> LoadFailure.Kind? {
        do {
            _ = try request.announced(by: head, size: size)
            return nil
        } catch {
            return error.kind
        }
    }

    @Test("the range that was asked for is right, and so is one that ends with the object")
    func right() throws {
        let whole = Self.head(206, [("Content-Length", "10"), ("Content-Range", "bytes 10-19/100")])
        #expect(try Self.asked.announced(by: whole, size: 100).position == 10)
        #expect(try Self.asked.announced(by: whole, size: nil).size == 100)
        let cut = Self.head(206, [("Content-Length", "5"), ("Content-Range", "bytes 10-14/15")])
        #expect(try Self.asked.announced(by: cut, size: 15).length == 5)
        let open = LoadRequest.range(first: 10, last: nil)
        let rest = Self.head(206, [("Content-Length", "90"), ("Content-Range", "bytes 10-99/100")])
        #expect(try open.announced(by: rest, size: 100).length == 90)
    }

    @Test(
        "another Content-Range is a failure",
        arguments: [
            "", "bytes 10-19/*", "bytes 11-19/100", "bytes 10-18/100", "bytes 10-20/100", "bytes 10-19/99",
            "bytes=10-19/100",
            "bytes 19-10/100", "bytes 10-19/19", "bytes +10-19/100", "bytes 10-19/100 ", "bytes 10-19",
            "bytes 10-19/9223372036854775807", "bytes 10-19/99999999999999999999", "bytes -10-19/100",
        ]
    )
    func range(_ text: String) {
        let head = Self.head(206, [("Content-Length", "10"), ("Content-Range", text)])
        #expect(Self.failure(Self.asked, head, size: 100) == .range)
    }

    @Test("a failure says what there is, or that there is nothing, and what was expected")
    func wording() {
        let open = LoadRequest.range(first: 10, last: nil)
        let wrong = Self.head(206, [("Content-Length", "10"), ("Content-Range", "bytes 9-18/100")])
        let cases: [(LoadRequest, HTTPResponseHead, Int64?, String)] = [
            (Self.asked, wrong, 15, "Content-Range: bytes 9-18/100; expected bytes 10-14/15"),
            (Self.asked, wrong, nil, "Content-Range: bytes 9-18/100; expected bytes 10-19/…"),
            (open, wrong, nil, "Content-Range: bytes 9-18/100; expected bytes 10-…/…"),
            (Self.asked, Self.head(206, []), 100, "no Content-Range; expected bytes 10-19/100"),
            (
                Self.asked, Self.head(206, [("Content-Range", "bytes 10-19/100")]), 100,
                "no Content-Length; expected 10"
            ),
            (
                Self.asked, Self.head(206, [("Content-Length", "9"), ("Content-Range", "bytes 10-19/100")]), 100,
                "Content-Length: 9; expected 10"
            ),
        ]
        for (request, head, size, expected) in cases {
            let failure = #expect(throws: LoadFailure.self) { try request.announced(by: head, size: size) }
            #expect(failure?.detail == expected)
        }
    }

    @Test("a Content-Range that is missing, or there twice, is a failure")
    func rangeCount() {
        #expect(Self.failure(Self.asked, Self.head(206, [("Content-Length", "10")]), size: 100) == .range)
        let twice = Self.head(
            206,
            [("Content-Length", "10"), ("Content-Range", "bytes 10-19/100"), ("Content-Range", "bytes 10-19/100")]
        )
        #expect(Self.failure(Self.asked, twice, size: 100) == .range)
    }

    @Test("another length than the range's is a failure", arguments: ["9", "11", "", "ten", "99999999999999999999"])
    func length(_ text: String) {
        let head = Self.head(206, [("Content-Length", text), ("Content-Range", "bytes 10-19/100")])
        #expect(Self.failure(Self.asked, head, size: 100) == .length)
    }

    @Test("a range without a length is a failure")
    func noLength() {
        let head = Self.head(206, [("Transfer-Encoding", "chunked"), ("Content-Range", "bytes 10-19/100")])
        #expect(Self.failure(Self.asked, head, size: 100) == .length)
    }

    @Test("another status is a failure with its number", arguments: [200, 304, 404, 416, 500, 503])
    func status(_ status: Int) {
        #expect(Self.failure(Self.asked, Self.head(status, []), size: 100) == .status(status))
    }

    @Test("without a range only 200 is right")
    func whole() throws {
        #expect(try LoadRequest.whole.announced(by: Self.head(200, [("Content-Length", "5")]), size: nil).length == 5)
        #expect(try LoadRequest.whole.announced(by: Self.head(200, []), size: nil).length == nil)
        #expect(Self.failure(.whole, Self.head(206, []), size: nil) == .status(206))
        #expect(Self.failure(.whole, Self.head(204, []), size: nil) == .status(204))
    }

    @Test("what a server sends does nothing to the terminal that shows it")
    func detail() {
        let failure = LoadFailure(.range, "Content-Range: \u{1B}[2J\r\n" + String(repeating: "x", count: 100_000))
        #expect(failure.detail.hasPrefix("Content-Range: \u{FFFD}[2J\u{FFFD}\u{FFFD}xxx"))
        #expect(failure.detail.count <= 300)
        let lines = LoadFailure(.range, "a\u{2028}b\u{2029}c\u{202E}d\u{200B}e é –")
        #expect(lines.detail == "a\u{FFFD}b\u{FFFD}c\u{FFFD}d\u{FFFD}e é –")
    }
}
