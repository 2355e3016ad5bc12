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

    package var setCookie = SetCookie.store
    /// How much of the time since `Last-Modified` a response without explicit lifetime stays fresh, in hundredths.
    package var heuristicPercentage = 10
    /// How long 404 and 410 without explicit lifetime stay fresh at most; `nil` leaves them to the heuristics.
    package var negativeLifetime: Duration?
    /// Staleness where the response says nothing about it; its own directives hold, those that forbid it too.
    package var staleWhileRevalidate: Duration?
    package var staleIfError: Duration?

    package init() {}
}
