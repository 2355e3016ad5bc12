/// The absolute http or https URI of a request (RFC 9110 §7.1), without fragment and user information.
package struct TargetURI: Sendable, Hashable, CustomStringConvertible {
    /// `http` or `https`.
    package let scheme: String
    /// In lower case, an IPv6 address in brackets.
    package let host: String
    package let port: Int
    /// Path and query as in a request line; starts with a slash.
    package let requestTarget: String

    /// - Returns: `nil` unless `text` is an absolute URI of one of the two schemes, with a host, in visible US-ASCII.
    package init?(_ text: String) {
        let reference = URIReference(text)
        guard let scheme = reference.scheme.map({ FieldSyntax.lowercased($0) }), scheme == "http" || scheme == "https"
        else { return nil }
        self.init(scheme: scheme, reference)
    }

    private init?(scheme: String, _ reference: URIReference) {
        guard reference.isVisibleASCII, let authority = reference.authority,
            let (host, port) = Self.hostAndPort(authority, scheme: scheme)
        else { return nil }
        (self.scheme, self.host, self.port) = (scheme, host, port)
        requestTarget = URIReference.removingDotSegments(reference.path) + (reference.query.map { "?\($0)" } ?? "")
    }

    private init(_ base: TargetURI, path: String, query: Substring?) {
        (scheme, host, port) = (base.scheme, base.host, base.port)
        requestTarget = URIReference.removingDotSegments(path) + (query.map { "?\($0)" } ?? "")
    }

    /// What a reference found in a response to this URI stands for (RFC 3986 §5.2).
    ///
    /// - Returns: `nil` if that is no http or https URI.
    package func resolve(_ text: String) -> TargetURI? {
        let reference = URIReference(text)
        guard reference.isVisibleASCII else { return nil }
        if reference.scheme != nil { return TargetURI(text) }
        if reference.authority != nil { return TargetURI(scheme: scheme, reference) }
        let (path, query) = (URIReference(requestTarget).path, URIReference(requestTarget).query)
        if reference.path.isEmpty {
            return TargetURI(self, path: String(path), query: reference.query ?? query)
        }
        if reference.path.utf8.first == URIReference.slash {
            return TargetURI(self, path: String(reference.path), query: reference.query)
        }
        let directory = path.utf8.lastIndex(of: URIReference.slash).map { path[...$0] } ?? "/"
        return TargetURI(self, path: "\(directory)\(reference.path)", query: reference.query)
    }

    /// RFC 9110 §4.3.1.
    package func isSameOrigin(as other: TargetURI) -> Bool {
        scheme == other.scheme && host == other.host && port == other.port
    }

    /// The URI, with its port only if that is not the scheme's own.
    package var description: String {
        let authority = port == Self.defaultPort(scheme) ? host : "\(host):\(port)"
        return "\(scheme)://\(authority)\(requestTarget)"
    }

    private static func defaultPort(_ scheme: String) -> Int { scheme == "http" ? 80 : 443 }

    private static func hostAndPort(_ authority: Substring, scheme: String) -> (host: String, port: Int)? {
        let afterUser = authority.utf8.lastIndex(of: UInt8(ascii: "@")).map { authority.utf8.index(after: $0) }
        let hostPort = authority[(afterUser ?? authority.startIndex)...]
        var host = hostPort
        var port = defaultPort(scheme)
        // The colons of an IPv6 address are inside its brackets.
        let bracket = hostPort.utf8.lastIndex(of: UInt8(ascii: "]"))
        if let colon = hostPort.utf8.lastIndex(of: UInt8(ascii: ":")), bracket.map({ $0 < colon }) ?? true {
            host = hostPort[..<colon]
            let digits = hostPort[hostPort.utf8.index(after: colon)...]
            if !digits.isEmpty {
                guard digits.utf8.count <= 5, digits.utf8.allSatisfy(FieldSyntax.isDigit), let number = Int(digits),
                    (1...65_535).contains(number)
                else { return nil }
                port = number
            }
        }
        return isHost(host) ? (FieldSyntax.lowercased(host), port) : nil
    }

    /// Whether `text` is a name or an IPv4 address, or has the letters of an IPv6 address in brackets.
    private static func isHost(_ text: Substring) -> Bool {
        func isLetterOrDigit(_ byte: UInt8) -> Bool {
            FieldSyntax.isDigit(byte) || FieldSyntax.isLowercaseLetter(FieldSyntax.lowercased(byte))
        }
        guard text.utf8.first == UInt8(ascii: "[") else {
            return !text.isEmpty && text.utf8.allSatisfy { isLetterOrDigit($0) || "-._~%".utf8.contains($0) }
        }
        let address = text.utf8.dropFirst().dropLast()
        return text.utf8.last == UInt8(ascii: "]") && !address.isEmpty
            && address.allSatisfy { isLetterOrDigit($0) || ":.".utf8.contains($0) }
    }
}

/// The five parts of a URI reference (RFC 3986 appendix B); the fragment is dropped.
private struct URIReference {
    static let slash = UInt8(ascii: "/")

    let scheme: Substring?
    let authority: Substring?
    let path: Substring
    let query: Substring?
    let isVisibleASCII: Bool

    init(_ text: String) {
        isVisibleASCII = text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        var rest = text[..<(text.utf8.firstIndex(of: UInt8(ascii: "#")) ?? text.endIndex)]
        if let end = rest.utf8.firstIndex(where: { ":/?".utf8.contains($0) }), rest.utf8[end] == UInt8(ascii: ":") {
            scheme = rest[..<end]
            rest = rest[rest.utf8.index(after: end)...]
        } else {
            scheme = nil
        }
        if rest.utf8.starts(with: "//".utf8) {
            rest = rest[rest.utf8.index(rest.startIndex, offsetBy: 2)...]
            let end = rest.utf8.firstIndex { "/?".utf8.contains($0) } ?? rest.endIndex
            authority = rest[..<end]
            rest = rest[end...]
        } else {
            authority = nil
        }
        let mark = rest.utf8.firstIndex(of: UInt8(ascii: "?"))
        path = rest[..<(mark ?? rest.endIndex)]
        query = mark.map { rest[rest.utf8.index(after: $0)...] }
    }

    /// RFC 3986 §5.2.4, for a path that stands for one with a slash at its start.
    static func removingDotSegments(_ path: some StringProtocol) -> String {
        var segments: [Substring.UTF8View] = []
        let bytes = Substring(path).utf8
        let parts = bytes.split(separator: slash, omittingEmptySubsequences: false)
        for (index, part) in parts.enumerated() where index > 0 || bytes.first != slash {
            let isLast = index == parts.count - 1
            if part.elementsEqual(".".utf8) || part.elementsEqual("..".utf8) {
                if part.count == 2 { _ = segments.popLast() }
                if isLast { segments.append("".utf8[...]) }
            } else {
                segments.append(part)
            }
        }
        return "/" + segments.map { String(Substring($0)) }.joined(separator: "/")
    }
}
