/// How long what an answer says of an object may be believed, and whether its bytes may be kept.
struct OriginFreshness: Sendable, Hashable {
    let validity: Validity
    /// Whether a shared cache may store what comes.
    let isStorable: Bool
    /// When the object was last changed, as the origin says; `nil` if it does not.
    let lastModified: Timestamp?
    let caching: OriginCaching

    /// Without a check for a day at most, and for a second where the origin says nothing: that an object has not changed
    /// for long is no promise.
    private static let longest = Duration.seconds(86_400)

    /// Of longer fields nothing is passed on: what is known of many objects must not take much memory.
    private static let longestField = 1024

    /// - Parameters:
    ///   - now: when the answer came, in the time of day.
    ///   - since: the same by a clock that nobody sets.
    init(_ head: OriginHead, now: Timestamp, since: ContinuousClock.Instant = .now) {
        let message = ResponseMessage(status: head.status, fields: head.fields, requestTime: now, responseTime: now)
        var policy = CachingPolicy()
        policy.heuristicPercentage = 0
        let validity = ObjectValidity(message, maximum: Self.longest, policy: policy)
        self.validity = validity.validity
        // Nobody can tell for whom else it would be right (RFC 9111 §4.1).
        isStorable = validity.mayBeStored && !head.tokens("vary").contains("*")
        lastModified = message.lastModified.map { Timestamp(seconds: $0) }
        func text(_ name: String) -> String? {
            let text = head.values(name).joined(separator: ", ")
            return (1...Self.longestField).contains(text.utf8.count) ? text : nil
        }
        let cacheControl = text("cache-control")
        caching = OriginCaching(
            cacheControl: cacheControl,
            // Not without what may say the opposite.
            expires: cacheControl == nil && !head.values("cache-control").isEmpty ? nil : text("expires"),
            cacheStatus: text("cache-status"),
            age: Freshness(message, policy: policy).initialAge,
            since: since
        )
    }
}
