/// What to do with a request that a stored response would answer (RFC 9111 §4).
package enum ReuseDecision: Sendable, Hashable {
    /// Answer with it.
    case fresh(age: Duration)
    /// Answer with it although it is stale.
    case stale(age: Duration, StaleUse)
    /// Ask the origin first. If that fails, the response may be used until then; `nil`: not at all, and the failure is
    /// a 504 unless it has a status of its own.
    case validate(ValidationReason, staleIfErrorUntil: Timestamp?)
    /// Answer 504: the client wants a stored response, and there is none that it would take.
    case gatewayTimeout

    /// Why a stale response may be used.
    package enum StaleUse: Sendable, Hashable {
        /// `max-stale`.
        case acceptedByClient
        /// The origin is asked in the background, once for all that use the response meanwhile.
        case whileRevalidating
    }

    package enum ValidationReason: String, Sendable, CaseIterable {
        case stale
        case responseNoCache = "response_no_cache"
        case requestNoCache = "request_no_cache"
        case requestNoStore = "request_no_store"
        case requestMaxAge = "request_max_age"
        case requestMinFresh = "request_min_fresh"
    }

    /// Whether a status that the origin answers with is a failure, of which `staleIfErrorUntil` spares the client
    /// (RFC 5861 §4).
    package static func isError(status: Int) -> Bool {
        [500, 502, 503, 504].contains(status)
    }
}

extension StoredResponse {
    /// What to do with `request`, for which ``select(for:among:)`` found this.
    package func reuse(for request: RequestMessage, at now: Timestamp, policy: CachingPolicy) -> ReuseDecision {
        let wishes = RequestDirectives(request.fields)
        let age = freshness.age(at: now)
        guard let reason = reasonToValidate(age: age, wishes: wishes) else { return .fresh(age: age) }
        let staleness = age - freshness.lifetime
        if reason == .stale, let use = staleUse(staleness, wishes: wishes, policy: policy) {
            return .stale(age: age, use)
        }
        if wishes.onlyIfCached { return .gatewayTimeout }
        return .validate(reason, staleIfErrorUntil: staleIfErrorUntil(now, wishes: wishes, policy: policy))
    }

    private func reasonToValidate(age: Duration, wishes: RequestDirectives) -> ReuseDecision.ValidationReason? {
        if freshness.needsValidation { return .responseNoCache }
        if wishes.noCache { return .requestNoCache }
        if wishes.noStore { return .requestNoStore }
        let remaining = freshness.lifetime - age
        // What never changes is not made better by asking (RFC 8246).
        if freshness.isImmutable, remaining > .zero { return nil }
        if let maxAge = wishes.maxAge, age > maxAge { return .requestMaxAge }
        if let minFresh = wishes.minFresh, remaining < minFresh { return .requestMinFresh }
        return remaining > .zero ? nil : .stale
    }

    private func staleUse(
        _ staleness: Duration,
        wishes: RequestDirectives,
        policy: CachingPolicy
    ) -> ReuseDecision.StaleUse? {
        guard case .allowed(let whileRevalidating, _) = freshness.staleness else { return nil }
        if let maxStale = wishes.maxStale, staleness <= maxStale { return .acceptedByClient }
        // A client that limits the age wants nothing stale (RFC 9111 §5.2.1.1).
        guard wishes.maxAge == nil else { return nil }
        // The operator prolongs lifetimes, and gives none to what has none.
        let added = freshness.lifetime > .zero ? policy.staleWhileRevalidate : nil
        guard let window = whileRevalidating ?? added else { return nil }
        return staleness < window ? .whileRevalidating : nil
    }

    private func staleIfErrorUntil(
        _ now: Timestamp,
        wishes: RequestDirectives,
        policy: CachingPolicy
    ) -> Timestamp? {
        guard case .allowed(_, let ifError) = freshness.staleness,
            let window = [ifError ?? policy.staleIfError, wishes.staleIfError].compactMap({ $0 }).max()
        else { return nil }
        let end = freshness.expiration.advanced(by: window)
        return now < end ? end : nil
    }
}
