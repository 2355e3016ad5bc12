/// The gateway's member of `Cache-Status` (RFC 9211) in a forwarded answer.
package struct CacheStatus: Sendable, Hashable {
    /// Why a request went to the origin.
    package enum Forward: String, Sendable {
        case bypass
        case method
        case uriMiss = "uri-miss"
        case varyMiss = "vary-miss"
        case miss
        case request
        case stale
        case partial
    }

    package var isHit = false
    package var forward: Forward?
    /// What the origin answered, if the client was answered otherwise.
    package var forwardStatus: Int?
    package var isStored = false
    package var isCollapsed = false
    /// What is left of the lifetime, in seconds.
    package var timeToLive: Int64?

    package init(
        isHit: Bool = false,
        forward: Forward? = nil,
        forwardStatus: Int? = nil,
        isStored: Bool = false,
        isCollapsed: Bool = false,
        timeToLive: Int64? = nil
    ) {
        self.isHit = isHit
        self.forward = forward
        self.forwardStatus = forwardStatus
        self.isStored = isStored
        self.isCollapsed = isCollapsed
        self.timeToLive = timeToLive
    }

    /// The field for `node`, behind what caches nearer to the origin said.
    package func value(_ node: String, behind others: [String]) -> String {
        var member = node
        if isHit { member += "; hit" }
        if let forward { member += "; fwd=\(forward.rawValue)" }
        if let forwardStatus { member += "; fwd-status=\(forwardStatus)" }
        if isStored { member += "; stored" }
        if isCollapsed { member += "; collapsed" }
        if let timeToLive { member += "; ttl=\(timeToLive)" }
        return (others + [member]).joined(separator: ", ")
    }

    /// As the metrics have it.
    package var outcome: CacheOutcome {
        if isHit { return .hit }
        switch forward {
        case .bypass, .method, nil: return .bypass
        case .partial: return .partial
        case .uriMiss, .varyMiss, .miss, .request, .stale: return isCollapsed ? .partial : .miss
        }
    }
}
