import Foundation
import Gateway
import Testing

@Suite struct ProcessMetricsTests {
    @Test("a program name with spaces and parentheses does not shift the fields")
    func statLine() throws {
        let fields = (4...52).map { "\($0)" }.joined(separator: " ")
        let stat = try #require(ProcessStat("1 (a) b (c)) S \(fields)"))
        #expect(stat.cpuTicks == 14 + 15)
        #expect(stat.startTicks == 22)
        #expect(stat.residentPages == 24)
    }

    @Test("a line of another shape is no answer", arguments: ["", "1 (a) S 1 2", "1 (a S 4", "1 (a) S -1 x"])
    func oddStatLine(line: String) {
        #expect(ProcessStat(line) == nil)
    }

    @Test("the start of the system is found among the other lines")
    func bootTime() {
        #expect(ProcessStat.bootTime("cpu 1 2\nintr 5\nbtime 1764000000\nprocesses 7\n") == 1_764_000_000)
        #expect(ProcessStat.bootTime("cpu 1 2\n") == nil)
    }

    @Test("pages that are mapped from files are not anonymous")
    func anonymousPages() {
        #expect(ProcessStat.anonymousPages("1000 300 120 5 0 80 0\n") == 180)
        #expect(ProcessStat.anonymousPages("1000 300 301 5 0 80 0\n") == 0)
        for odd in ["", "1000 300", "1000 x 120", "1000 300 -1"] { #expect(ProcessStat.anonymousPages(odd) == nil) }
    }

    @Test("the page shows this process")
    func page() throws {
        let registry = PrometheusRegistry()
        ProcessMetrics.register(in: registry, version: "1.2.3", startTime: 1_764_000_000_500_000_000)
        let values = Dictionary(
            registry.page().split(separator: "\n").filter { !$0.hasPrefix("#") }.compactMap { line in
                let parts = line.split(separator: " ")
                return Double(parts[1]).map { (String(parts[0]), $0) }
            }
        ) { first, _ in first }

        #expect(values["media_gateway_build_info{version=\"1.2.3\"}"] == 1)
        #expect(values["media_gateway_start_time_seconds"] == 1_764_000_000.5)
        #expect(try #require(values["process_cpu_seconds_total"]) > 0)
        #expect(try #require(values["process_resident_memory_bytes"]) > 1_000_000)
        let openFiles = try #require(values["process_open_fds"])
        #expect(openFiles >= 3)
        #expect(openFiles < (try #require(values["process_max_fds"])))
        let age = Date().timeIntervalSince1970 - (try #require(values["process_start_time_seconds"]))
        #expect((-5...86400).contains(age))
    }
}
