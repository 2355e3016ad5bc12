import SourceContract
import SourcePlugins
import Testing

@Suite("HTTP: Content-Range")
struct ContentRangeTests {
    @Test(
        "what follows and of how much is told apart from nonsense",
        arguments: [
            ("bytes 0-0/1", 0..<1, 1), ("bytes 5-9/10", 5..<10, 10), ("bytes 0-499/1234", 0..<500, 1234),
            ("BYTES 0-0/1", 0..<1, 1), ("bytes 7-7/*", 7..<8, nil), ("bytes */10", nil, 10), ("bytes */0", nil, 0),
            (
                "bytes 9223372036854775805-9223372036854775805/9223372036854775806",
                9_223_372_036_854_775_805..<9_223_372_036_854_775_806, 9_223_372_036_854_775_806
            ),
            ("bytes 007-009/010", 7..<10, 10),
        ] as [(String, Range<Int64>?, Int64?)]
    )
    func sound(_ text: String, _ interval: Range<Int64>?, _ total: Int64?) throws {
        let range = try #require(ContentRange(text))
        #expect(range.interval == interval)
        #expect(range.total == total)
    }

    @Test(
        "what is not a range of bytes is none",
        arguments: [
            "", "bytes", "bytes ", "bytes=0-0/1", "bytes 0-0", "bytes 0-0/", "bytes 0/1", "bytes 0-/1", "bytes -1/2",
            "bytes 1-0/2", "bytes 0-1/1", "bytes 0-9/9", "bytes */*", "bytes a-b/c", "bytes 0-0/1 ", " bytes 0-0/1",
            "bytes  0-0/1", "bytes 0 - 0/1", "bytes +0-0/1", "bytes 0-0/1/2", "bytes 0-0-0/1", "items 0-0/1",
            "bytes 0-9223372036854775807/*", "bytes 0-0/9223372036854775807", "bytes 0-99999999999999999999/*",
            "bytes 0-18446744073709551616/*", "bytes ٠-٠/١", "bytes 0x0-0x1/2", "bytes */-1", "bytes\t0-0/1",
        ]
    )
    func unsound(_ text: String) {
        #expect(ContentRange(text) == nil)
    }

    @Test("random text is either no range or one that lies within its whole")
    func random() {
        var random = SplitMix64(seed: 9)
        let pieces = [
            "bytes ", "bytes", "-", "/", "*", "0", "1", "9", "18446744073709551615", "9223372036854775806", " ",
        ]
        for _ in 0..<20_000 {
            let count = Int.random(in: 0..<9, using: &random)
            let text = (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
            guard let range = ContentRange(text) else { continue }
            if let interval = range.interval {
                #expect(interval.lowerBound >= 0 && !interval.isEmpty)
                #expect(range.total.map { interval.upperBound <= $0 } ?? true, "\(text)")
            } else {
                #expect(range.total != nil, "\(text)")
            }
        }
    }
}
