/// A policy that is simulated.
struct Candidate: Sendable {
    let name: String
    let make: @Sendable (_ capacity: Int, _ trace: Trace) -> any EvictionPolicy

    /// Those that can be configured, then what was tried beside them.
    static let all =
        CachePolicy.allCases.map { policy in
            Candidate(name: policy.rawValue) { capacity, _ in policy.makePolicy(capacity: capacity) }
        } + [
            Candidate(name: "titles") { capacity, _ in PopularTitles(capacity: capacity) },
            Candidate(name: "edges") { FavouredEdges(capacity: $0, last: $1.lastChunks) },
        ]
}
