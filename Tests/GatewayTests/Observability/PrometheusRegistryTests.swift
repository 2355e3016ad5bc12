import CoreMetrics
import Foundation
import Gateway
import Testing

@Suite struct PrometheusRegistryTests {
    private let registry = PrometheusRegistry()

    @Test("the page shows each type as the text format has it, sorted by name and labels")
    func page() {
        registry.counter("z_total", help: "Last", labels: [("route", "media")]).increment(by: 3)
        registry.counter("z_total", help: "Last", labels: [("route", "listing")]).increment()
        registry.gauge("a_bytes", help: "First").set(1.5)
        registry.secondsCounter("m_seconds_total", help: "Waited").increment(by: .milliseconds(1250))
        let histogram = registry.histogram("h_seconds", help: "Took", labels: [("route", "x")], buckets: [0.5, 1])
        for value in [0.5, 0.75, 0.75, 9] { histogram.observe(seconds: value) }

        #expect(
            registry.page() == """
                # HELP a_bytes First
                # TYPE a_bytes gauge
                a_bytes 1.5
                # HELP h_seconds Took
                # TYPE h_seconds histogram
                h_seconds_bucket{route="x",le="0.5"} 1
                h_seconds_bucket{route="x",le="1"} 3
                h_seconds_bucket{route="x",le="+Inf"} 4
                h_seconds_sum{route="x"} 11
                h_seconds_count{route="x"} 4
                # HELP m_seconds_total Waited
                # TYPE m_seconds_total counter
                m_seconds_total 1.25
                # HELP z_total Last
                # TYPE z_total counter
                z_total{route="listing"} 1
                z_total{route="media"} 3

                """
        )
    }

    @Test("the same name and labels, in any order, are the same metric")
    func lookUpIsIdempotent() {
        let first = registry.counter("a_total", help: "A", labels: [("x", "1"), ("y", "2")])
        let second = registry.counter("a_total", help: "another text", labels: [("y", "2"), ("x", "1")])
        #expect(first === second)
    }

    @Test("a metric that contradicts the first of its name counts for nobody")
    func conflicts() {
        registry.counter("a_total", help: "A", labels: [("x", "1")]).increment()
        registry.histogram("b_seconds", help: "B", buckets: [1]).observe(0.5)
        let page = registry.page()

        registry.gauge("a_total", help: "A", labels: [("x", "1")]).set(7)
        registry.secondsCounter("a_total", help: "A", labels: [("x", "1")]).increment(by: .seconds(7))
        registry.counter("a_total", help: "A").increment()
        registry.counter("a_total", help: "A", labels: [("y", "1")]).increment()
        registry.histogram("b_seconds", help: "B", buckets: [2]).observe(0.5)
        #expect(registry.page() == page)
    }

    @Test("a label that strangers choose ends at 1,000 series of its metric")
    func seriesAreBounded() {
        for number in 0..<1100 {
            registry.counter("a_total", help: "A", labels: [("method", "M\(number)")]).increment()
        }
        #expect(registry.page().split(separator: "\n").count { $0.hasPrefix("a_total{") } == 1000)
    }

    @Test(
        "what stands in a label or a help text cannot end it",
        arguments: [
            ("plain", "plain"), ("a\"b", "a\\\"b"), ("a\\b", "a\\\\b"), ("a\nb", "a\\nb"), ("a\r\nb", "a\r\\nb"),
            ("käse", "käse"),
        ]
    )
    func escaping(value: String, escaped: String) {
        registry.gauge("a", help: value, labels: [("l", value)]).set(1)
        let help = escaped.replacing("\\\"", with: "\"")
        #expect(registry.page() == "# HELP a \(help)\n# TYPE a gauge\na{l=\"\(escaped)\"} 1\n")
    }

    @Test(
        "names that the format does not allow are rewritten",
        arguments: [("a.b-c", "a_b_c"), ("1a", "_1a"), ("", "_"), ("a:b", "a:b"), ("ä", "_")]
    )
    func names(name: String, rewritten: String) {
        registry.gauge(name, help: "A").set(1)
        #expect(registry.page().contains("\n\(rewritten) 1\n"))
    }

    @Test("labels that belong to Prometheus are renamed")
    func reservedLabels() {
        registry.histogram("a_seconds", help: "A", labels: [("le", "x"), ("__name", "y")], buckets: []).observe(1)
        #expect(registry.page().contains(#"a_seconds_bucket{exported__name="y",exported_le="x",le="+Inf"} 1"#))
    }

    @Test(
        "numbers are written as the format wants them",
        arguments: [
            (0.0, "0"), (-2, "-2"), (0.25, "0.25"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
            (1_764_000_000.5, "1764000000.5"), (1e300, "1e+300"),
        ]
    )
    func numbers(value: Double, text: String) {
        registry.gauge("a", help: "A").set(value)
        #expect(registry.page().hasSuffix("\na \(text)\n"))
    }

    @Test("collectors run before each page")
    func collectors() {
        let scrapes = PrometheusRegistry.Counter()
        registry.onScrape { registry in
            scrapes.increment()
            registry.counter("scrapes_total", help: "Pages").raise(to: scrapes.value)
        }
        #expect(registry.page().contains("scrapes_total 1\n"))
        #expect(registry.page().contains("scrapes_total 2\n"))
    }

    @Test("counters never go down")
    func countersAreMonotonic() {
        let counter = registry.counter("a_total", help: "A")
        counter.increment(by: 5)
        counter.increment(by: -3)
        counter.raise(to: 2)
        #expect(counter.value == 5)
        let seconds = registry.secondsCounter("a_seconds_total", help: "A")
        seconds.raise(to: .seconds(5))
        seconds.increment(by: .seconds(-1))
        seconds.raise(to: .seconds(1))
        #expect(seconds.value == .seconds(5))
    }

    @Test("nothing that is counted from several tasks at once is lost")
    func concurrency() async {
        let counter = registry.counter("a_total", help: "A")
        let gauge = registry.gauge("b", help: "B")
        let histogram = registry.histogram("c_seconds", help: "C")
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<10_000 {
                        counter.increment()
                        gauge.increment(by: 2)
                        gauge.decrement()
                        histogram.observe(seconds: 0.5)
                    }
                }
            }
        }
        #expect(counter.value == 40_000)
        #expect(gauge.value == 40_000)
        #expect(histogram.snapshot.sum == 20_000)
    }

    @Test("observations that are not finite are ignored")
    func oddObservations() {
        let histogram = registry.histogram("a_seconds", help: "A")
        for value in [Double.nan, .infinity, -.infinity] { histogram.observe(seconds: value) }
        #expect(histogram.snapshot.counts.allSatisfy { $0 == 0 })
    }

    @Test("what libraries report lands on the page under names of its format")
    func metricsFactory() {
        let factory = PrometheusMetricsFactory(registry: registry)
        let dimensions = [("http.route", "/a")]
        factory.makeCounter(label: "hb.requests", dimensions: dimensions).increment(by: 2)
        factory.makeCounter(label: "hb.requests", dimensions: dimensions).increment(by: 1)
        factory.makeTimer(label: "http.server.request.duration", dimensions: []).recordNanoseconds(2_500_000_000)
        factory.makeMeter(label: "http.server.active_requests", dimensions: []).increment(by: 3)
        factory.makeRecorder(label: "pool.size_total", dimensions: [], aggregate: false).record(4.0)
        factory.makeRecorder(label: "bodySize", dimensions: [], aggregate: true).record(50.0)

        let page = registry.page()
        #expect(page.contains("hb_requests_total{http_route=\"/a\"} 3\n"))
        #expect(page.contains("http_server_request_duration_seconds_sum 2.5\n"))
        #expect(page.contains("http_server_active_requests 3\n"))
        #expect(page.contains("\npool_size 4\n"))
        #expect(page.contains("bodysize_bucket{le=\"100\"} 1\n"))
    }

    @Test("promtool finds nothing to remark", .enabled(if: Promtool.isExpected))
    func promtool() throws {
        ProcessMetrics.register(in: registry, version: "1.0", startTime: 1_764_000_000_000_000_000)
        registry.counter("media_gateway_http_requests_total", help: "a \\ \n \"b\"", labels: [("code", "2\\\n\"")])
            .increment()
        registry.secondsCounter("media_gateway_stream_stall_seconds_total", help: "Waited").increment(by: .seconds(2))
        registry.histogram("media_gateway_http_first_byte_seconds", help: "Took", labels: [("route", "media")])
            .observe(seconds: 0.2)
        let factory = PrometheusMetricsFactory(registry: registry)
        factory.makeCounter(label: "hb.requests", dimensions: []).increment(by: 2)
        factory.makeTimer(label: "http.server.request.duration", dimensions: []).recordNanoseconds(2_500_000_000)
        #expect(try Promtool.remarks(on: registry.page()) == "")
    }
}

/// Prometheus' own checker of the text format.
enum Promtool {
    private static var path: String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/promtool" }
            .first(where: FileManager.default.isExecutableFile)
    }

    /// Where every tool has to be there, its absence is a failure.
    static var isExpected: Bool { path != nil || ProcessInfo.processInfo.environment["CI"] == "true" }

    /// - Returns: what it says of `page`; empty if it is content.
    static func remarks(on page: String) throws -> String {
        let path = try #require(Self.path, "promtool is not installed")
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = ["check", "metrics"]
        let input = Pipe()
        let output = Pipe()
        process.standardInput = input
        process.standardOutput = output
        process.standardError = output
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(page.utf8))
        try input.fileHandleForWriting.close()
        let remarks = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: remarks, as: UTF8.self) + (process.terminationStatus == 0 ? "" : "failed")
    }
}
