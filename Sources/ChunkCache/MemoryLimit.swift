import Glibc

/// The memory that this process may use, its files' pages among it: that of the machine, or less in a control group.
package enum MemoryLimit {
    /// Bytes, as they were at the first use. That blocks.
    package static let bytes: Int64 = {
        let physical = Int64(max(sysconf(Int32(_SC_PHYS_PAGES)), 1)) &* Int64(DataFileCheck.pageSize)
        return min(physical, ofGroups(named: text(of: "/proc/self/cgroup") ?? "", below: "/sys/fs/cgroup") ?? .max)
    }()

    /// Whether it is so little that what is free in the heap had better be used for files.
    static var isLittle: Bool { bytes < 1 << 30 }

    /// One of `parts` equal parts of it, but at most `bytes`.
    package static func part(oneOf parts: Int64, atMost bytes: Int) -> Int {
        Int(clamping: min(Int64(bytes), Self.bytes / parts))
    }

    /// The least limit of a group and those it is in; `nil` if none has one.
    ///
    /// - Parameters:
    ///   - groups: as cgroups(7) describes `/proc/self/cgroup`: of version 1 the line of `memory` counts, of version 2 the
    ///     only one.
    ///   - root: where the groups are.
    package static func ofGroups(named groups: String, below root: String) -> Int64? {
        var limits: [Int64] = []
        for line in groups.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let isFirst = fields[1].split(separator: ",").contains("memory")
            guard isFirst || fields[1].isEmpty else { continue }
            let (top, name) = isFirst ? (root + "/memory", "memory.limit_in_bytes") : (root, "memory.max")
            // In a container the path may be that of the machine: then the top is the container's group.
            var steps = fields[2].split(separator: "/")
            while true {
                let folder = ([top] + steps.map(String.init)).joined(separator: "/")
                if let limit = text(of: folder + "/" + name)?.split(separator: "\n").first.flatMap({ Int64($0) }) {
                    limits.append(limit)
                }
                if steps.popLast() == nil { break }
            }
        }
        return limits.min()
    }

    /// A short file.
    private static func text(of path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 1) { buffer in
            let count = read(file, buffer.baseAddress, buffer.count)
            return count < 0 ? nil : String(decoding: buffer.prefix(count), as: UTF8.self)
        }
    }
}
