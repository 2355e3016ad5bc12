/// Who asks, as far as the origin is told.
package struct ForwardedClient: Sendable {
    /// Without a port.
    package let address: String
    /// The address of the connection, if that is another: a trusted proxy's, who told the client's.
    package let peer: String?
    /// Whether the connection is from a proxy whose word on the way before it counts.
    package let isTrusted: Bool
    /// `http` or `https`.
    package let scheme: String
    /// The host that was asked, in lower case; `nil` if it cannot stand in a field as it is.
    package let host: String?

    package init(
        address: String,
        peer: String? = nil,
        isTrusted: Bool = false,
        scheme: String = "http",
        host: String? = nil
    ) {
        self.address = address
        self.peer = peer
        self.isTrusted = isTrusted
        self.scheme = scheme
        self.host = host.flatMap(Self.usable)
    }

    /// The client of a request with these fields: what a trusted proxy says of scheme and host stands in place of what
    /// the connection does.
    package init(address: String, peer: String? = nil, isTrusted: Bool, host: String?, fields: HeaderFields) {
        // Whatever comes before the last member, the proxy only passed on.
        let scheme = isTrusted ? fields.list("x-forwarded-proto").last.map { FieldSyntax.lowercased($0) } : nil
        let told = isTrusted ? fields.list("x-forwarded-host").last.map(String.init) : nil
        self.init(
            address: address,
            peer: peer,
            isTrusted: isTrusted,
            scheme: scheme == "https" ? "https" : "http",
            host: told.flatMap(Self.usable) ?? host
        )
    }

    /// What the origin is told of where the request was sent, and may answer by: a response is only for requests with
    /// the same.
    ///
    /// - Parameter forwardsHost: of the source's settings.
    package func site(forwardsHost: Bool) -> String {
        forwardsHost ? "\(scheme)://\(host ?? "")" : scheme
    }

    private static func usable(_ host: String) -> String? {
        guard (1...255).contains(host.utf8.count),
            host.utf8.allSatisfy({ FieldSyntax.isTokenByte($0) || ":[]".utf8.contains($0) })
        else { return nil }
        return FieldSyntax.lowercased(host)
    }
}
