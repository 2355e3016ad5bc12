import Glibc

/// The limit of open descriptors, which must hold all connections and what serves them.
enum DescriptorLimit {
    /// For each connection its socket; for each of up to 4096 that stream at a time a file; 256 for
    /// the admin listener; and some for the rest.
    private static func needed(connections: Int) -> UInt64 {
        UInt64(clamping: connections) + min(UInt64(clamping: connections), 4096) + 384
    }

    /// Raises the soft limit as far as needed.
    ///
    /// - Throws: ``DescriptorLimitError`` if the hard limit is too low: at the descriptor limit accepting spins.
    static func ensure(connections: Int) throws {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        let needed = needed(connections: connections)
        guard limit.rlim_cur < needed else { return }
        guard limit.rlim_max >= needed else {
            throw DescriptorLimitError(connections: connections, needed: needed, limit: UInt64(limit.rlim_max))
        }
        limit.rlim_cur = rlim_t(needed)
        guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            throw DescriptorLimitError(connections: connections, needed: needed, limit: UInt64(limit.rlim_max))
        }
    }
}

/// More connections are configured than the process may have descriptors for.
package struct DescriptorLimitError: Error, CustomStringConvertible {
    let connections: Int
    let needed: UInt64
    let limit: UInt64

    package var description: String {
        "limits.connections = \(connections) needs \(needed) file descriptors and the limit is \(limit); "
            + "raise the limit (ulimit -n, LimitNOFILE) or lower limits.connections"
    }
}
