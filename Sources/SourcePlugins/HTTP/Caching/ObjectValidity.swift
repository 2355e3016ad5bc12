/// What the freshness of an origin's response means for an object on the chunk grid.
package struct ObjectValidity: Sendable, Hashable {
    /// How long the object's ``ObjectInfo`` may be believed.
    package var validity: Validity
    /// Whether its bytes may be kept: neither `no-store` nor `private` says otherwise.
    package var mayBeStored: Bool

    /// Less than this is asked for by nobody but by name: many origins say nothing at all.
    package static let minimum = Duration.seconds(1)

    /// - Parameters:
    ///   - response: the origin's, with all its fields.
    ///   - maximum: the longest time to go without asking.
    package init(_ response: ResponseMessage, maximum: Duration, policy: CachingPolicy = CachingPolicy()) {
        let terms = StoringTerms(response, policy: policy)
        let (directives, freshness) = (terms.directives, terms.freshness)
        mayBeStored =
            !(directives.noStore && !directives.mustUnderstand) && directives.isPrivate != .wholeResponse
        let remaining = freshness.remaining(at: response.responseTime)
        let isOver = freshness.basis.isExplicit && remaining <= .zero
        if !mayBeStored || freshness.needsValidation || isOver {
            validity = .recheck(after: .zero)
        } else {
            validity = .recheck(after: min(max(remaining, Self.minimum), max(maximum, Self.minimum)))
        }
    }
}
