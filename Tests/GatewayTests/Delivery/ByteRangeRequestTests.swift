import Gateway
import Testing

@Suite struct ByteRangeRequestTests {
    @Test(
        "one range of the unit bytes is understood",
        arguments: [
            ("bytes=0-", ByteRangeRequest.from(0)),
            ("bytes=5-9", .bounded(first: 5, last: 9)),
            ("bytes=0-0", .bounded(first: 0, last: 0)),
            ("bytes=-1", .suffix(1)),
            ("bytes=-0", .suffix(0)),
            ("BYTES=1-2", .bounded(first: 1, last: 2)),
            ("bytes=0-9,", .bounded(first: 0, last: 9)),
            ("bytes=0-9 , ,", .bounded(first: 0, last: 9)),
            ("bytes=007-", .from(7)),
            ("bytes=9223372036854775806-9223372036854775807", .bounded(first: .max - 1, last: .max)),
            ("bytes=9223372036854775808-", .from(.max)),
            ("bytes=18446744073709551616-99999999999999999999999", .bounded(first: .max, last: .max)),
            ("bytes=-18446744073709551616", .suffix(.max)),
        ]
    )
    func understood(field: String, expected: ByteRangeRequest) {
        #expect(ByteRangeRequest(field: field) == expected)
    }

    @Test(
        "another unit, bad syntax and several ranges are ignored",
        arguments: [
            "", "bytes", "bytes=", "bytes=-", "bytes=,", "abc", "items=0-1", "bytes=5-2", "bytes=a-b", "bytes=0-9x",
            "bytes= 0-9", "bytes=0- 9", "bytes =0-9", "bytes=0x0-9", "bytes=٠-٩", "bytes=--1", "bytes=1--2",
            "bytes=+1-2",
            "bytes=0-1,3-4", "bytes=0-1, 3-4", "bytes=0-1,-1", "bytes=0-1\u{0}", "bytes=1.0-2", "0-9", "=0-9",
        ]
    )
    func ignored(field: String) {
        #expect(ByteRangeRequest(field: field) == nil)
    }

    @Test("ten thousand digits are a number like any other")
    func longNumbers() {
        let digits = String(repeating: "9", count: 10_000)
        #expect(ByteRangeRequest(field: "bytes=\(digits)-") == .from(.max))
        #expect(ByteRangeRequest(field: "bytes=0-\(digits)")?.resolve(size: 10) == 0..<10)
    }

    @Test(
        "a range is clamped to the end, and has no byte beyond it",
        arguments: [
            (ByteRangeRequest.from(0), 10, 0..<10), (.from(9), 10, 9..<10), (.from(10), 10, nil), (.from(0), 0, nil),
            (.bounded(first: 0, last: 9), 10, 0..<10), (.bounded(first: 0, last: 10), 10, 0..<10),
            (.bounded(first: 0, last: .max), 10, 0..<10), (.bounded(first: 9, last: 9), 10, 9..<10),
            (.bounded(first: 10, last: 11), 10, nil), (.bounded(first: .max, last: .max), .max, nil),
            (.bounded(first: .max - 1, last: .max), .max, (Int64.max - 1)..<Int64.max),
            (.suffix(1), 10, 9..<10), (.suffix(10), 10, 0..<10), (.suffix(11), 10, 0..<10), (.suffix(.max), 10, 0..<10),
            (.suffix(0), 10, nil), (.suffix(1), 0, nil),
        ] as [(ByteRangeRequest, Int64, Range<Int64>?)]
    )
    func resolved(request: ByteRangeRequest, size: Int64, expected: Range<Int64>?) {
        #expect(request.resolve(size: size) == expected)
    }
}
