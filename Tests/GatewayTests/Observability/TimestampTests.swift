import Foundation
import Gateway
import Testing

@Suite struct TimestampTests {
    @Test("times are written as the calendar has them")
    func calendar() throws {
        let style = Date.ISO8601FormatStyle(includingFractionalSeconds: true)
        var times: [Int64] = [0, -1_000_000, 951_782_400, 1_709_164_800, 4_107_542_399].map { $0 * 1_000_000_000 }
        times += (0..<500).map { _ in Int64.random(in: -9_000_000_000_000...9_000_000_000_000) * 1_000_000 }
        let lines = try written { writer in
            let log = AccessLog(writer: writer, format: .text)
            for time in times {
                log.write(
                    AccessRecord(
                        time: time,
                        id: 0,
                        client: "",
                        method: "",
                        target: "",
                        version: "",
                        status: 0,
                        route: "",
                        total: .zero,
                        outcome: .complete
                    )
                )
            }
        }.split(separator: "\n")
        #expect(lines.count == times.count)
        for (line, time) in zip(lines, times) {
            let (second, rest) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
            let date = try style.parse(String(line.prefix { $0 != " " }))
            let expected = Double(second) + Double(rest) / 1e9
            #expect(abs(date.timeIntervalSince1970 - expected) < 0.0005, "\(line.prefix(24)) for \(time)")
        }
    }
}
