/// What a request asks of caches (RFC 9111 §5.2.1). Arguments that are no numbers make a directive count as absent.
package struct RequestDirectives: Sendable, Hashable {
    package var noCache = false
    package var noStore = false
    package var onlyIfCached = false
    package var maxAge: Duration?
    package var minFresh: Duration?
    /// How long a response may have been stale; ``DeltaSeconds/limit`` if any time will do.
    package var maxStale: Duration?
    /// RFC 5861 §4.
    package var staleIfError: Duration?

    package init() {}

    /// `Pragma` counts where there is no `Cache-Control` (RFC 9111 §5.4).
    package init(_ fields: HeaderFields) {
        guard fields.contains("cache-control") else {
            noCache = fields.list("pragma").contains { FieldSyntax.isSameName($0, "no-cache") }
            return
        }
        for directive in CacheDirective.all(in: fields) { apply(directive) }
    }

    private mutating func apply(_ directive: CacheDirective) {
        switch directive.name {
        case "no-cache": noCache = true
        case "no-store": noStore = true
        case "only-if-cached": onlyIfCached = true
        case "max-age": maxAge = Self.join(maxAge, directive.seconds, min)
        case "min-fresh": minFresh = Self.join(minFresh, directive.seconds, max)
        case "max-stale":
            maxStale = Self.join(maxStale, directive.hasArgument ? directive.seconds : DeltaSeconds.limit, min)
        case "stale-if-error": staleIfError = Self.join(staleIfError, directive.seconds, min)
        default: break
        }
    }

    /// The stricter of the two that there are.
    private static func join(
        _ left: Duration?,
        _ right: Duration?,
        _ stricter: (Duration, Duration) -> Duration
    ) -> Duration? {
        guard let left, let right else { return left ?? right }
        return stricter(left, right)
    }
}
