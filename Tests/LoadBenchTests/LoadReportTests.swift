import Foundation
import LoadBench
import Testing

@Suite struct LoadReportTests {
    private static func plan(
        _ work: LoadPlan.Work = .range(length: 1),
        _ reference: ContentReference = .unknown
    ) throws -> LoadPlan {
        let stages = try #require(LoadStages("2:10s"))
        return LoadPlan(work, stages: stages, seed: 42, items: [LoadItem(path: "/", reference: reference)])
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

    @Test("ratios can be computed again from the rounds, and the report says what they are")
    func rounds() throws {
        let first = [2, 4, 90].map { Self.measurements(step: .milliseconds($0)) }
        let second = [1, 1, 3].map { Self.measurements(step: .milliseconds($0)) }
        let report = LoadReport(
            plan: try Self.plan(),
            rounds: 3,
            servers: [("http://a/", first), ("http://b/", second)]
        )
        #expect(report.servers.map(\.rounds.count) == [3, 3])
        let ratios = try zip(report.servers[0].rounds, report.servers[1].rounds).map { one, other in
            try #require(one.lastByteP99Ms) / #require(other.lastByteP99Ms)
        }
        #expect(report.ratios.first { $0.what == "last byte p99" }?.ratio == ratios.sorted()[1])
        #expect(report.servers[0].rounds[0].requestsPerSecond == 10)
        #expect(report.servers[0].rounds[0].startP50Ms == nil)
        let note = "ratio: the median over rounds of the first server's figure over the second's"
        #expect(report.text.contains("\n\(note)\n"))
        #expect(report.page.contains(note.replacing("'", with: "&#39;")))
    }

    @Test("servers are not compared when one had errors", arguments: [true, false])
    func ratioWithErrors(_ isFirst: Bool) throws {
        let measured = [true, false].map { hasErrors in
            [Self.measurements(step: .milliseconds(1), failure: hasErrors ? LoadFailure(.status(503), "503") : nil)]
        }
        let report = LoadReport(
            plan: try Self.plan(),
            rounds: 1,
            servers: [("http://a/", measured[isFirst ? 0 : 1]), ("http://b/", measured[isFirst ? 1 : 0])]
        )
        #expect(report.ratios.allSatisfy { $0.ratio == nil })
        #expect(report.text.contains(" MiB/s      –\n"))
        #expect(report.text.contains("; there is none where a server had errors\n"))
    }

    @Test("where two servers differ and no file tells which is wrong, the report says how to find out")
    func difference() throws {
        let right = Self.measurements(step: .milliseconds(1))
        let wrong = Self.measurements(step: .milliseconds(1), failure: LoadFailure(.wrongBytes, "other bytes"))
        let note = "the two servers differ, or one of them from itself; --compare tells which is wrong"
        let cases: [(ContentReference, [Measurements], Bool)] = [
            (.first(BlockLedger()), [right, wrong], true), (.first(BlockLedger()), [right, right], false),
            (.first(BlockLedger()), [wrong], false),
            (.file(try ReferenceFile(path: #filePath)), [right, wrong], false),
        ]
        for (reference, measured, isSaid) in cases {
            let report = LoadReport(
                plan: try Self.plan(.range(length: 1), reference),
                rounds: 1,
                servers: measured.enumerated().map { ("http://\($0)/", [$1]) }
            )
            #expect(report.text.contains(note) == isSaid)
            #expect(report.page.contains(note) == isSaid)
        }
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

    @Test("the page does not call right what was not compared, and says how often players stalled")
    func verdict() throws {
        var uncompared = Measurements()
        uncompared.received(4, compared: 0)
        uncompared.finished(after: nil)
        var stalled = Self.measurements(step: .milliseconds(1))
        for _ in 0..<3 { stalled.noticed(.stalled(for: .seconds(1))) }
        let cases = [
            (uncompared, "Every answer had the right form; bytes were not compared.", false),
            (Self.measurements(step: .milliseconds(1)), "Every answer was right.", false),
            (stalled, "Every answer was right.", true),
        ]
        for (measured, expected, hasStalls) in cases {
            let plan = try Self.plan(.players(PlayerHabits(), zipf: 1))
            let page = LoadReport(plan: plan, rounds: 1, servers: [("http://a/", [measured])]).page
            #expect(page.contains("<p class=\"good\">\(expected)</p>"))
            #expect(page.contains("<p class=\"bad\">Stalls: 3.</p>") == hasStalls)
        }
    }

    @Test("a report says what was run, by which version and when")
    func invocation() throws {
        let invocation = LoadInvocation(
            command: "media-gateway bench <x>",
            version: "1.2",
            started: "2026-01-02T03:04:05Z"
        )
        let server = (name: "http://a/", rounds: [Self.measurements(step: .milliseconds(1))])
        let report = LoadReport(plan: try Self.plan(), rounds: 1, servers: [server], invocation: invocation)
        #expect(
            report.text.hasPrefix(
                "range, 2:10s, seed 42\nmedia-gateway bench <x>\nmedia-gateway 1.2, 2026-01-02T03:04:05Z\n\n"
            )
        )
        #expect(
            report.page.contains("<p>media-gateway bench &lt;x&gt;</p>\n<p>media-gateway 1.2, 2026-01-02T03:04:05Z</p>")
        )
        #expect(String(decoding: report.json(), as: UTF8.self).contains("\"started\" : \"2026-01-02T03:04:05Z\""))
    }

    @Test("progress has errors first, and no part of a figure where the line is full")
    func progress() {
        var second = Measurements.Second()
        (second.level, second.requests, second.bytes) = (50, 1234, 5 << 20)
        second.firstByte = (p50: .milliseconds(2), p95: .milliseconds(3), p99: .milliseconds(4))
        let run = LoadRun.Progress(elapsed: .seconds(12), second: second, errors: 3, stalls: 7)
        let turn = LoadSession.Turn(server: 1, round: 2, rounds: 3, duration: .seconds(30), run: run)
        let whole =
            "3 errors  server 1  round 2/3  12/30 s  50 at a time  7 stalls  1234 requests/s  5.0 MiB/s  "
            + "first byte p50 2.000 ms  first byte p99 4.000 ms"
        #expect(LoadSession.Progress.turn(turn).text() == whole)
        #expect(LoadSession.Progress.turn(turn).text(width: whole.count) == String(whole.dropLast(25)))
        let quiet = LoadRun.Progress(elapsed: .seconds(1), second: Measurements.Second(), errors: 0, stalls: nil)
        let only = LoadSession.Turn(server: nil, round: 1, rounds: 1, duration: .seconds(30), run: quiet)
        #expect(LoadSession.Progress.turn(only).text(width: 20) == "1/30 s  0 at a time")
        #expect(LoadSession.Progress.warmingUp(server: 2).text(width: 80) == "server 2  warming up")
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
