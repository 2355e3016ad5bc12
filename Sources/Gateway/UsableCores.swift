import FoundationEssentials
import NIOCore

/// How many cores this process may run on.
///
/// Not `System.coreCount` alone, which knows the limits of control groups but not those of `taskset` and `CPUAffinity=`:
/// two event loops that share one core cost each request a change of threads.
package enum UsableCores {
    package static var count: Int {
        let status = (try? String(contentsOf: URL(filePath: "/proc/self/status"), encoding: .utf8)) ?? ""
        return max(min(allowed(in: status) ?? .max, System.coreCount), 1)
    }

    /// The number of cores in the mask of a `status` file, as in proc_pid_status(5); `nil` if it has none.
    package static func allowed(in status: String) -> Int? {
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") }) else {
            return nil
        }
        let count = line.drop { $0 != ":" }.compactMap(\.hexDigitValue).reduce(0) { $0 + $1.nonzeroBitCount }
        return count > 0 ? count : nil
    }
}
