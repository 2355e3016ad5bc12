/// How long one response may be used, and how old it is (RFC 9111 §4.2).
///
/// It is computed once, when the response comes or is validated, and then depends on nothing but the clock.
package struct Freshness: Sendable, Hashable {
    /// Where the lifetime comes from.
    package enum Basis: Sendable, Hashable {
        case sharedMaxAge
        case maxAge
        case expires
        case heuristic
        case negative
        /// Nothing gives the response a lifetime.
        case nothing

        /// Whether the origin named the time.
        package var isExplicit: Bool { self == .sharedMaxAge || self == .maxAge || self == .expires }
    }

    /// What the response says of its use after its lifetime.
    package enum Staleness: Sendable, Hashable {
        /// Never without the origin's consent.
        case forbidden
        /// For so long (RFC 5861); `nil` where the response does not say.
        case allowed(whileRevalidating: Duration?, ifError: Duration?)
    }

    package var lifetime: Duration
    package var basis: Basis
    /// How old the response was when it came.
    package var initialAge: Duration
    package var responseTime: Timestamp
    package var staleness: Staleness
    /// Whether each use needs the origin's consent, `no-cache`, fresh or not.
    package var needsValidation: Bool
    /// RFC 8246.
    package var isImmutable: Bool

    package init(
        lifetime: Duration,
        basis: Basis,
        initialAge: Duration,
        responseTime: Timestamp,
        staleness: Staleness,
        needsValidation: Bool,
        isImmutable: Bool
    ) {
        self.lifetime = lifetime
        self.basis = basis
        self.initialAge = initialAge
        self.responseTime = responseTime
        self.staleness = staleness
        self.needsValidation = needsValidation
        self.isImmutable = isImmutable
    }

    /// The freshness of a response with the status and all the fields that it came with.
    package init(_ response: ResponseMessage, policy: CachingPolicy) {
        let (directives, isTargeted) = ResponseDirectives.effective(of: response.fields)
        self.init(response, directives: directives, isTargeted: isTargeted, policy: policy)
    }

    init(_ response: ResponseMessage, directives: ResponseDirectives, isTargeted: Bool, policy: CachingPolicy) {
        let lifetime = FreshnessLifetime(response, directives: directives, isTargeted: isTargeted, policy: policy)
        self.init(
            lifetime: lifetime.duration,
            basis: lifetime.basis,
            initialAge: Self.initialAge(of: response),
            responseTime: response.responseTime,
            staleness: directives.forbidsStale
                ? .forbidden
                : .allowed(
                    whileRevalidating: directives.staleWhileRevalidate,
                    ifError: directives.staleIfError
                ),
            needsValidation: directives.noCache == .wholeResponse,
            isImmutable: directives.isImmutable
        )
    }

    /// The time since the origin made or validated the response. A clock that goes backwards makes nothing younger
    /// than it came.
    package func age(at now: Timestamp) -> Duration {
        initialAge + max(now.elapsed(since: responseTime), .zero)
    }

    /// What is left of the lifetime; negative once the response is stale.
    package func remaining(at now: Timestamp) -> Duration {
        lifetime - age(at: now)
    }

    /// Whether the age is less than the lifetime. ``needsValidation`` is another question.
    package func isFresh(at now: Timestamp) -> Bool {
        remaining(at: now) > .zero
    }

    /// When the response becomes stale or became it.
    package var expiration: Timestamp {
        responseTime.advanced(by: lifetime - initialAge)
    }

    /// RFC 9111 §4.2.3.
    private static func initialAge(of response: ResponseMessage) -> Duration {
        // Of whole seconds, as `Date` counts in them: the rest would make what came at once seem old.
        let apparent = Duration.seconds(max(response.responseTime.seconds - response.date, 0))
        let delay = max(response.responseTime.elapsed(since: response.requestTime), .zero)
        return max(apparent, ageField(of: response.fields) + delay)
    }

    /// The first member of the first line. RFC 9111 §5.1 would rather have what is no number make the response stale;
    /// as other caches do, it is ignored.
    private static func ageField(of fields: HeaderFields) -> Duration {
        guard let first = fields.first("age").flatMap({ FieldSyntax.elements(of: $0).first }) else { return .zero }
        let number = first.utf8.firstIndex(of: UInt8(ascii: ";")).map { first[..<$0] } ?? first
        return DeltaSeconds.parse(FieldSyntax.trimmed(number)) ?? .zero
    }
}
