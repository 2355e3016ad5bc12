/// What an operator decides where the protocol leaves it open. The initial values are what RFC 9111 gives a shared cache.
package struct CachingPolicy: Sendable, Hashable {
    package enum SetCookie: String, Sendable, CaseIterable {
        /// Stored and sent like other fields: an origin that does not want that says so.
        case store
        /// The response is stored without it.
        case omit
        /// A response with it is not stored.
        case refuse
    }

    /// The targeted fields that are meant for this cache, the one that counts most first (RFC 9213).
    package var targetedFields = ["CDN-Cache-Control"]
    package var setCookie = SetCookie.store
    /// How much of the time since `Last-Modified` a response without explicit lifetime stays fresh, in hundredths.
    package var heuristicPercentage = 10
    package var heuristicLimit = Duration.seconds(86_400)
    /// How long 404, 410 and 5xx without explicit lifetime stay fresh at most; `nil` leaves them to the heuristics.
    package var negativeLifetime: Duration?
    /// Staleness where the response says nothing about it; its own directives hold, those that forbid it too.
    package var staleWhileRevalidate: Duration?
    package var staleIfError: Duration?
    /// Whether clients may ask for younger or staler responses than the cache would give them.
    package var honoursRequestDirectives = true
    /// Whether variants chosen by `Accept-Language`, `Accept-Encoding` and `Accept-Charset` are told apart by what is
    /// asked and not by its order. RFC 9110 §12.5 gives the order no meaning; some origins do.
    package var ignoresPreferenceOrder = false

    package init() {}
}
