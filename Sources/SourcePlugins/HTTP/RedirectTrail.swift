/// The URLs that one request was sent to, one redirect after the other. Decides where the next leads; whether its host
/// may be connected to is for the address policy.
package struct RedirectTrail: Sendable {
    package private(set) var url: OriginURL
    private var visited: Set<OriginURL>
    private let limit: Int
    private let ownPort: UInt16

    /// - Parameter limit: how many redirects are followed.
    package init(from url: OriginURL, limit: Int) {
        self.url = url
        self.limit = limit
        ownPort = url.origin.port
        visited = [url]
    }

    /// Whether it has led away from where it began.
    package var isRedirected: Bool { visited.count > 1 }

    /// Whether it has always been at the host and port where it began. Nobody else may lead to what is trusted.
    package private(set) var isAtHome = true

    /// Goes on to what `reference`, found at ``url``, leads to.
    ///
    /// - Throws: ``SourceError``: `forbidden` if that is not encrypted while what led there was, or at a port where
    ///   other things than HTTP are at home; `unavailable` for anything that is the origin's mistake.
    package mutating func follow(_ reference: String) throws(SourceError) {
        guard let next = url.resolving(reference) else {
            throw SourceError(.unavailable, "the origin redirects to something that is no http or https URL")
        }
        guard next.origin.scheme == .https || url.origin.scheme == .http else {
            throw SourceError(.forbidden, "the origin redirects from https to http")
        }
        guard isAllowed(next.origin.port) else {
            throw SourceError(.forbidden, "the origin redirects to port \(next.origin.port), which is not one for HTTP")
        }
        guard visited.count <= limit else {
            throw SourceError(.unavailable, "the origin redirects more than \(limit) times in a row")
        }
        guard visited.insert(next).inserted else {
            throw SourceError(.unavailable, "the origin redirects in a circle")
        }
        isAtHome = isAtHome && next.origin.host == url.origin.host && next.origin.port == url.origin.port
        url = next
    }

    /// Below 1024 those of HTTP alone; above, all but those that browsers leave alone (the Fetch Standard, "bad
    /// ports").
    private func isAllowed(_ port: UInt16) -> Bool {
        port == ownPort || port == 80 || port == 443 || port >= 1024 && !Self.otherProtocols.contains(port)
    }

    private static let otherProtocols: Set<UInt16> = [
        1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697,
        10_080,
    ]
}
