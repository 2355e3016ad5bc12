import FoundationEssentials
import Glibc

/// What the operating system knows of this process, read from `/proc` for each page.
package enum ProcessMetrics {
    /// Adds the metrics to `registry`. One that cannot be read is not shown.
    ///
    /// - Parameter startTime: nanoseconds since 1970 at which the gateway began to start.
    package static func register(in registry: PrometheusRegistry, version: String, startTime: Int64) {
        registry.gauge(
            "media_gateway_build_info",
            help: "1, with what was built as labels",
            labels: [("version", version)]
        ).set(1)
        registry.gauge("media_gateway_start_time_seconds", help: "Unix time at which the gateway started")
            .set(Double(startTime) / 1e9)
        registry.onScrape(collect)
    }

    private static func collect(into registry: PrometheusRegistry) {
        if let text = read("/proc/self/stat"), let stat = ProcessStat(text) {
            let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
            registry.secondsCounter("process_cpu_seconds_total", help: "User and system CPU time spent")
                .raise(to: .seconds(Double(stat.cpuTicks) / ticks))
            registry.gauge("process_resident_memory_bytes", help: "Resident memory size")
                .set(Double(stat.residentPages) * Double(sysconf(Int32(_SC_PAGESIZE))))
            if let boot = read("/proc/stat").flatMap(ProcessStat.bootTime) {
                registry.gauge("process_start_time_seconds", help: "Unix time at which the process started")
                    .set(Double(boot) + Double(stat.startTicks) / ticks)
            }
        }
        if let pages = read("/proc/self/statm").flatMap(ProcessStat.anonymousPages) {
            registry.gauge(
                "media_gateway_anonymous_memory_bytes",
                help: "Resident memory without what is mapped of files, the cache among them"
            ).set(Double(pages) * Double(sysconf(Int32(_SC_PAGESIZE))))
        }
        // The listing holds the descriptor it is read through.
        if let names = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            registry.gauge("process_open_fds", help: "Open file descriptors").set(max(names.count - 1, 0))
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            registry.gauge("process_max_fds", help: "Limit of open file descriptors").set(limit.rlim_cur)
        }
    }

    private static func read(_ path: String) -> String? {
        (try? Data(contentsOf: URL(filePath: path))).map { String(decoding: $0, as: UTF8.self) }
    }
}

/// The fields of `/proc/self/stat` that become metrics.
package struct ProcessStat: Sendable, Equatable {
    package let cpuTicks: UInt64
    /// After the start of the system.
    package let startTicks: UInt64
    package let residentPages: UInt64

    /// - Returns: `nil` if `line` is not what proc(5) describes.
    package init?(_ line: String) {
        // The second field is the program's name, in parentheses, and may hold spaces and parentheses itself.
        guard let nameEnd = line.lastIndex(of: ")") else { return nil }
        let fields = line[line.index(after: nameEnd)...].split(separator: " ")
        func field(_ number: Int) -> UInt64? {
            let index = number - 3
            return fields.indices.contains(index) ? UInt64(fields[index]) : nil
        }
        guard let user = field(14), let system = field(15), let start = field(22), let resident = field(24) else {
            return nil
        }
        self.cpuTicks = user &+ system
        self.startTicks = start
        self.residentPages = resident
    }

    /// The resident pages of `/proc/self/statm` that are not mapped from files.
    package static func anonymousPages(_ text: String) -> UInt64? {
        let fields = text.split(separator: " ")
        guard fields.count > 2, let resident = UInt64(fields[1]), let shared = UInt64(fields[2]) else { return nil }
        return resident - min(shared, resident)
    }

    /// The Unix time in seconds of the `btime` line of `/proc/stat`.
    package static func bootTime(_ text: String) -> UInt64? {
        text.split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { UInt64($0.dropFirst(6)) }
    }
}
