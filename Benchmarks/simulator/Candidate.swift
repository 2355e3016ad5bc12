/// A policy that is simulated.
struct Candidate: Sendable {
    let name: String
    let make: @Sendable (_ capacity: Int) -> any EvictionPolicy

    /// Those that can be configured, then what was tried beside them.
    static let all =
        CachePolicy.allCases.map { policy in
            Candidate(name: policy.rawValue) { policy.makePolicy(capacity: $0) }
        } + [Candidate(name: "titles") { PopularTitles(capacity: $0) }]
}
