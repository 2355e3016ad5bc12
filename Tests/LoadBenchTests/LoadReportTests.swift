import Foundation
import LoadBench
import Testing

@Suite struct LoadReportTests {
    private static func plan(_ work: LoadPlan.Work = .range(length: 1)) throws -> LoadPlan {
        let stages = try #require(LoadStages("2:10s"))
        return LoadPlan(work, stages: stages, seed: 42, items: [LoadItem(path: "/", reference: .unknown)])
    }

    /// - Parameter step: one request took so long, the next twice that, and so on to a hundred times.
    private static func measurements(step: Duration, failure: LoadFailure? = nil) -> Measurements {
        var measurements = Measurements()
        for factor in 1...100 {
            measurements.answered(firstByte: step * factor)
            measurements.received(1 << 20, compared: 1 << 19)
            measurements.finished(after: step * factor * 2)
        }
        if let failure { measurements.failed(failure) }
        measurements.endSecond(level: 2)
        measurements.endSecond(level: 1)
        measurements.end(after: .seconds(10))
        return measurements
    }

    @Test("the text has the figures, and what went wrong")
    func text() throws {
        let failure = LoadFailure(.status(503), "status 503 Service Unavailable; expected 206")
        let server = (name: "http://a/", rounds: [Self.measurements(step: .milliseconds(1), failure: failure)])
        let text = LoadReport(plan: try Self.plan(), rounds: 1, servers: [server]).text
        #expect(
            text == """
                range, 2:10s, seed 42

                                           http://a/
                requests                         100
                requests/s                      10.0
                bytes                      100.0 MiB
                bytes/s                   10.0 MiB/s
                compared                      50.0 %
                errors                             1
                answers with wrong bytes           0
                first byte p50               49.9 ms
                first byte p90               89.9 ms
                first byte p95               95.2 ms
                first byte p99               98.8 ms
                first byte p99.9            100.0 ms
                first byte max              100.0 ms
                last byte p50                99.9 ms
                last byte p90               179.8 ms
                last byte p95               190.3 ms
                last byte p99               197.7 ms
                last byte p99.9             200.0 ms
                last byte max               200.0 ms
                http://a/: 1 × status 503, first: status 503 Service Unavailable; expected 206

                """
        )
    }

    @Test("what comes after the stages is counted, but not in what there was a second")
    func late() {
        var measurements = Self.measurements(step: .milliseconds(1))
        measurements.received(1 << 20, compared: 0)
        measurements.finished(after: .seconds(5))
        measurements.end(after: .seconds(15))
        measurements.append(Measurements())
        #expect(measurements.requests == 101)
        #expect(measurements.requestsPerSecond == 10)
        #expect(measurements.bytesPerSecond == 10_485_760)
        #expect(measurements.elapsed == .seconds(10))
    }

    @Test("the ratio of two servers is the median of the rounds' ratios")
    func ratio() throws {
        let first = [2, 4, 90].map { Self.measurements(step: .milliseconds($0)) }
        let second = [1, 1, 1].map { Self.measurements(step: .milliseconds($0)) }
        let report = LoadReport(
            plan: try Self.plan(),
            rounds: 3,
            servers: [("http://a/", first), ("http://b/", second)]
        )
        let ratios = Dictionary(uniqueKeysWithValues: report.ratios.map { ($0.what, $0.ratio) })
        #expect(abs(try #require(ratios["first byte p50"]?.flatMap { $0 }) - 4) < 0.08)
        #expect(ratios["requests/s"] == 1)
        #expect(report.servers[0].requests == 300)
        #expect(report.servers[0].perSecond.count == 6)
        #expect(report.text.contains("ratio\n"))
        #expect(report.text.contains("3 rounds"))
    }

    @Test("a turn that was interrupted is counted, and compared with none")
    func interrupted() throws {
        let first = [2, 90].map { Self.measurements(step: .milliseconds($0)) }
        let second = [1, 1].map { Self.measurements(step: .milliseconds($0)) }
        for turns in [second, Array(second.prefix(1))] {
            let report = LoadReport(
                plan: try Self.plan(),
                rounds: 3,
                servers: [("http://a/", first), ("http://b/", turns)],
                wholeRounds: 1,
                isInterrupted: true
            )
            let ratio = report.ratios.first { $0.what == "first byte p50" }?.ratio
            #expect(abs(try #require(ratio) - 2) < 0.04)
            #expect(report.servers[0].requests == 200)
            #expect(report.text.contains("seed 42, interrupted\n"))
        }
    }

    @Test("a round without a figure has no ratio")
    func noRatio() throws {
        let report = LoadReport(
            plan: try Self.plan(),
            rounds: 1,
            servers: [("http://a/", [Self.measurements(step: .milliseconds(1))]), ("http://b/", [Measurements()])]
        )
        #expect(report.ratios.allSatisfy { $0.ratio == nil })
        #expect(!report.isFaultless)
    }

    @Test("the JSON is the report")
    func json() throws {
        let server = (name: "http://a/", rounds: [Self.measurements(step: .milliseconds(1))])
        let report = LoadReport(plan: try Self.plan(), rounds: 1, servers: [server])
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        #expect(try decoder.decode(LoadReport.self, from: Data(report.json())) == report)
        let text = String(decoding: report.json(), as: UTF8.self)
        for key in ["\"p50_ms\"", "\"p999_ms\"", "\"bytes_per_second\"", "\"first_byte_p99_ms\"", "\"seed\" : 42"] {
            #expect(text.contains(key))
        }
    }

    @Test("the page needs nothing else, and nothing in it becomes markup")
    func page() throws {
        let failure = LoadFailure(.malformed, "<img onerror=alert(1)>")
        let server = (
            name: "http://a/?\"><script>alert(1)</script>",
            rounds: [Self.measurements(step: .milliseconds(1), failure: failure)]
        )
        let page = LoadReport(plan: try Self.plan(.players(PlayerHabits(), zipf: 1)), rounds: 1, servers: [server]).page
        #expect(!page.contains("<script"))
        #expect(!page.contains("<img"))
        #expect(!page.contains("src="))
        #expect(!page.contains("href="))
        #expect(page.contains("&lt;script&gt;"))
        #expect(page.components(separatedBy: "<svg").count == 5)
        #expect(page.contains("Not every answer was right."))
        #expect(!page.contains("nan"))
    }

    @Test("a report of nothing is one, and no success")
    func empty() throws {
        let report = LoadReport(plan: try Self.plan(), rounds: 1, servers: [("http://a/", [Measurements()])])
        #expect(!report.isFaultless)
        #expect(report.text.contains("no right answer"))
        #expect(report.page.contains("<svg"))
    }

    @Test("a viewer who waited long for a picture, and in vain, is an error")
    func noPicture() {
        var measurements = Self.measurements(step: .milliseconds(1))
        measurements.noticed(.notBegun(after: .seconds(10)))
        #expect(measurements.errors == 0)
        measurements.noticed(.notBegun(after: .milliseconds(10_001)))
        #expect(measurements.failures[.noPicture]?.count == 1)
        #expect(measurements.notBegun == 2)
    }

    @Test("what players noticed is in the report")
    func players() throws {
        var measurements = Self.measurements(step: .milliseconds(1))
        for note: PlayerModel.Note in [
            .started(after: .milliseconds(200)), .sought(after: .milliseconds(50)), .stalled(for: .seconds(2)),
            .notBegun(after: .seconds(4)), .watched(.seconds(30)), .gaveUp,
        ] {
            measurements.noticed(note)
        }
        let report = LoadReport(
            plan: try Self.plan(.players(PlayerHabits(), zipf: 1)),
            rounds: 1,
            servers: [("http://a/", [measurements])]
        )
        let players = try #require(report.servers[0].players)
        #expect(players.start.maxMs == 200)
        #expect(players.seek.maxMs == 50)
        #expect(players.stalledSeconds == 2)
        #expect(players.watchedSeconds == 30)
        #expect(players.notBegun == 1)
        #expect(players.abandoned == 1)
        #expect(report.isFaultless)
        #expect(report.text.contains("stalled time"))
        #expect(!report.text.contains("last byte"))
    }
}
