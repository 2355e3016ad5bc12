/// How long a response is fresh from its making on (RFC 9111 §4.2.1).
struct FreshnessLifetime {
    let duration: Duration
    let basis: Freshness.Basis

    /// The first that there is of `s-maxage`, `max-age`, `Expires`, and a guess.
    ///
    /// - Parameter isTargeted: whether the directives come from a field that makes `Expires` mean nothing.
    init(_ response: ResponseMessage, directives: ResponseDirectives, isTargeted: Bool, policy: CachingPolicy) {
        if let sharedMaxAge = directives.sharedMaxAge {
            (duration, basis) = (sharedMaxAge, .sharedMaxAge)
        } else if let maxAge = directives.maxAge {
            (duration, basis) = (maxAge, .maxAge)
        } else if !isTargeted, let expires = Self.expires(of: response) {
            (duration, basis) = (min(max(expires, .zero), DeltaSeconds.limit), .expires)
        } else {
            (duration, basis) = Self.guess(response, isPublic: directives.isPublic, policy: policy)
        }
    }

    /// Statuses whose responses may be kept without an explicit lifetime (RFC 9110 §15.1).
    static let heuristicStatuses: Set<Int> = [200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501]

    /// The most that is guessed of an error: it may be mended at any time, and its `Last-Modified` tells nothing of that.
    static let longestError = Duration.seconds(10)

    /// Whether a response says that there is nothing. A failure of the origin says nothing about what there is.
    static func isNegative(_ status: Int) -> Bool { status == 404 || status == 410 }

    /// A date that cannot be read has passed (RFC 9111 §5.3); of several the first to come counts.
    private static func expires(of response: ResponseMessage) -> Duration? {
        response.fields.values("expires").map { text in
            HeaderDate.parse(text, now: response.responseTime).map { .seconds($0 - response.date) } ?? .zero
        }.min()
    }

    private static func guess(
        _ response: ResponseMessage,
        isPublic: Bool,
        policy: CachingPolicy
    ) -> (Duration, Freshness.Basis) {
        let heuristic = isPublic || heuristicStatuses.contains(response.status) ? heuristic(response, policy) : nil
        if let limit = policy.negativeLifetime, isNegative(response.status) {
            return (min(heuristic ?? limit, limit), .negative)
        }
        guard let heuristic else { return (.zero, .nothing) }
        return (response.status < 400 ? heuristic : min(heuristic, longestError), .heuristic)
    }

    /// A part of the time that the response had not changed for, at most a day (RFC 9111 §4.2.2).
    private static func heuristic(_ response: ResponseMessage, _ policy: CachingPolicy) -> Duration? {
        guard let lastModified = response.lastModified, lastModified < response.date else { return nil }
        let unchanged = Duration.seconds(response.date - lastModified)
        let percentage = min(max(policy.heuristicPercentage, 0), 100)
        return min(unchanged * percentage / 100, .seconds(86_400))
    }
}
