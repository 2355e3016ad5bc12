/// What a response says to shared caches (RFC 9111 §5.2.2, RFC 5861, RFC 8246).
///
/// Where a directive comes twice or its argument is malformed, the most restrictive reading counts.
package struct ResponseDirectives: Sendable, Hashable {
    /// What `no-cache` and `private` are about.
    package enum Scope: Sendable, Hashable {
        case wholeResponse
        /// These fields alone, in lower case; at least one.
        case fields(Set<String>)
    }

    package var isPublic = false
    package var isImmutable = false
    package var noStore = false
    package var noCache: Scope?
    package var isPrivate: Scope?
    package var mustRevalidate = false
    package var proxyRevalidate = false
    package var mustUnderstand = false
    package var maxAge: Duration?
    package var sharedMaxAge: Duration?
    package var staleWhileRevalidate: Duration?
    package var staleIfError: Duration?

    package init() {}

    /// Reads `Cache-Control`.
    package init(cacheControl fields: HeaderFields) {
        for directive in CacheDirective.all(in: fields) { apply(directive) }
    }

    mutating func apply(_ directive: CacheDirective) {
        switch directive.name {
        // These two permit something, so that an argument, which they do not have, makes them unknown.
        case "public": isPublic = isPublic || !directive.hasArgument
        case "immutable": isImmutable = isImmutable || !directive.hasArgument
        case "no-store": noStore = true
        case "no-cache": noCache = Self.join(noCache, Self.scope(of: directive))
        case "private": isPrivate = Self.join(isPrivate, Self.scope(of: directive))
        case "must-revalidate": mustRevalidate = true
        case "proxy-revalidate": proxyRevalidate = true
        case "must-understand": mustUnderstand = true
        case "max-age": maxAge = Self.shorter(maxAge, directive)
        case "s-maxage": sharedMaxAge = Self.shorter(sharedMaxAge, directive)
        case "stale-while-revalidate": staleWhileRevalidate = Self.shorter(staleWhileRevalidate, directive)
        case "stale-if-error": staleIfError = Self.shorter(staleIfError, directive)
        default: break
        }
    }

    /// Whether the response may never be used stale (RFC 9111 §4.2.4).
    package var forbidsStale: Bool {
        mustRevalidate || proxyRevalidate || sharedMaxAge != nil || noCache == .wholeResponse
    }

    /// The fields that may be neither stored nor sent again.
    package var withheldFields: Set<String> {
        var names: Set<String> = []
        for case .fields(let more) in [noCache, isPrivate] { names.formUnion(more) }
        return names
    }

    /// A time that cannot be read is none.
    private static func shorter(_ time: Duration?, _ directive: CacheDirective) -> Duration {
        min(time ?? DeltaSeconds.limit, directive.seconds ?? .zero)
    }

    private static func scope(of directive: CacheDirective) -> Scope {
        guard case .text(let text) = directive.argument else { return .wholeResponse }
        let names = FieldSyntax.elements(of: text)
        // A response without what tells how to treat it is not worth keeping.
        guard !names.isEmpty, names.allSatisfy(FieldSyntax.isToken),
            EssentialFields.names.isDisjoint(with: names.map { FieldSyntax.lowercased($0) })
        else { return .wholeResponse }
        return .fields(Set(names.map { FieldSyntax.lowercased($0) }))
    }

    private static func join(_ left: Scope?, _ right: Scope) -> Scope {
        switch (left, right) {
        case (nil, let scope): scope
        case (.fields(let left), .fields(let right)): .fields(left.union(right))
        default: .wholeResponse
        }
    }
}
