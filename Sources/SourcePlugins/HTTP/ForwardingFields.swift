extension ForwardedRequest {
    /// The fields that go to the origin: those of the client, and what tells of the way here.
    ///
    /// An answer may be stored and sent to others, so that it must not hang on what a client says of its own way, or of
    /// the target and the method: of that goes on what a trusted proxy tells of addresses, and nothing else.
    ///
    /// - Parameters:
    ///   - node: the name of this gateway in `Via`.
    ///   - forwardsHost: whether the origin is told which host was asked.
    /// - Throws: ``SourceError``: `refused` if the request has passed this gateway before, or has a field that cannot
    ///   be sent.
    func outgoingFields(
        for client: ForwardedClient,
        node: String,
        forwardsHost: Bool
    ) throws(SourceError) -> HeaderFields {
        let trace = RequestTrace(fields)
        try trace.check(node)
        guard fields.lines.allSatisfy({ FieldSyntax.isToken($0.name[...]) && Self.isFieldValue($0.value) }) else {
            throw SourceError(.refused, "the request has a field that cannot be sent on")
        }
        var outgoing = fields.filtered { !isWithheld($0, of: client) }
        outgoing.set("Via", trace.via(behind: node))
        outgoing.set("X-Forwarded-For", addresses(of: client))
        outgoing.set("X-Forwarded-Proto", client.scheme)
        let host = forwardsHost ? client.host : nil
        if let host { outgoing.set("X-Forwarded-Host", host) }
        outgoing.set("Forwarded", client.forwarded(host: host))
        return outgoing
    }

    private func addresses(of client: ForwardedClient) -> String {
        guard client.isTrusted else { return plainAddress(client.address) }
        let known = fields.list("x-forwarded-for").map(String.init)
        return (known + [plainAddress(client.peer ?? client.address)]).joined(separator: ", ")
    }

    private func isWithheld(_ name: String, of client: ForwardedClient) -> Bool {
        if name == "x-real-ip" { return !client.isTrusted }
        // To many an origin the two are one.
        let name = String(decoding: name.utf8.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: "-") : $0 }, as: UTF8.self)
        if Self.wayFields.contains(name) || name.hasPrefix("x-forwarded") { return true }
        return (method == "GET" || method == "HEAD") && Self.methodFields.contains(name)
    }

    /// Fields that some origins take for the way here, for the address of the client, or for the target.
    private static let wayFields: Set<String> = [
        "forwarded", "x-host", "x-http-host-override", "x-original-host", "x-original-url", "x-real-ip",
        "x-rewrite-url",
    ]
    /// Fields that some origins take for the method.
    private static let methodFields: Set<String> = ["x-http-method", "x-http-method-override", "x-method-override"]

    private static func isFieldValue(_ value: String) -> Bool {
        value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == UInt8(ascii: "\t") }
    }
}

extension ForwardedClient {
    /// RFC 7239 §4.
    fileprivate func forwarded(host: String?) -> String {
        let host = host.map { ";host=\"\($0)\"" } ?? ""
        let element = "for=\(Self.node(address))\(host);proto=\(scheme)"
        return peer.map { "\(element), for=\(Self.node($0))" } ?? element
    }

    private static func node(_ address: String) -> String {
        switch IPAddress(address) {
        case .v4(let value): IPAddress.v4(value).description
        case .v6(let value): "\"[\(IPAddress.v6(value))]\""
        case nil: "unknown"
        }
    }
}

private func plainAddress(_ text: String) -> String { IPAddress(text)?.description ?? "unknown" }
