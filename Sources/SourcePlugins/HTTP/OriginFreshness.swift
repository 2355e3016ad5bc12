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

    /// - Parameter now: when the answer came.
    init(_ head: OriginHead, now: Timestamp) {
        let message = ResponseMessage(status: head.status, fields: head.fields, requestTime: now, responseTime: now)
        var policy = CachingPolicy()
        policy.heuristicPercentage = 0
        let validity = ObjectValidity(message, maximum: Self.longest, policy: policy)
        self.validity = validity.validity
        // Nobody can tell for whom else it would be right (RFC 9111 §4.1).
        isStorable = validity.mayBeStored && !head.tokens("vary").contains("*")
        lastModified = message.lastModified.map { Timestamp(seconds: $0) }
        func text(_ name: String) -> String? {
            let values = head.values(name)
            return values.isEmpty ? nil : values.joined(separator: ", ")
        }
        caching = OriginCaching(
            cacheControl: text("cache-control"),
            expires: head.single("expires"),
            cacheStatus: text("cache-status"),
            age: Freshness(message, policy: policy).initialAge,
            since: now
        )
    }
}
