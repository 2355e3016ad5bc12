extension HeaderFields {
    /// The fields that go beyond one connection: without `Connection`, what it names, and the fields that belong to a
    /// connection or a proxy of themselves (RFC 9110 §7.6.1, RFC 9111 §3.1).
    package var endToEnd: HeaderFields {
        let named = Set(list("connection").map { FieldSyntax.lowercased($0) }).subtracting(EssentialFields.names)
        return filtered { !Self.connectionFields.contains($0) && !named.contains($0) }
    }

    private static let connectionFields: Set<String> = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    ]
}
