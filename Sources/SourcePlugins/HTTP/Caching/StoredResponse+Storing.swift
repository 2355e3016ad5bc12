/// Whether a response may be stored, and as what.
package enum StoreDecision: Sendable, Hashable {
    case store(StoredResponse)
    case refuse(StoreRefusal)
}

/// Why a response is not stored, or not any longer.
package enum StoreRefusal: String, Sendable, CaseIterable {
    /// The request has a method or a body that no later request can be compared with, or a field of that kind that the
    /// response's `Vary` names.
    case method
    /// The request asks for it.
    case requestNoStore = "request_no_store"
    /// The status is an interim one, or one that says something about a request and not about a resource.
    case status
    /// A part, 206: for a store of parts.
    case partial
    /// `must-understand` with a status that is not understood.
    case notUnderstood = "not_understood"
    case noStore = "no_store"
    case isPrivate = "private"
    /// The request was authorized, and the response does not say that others may have it.
    case authorization
    case setCookie = "set_cookie"
    case varyAny = "vary_any"
    /// There is neither a lifetime nor a validator, or the lifetime is over and nothing could prolong it.
    case noUse = "no_use"
}

extension StoredResponse {
    /// What a shared cache does with a response that came whole (RFC 9111 §3).
    ///
    /// The response to POST is stored as that to GET if it says that it is one (RFC 9110 §9.3.3).
    package static func decide(
        request: RequestMessage,
        response: ResponseMessage,
        policy: CachingPolicy
    ) -> StoreDecision {
        let terms = StoringTerms(response, policy: policy)
        if let refusal = terms.refusal(of: response, to: request) { return .refuse(refusal) }
        guard VariantKey.names(in: response.fields) != nil else { return .refuse(.varyAny) }
        guard let variant = VariantKey(response: response.fields, request: request.fields) else {
            return .refuse(.method)
        }
        let stored = StoredResponse(response, for: variant, terms: terms)
        return stored.hasUse(terms.freshness, policy: policy) ? .store(stored) : .refuse(.noUse)
    }

    /// - Parameter variant: the requests that the response answers.
    init(_ response: ResponseMessage, for variant: VariantKey, terms: StoringTerms) {
        var fields = response.fields.endToEnd
        fields.remove(terms.directives.withheldFields)
        // A whole body is no range, and a tag that may stand for several is none.
        fields.remove(["age", "content-range"])
        if response.hasRepairedTag { fields.remove("etag") }
        if fields.first("date").flatMap({ HeaderDate.parse($0, now: response.responseTime) }) == nil {
            fields.set("Date", HeaderDate.format(seconds: response.date))
        }
        if terms.policy.setCookie == .omit { fields.remove(["set-cookie", "set-cookie2"]) }
        self.init(status: response.status, fields: fields, freshness: terms.freshness, variant: variant)
    }

    private func hasUse(_ freshness: Freshness, policy: CachingPolicy) -> Bool {
        if hasValidator { return true }
        if freshness.needsValidation || freshness.basis == .nothing { return false }
        if freshness.lifetime > .zero { return true }
        guard case .allowed(let whileRevalidating, let ifError) = freshness.staleness else { return false }
        let windows = [whileRevalidating ?? policy.staleWhileRevalidate, ifError ?? policy.staleIfError]
        return windows.contains { $0.map { $0 > .zero } ?? false }
    }
}

/// What a response and the operator say about its storing.
struct StoringTerms {
    let directives: ResponseDirectives
    let freshness: Freshness
    let policy: CachingPolicy

    init(_ response: ResponseMessage, policy: CachingPolicy) {
        let (directives, isTargeted) = ResponseDirectives.effective(of: response.fields)
        self.directives = directives
        self.policy = policy
        freshness = Freshness(response, directives: directives, isTargeted: isTargeted, policy: policy)
    }

    func refusal(of response: ResponseMessage, to request: RequestMessage) -> StoreRefusal? {
        refusalOfRequest(request, response) ?? refusalOfStatus(response.status)
            ?? refusalOfDirectives(request, response)
    }

    private func refusalOfRequest(_ request: RequestMessage, _ response: ResponseMessage) -> StoreRefusal? {
        switch request.method {
        case "GET":
            if request.hasContent { return .method }
        case "POST":
            let location = response.fields.first("content-location").flatMap { request.target.resolve($0) }
            guard location == request.target, freshness.basis.isExplicit, (200...299).contains(response.status) else {
                return .method
            }
        default:
            return .method
        }
        return RequestDirectives(request.fields).noStore ? .requestNoStore : nil
    }

    private func refusalOfStatus(_ status: Int) -> StoreRefusal? {
        switch status {
        case 206: .partial
        // 304 and 416 are about what the request held; 304 has another way into the cache.
        case ..<200, 304, 416, 600...: .status
        default: nil
        }
    }

    private func refusalOfDirectives(_ request: RequestMessage, _ response: ResponseMessage) -> StoreRefusal? {
        let isUnderstood = Self.understoodStatuses.contains(response.status)
        if directives.mustUnderstand, !isUnderstood { return .notUnderstood }
        // `must-understand` is a `no-store` for those who do not (RFC 9111 §5.2.2.3).
        if directives.noStore, !directives.mustUnderstand { return .noStore }
        if directives.isPrivate == .wholeResponse { return .isPrivate }
        if request.fields.contains("authorization"), !directives.allowsAuthorized { return .authorization }
        if policy.setCookie == .refuse, response.fields.contains("set-cookie") { return .setCookie }
        let isKept =
            directives.isPublic || freshness.basis != .nothing
            || FreshnessLifetime.heuristicStatuses.contains(response.status)
        return isKept ? nil : .noUse
    }

    /// Those of RFC 9110 §15 that a cache has nothing special to do for.
    private static let understoodStatuses: Set<Int> = [
        200, 201, 202, 203, 204, 205, 300, 301, 302, 303, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409,
        410, 411, 412, 413, 414, 415, 417, 421, 422, 426, 500, 501, 502, 503, 504, 505,
    ]
}

extension ResponseDirectives {
    /// RFC 9111 §3.5.
    fileprivate var allowsAuthorized: Bool { isPublic || mustRevalidate || sharedMaxAge != nil }
}
