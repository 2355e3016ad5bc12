/// The address of something at an HTTP origin, in the one form in which it is compared and sent.
package struct OriginURL: Sendable, Hashable, CustomStringConvertible {
    package enum Scheme: String, Sendable, Hashable {
        case http
        case https

        var defaultPort: UInt16 { self == .http ? 80 : 443 }
    }

    /// Who answers: what credentials belong to (RFC 6454 §4).
    package struct Origin: Sendable, Hashable {
        package let scheme: Scheme
        package let host: HostName
        package let port: UInt16
    }

    package let origin: Origin
    /// The path and the query as they are sent; the path begins with a slash, and nothing in it needs escaping.
    package let target: String

    private init(_ origin: Origin, target: String) {
        self.origin = origin
        self.target = target
    }

    /// Reads the whole URL of something, of `http` or `https`, without user name and password.
    ///
    /// - Returns: `nil` for anything else, also for one longer than 8 KiB. A fragment is left out.
    package init?(_ text: some StringProtocol) {
        guard let bytes = Self.prepare(text), let (scheme, rest) = Self.splitScheme(bytes[...]),
            let url = Self(scheme, networkPath: rest)
        else { return nil }
        self = url
    }

    /// Reads a URL that others are to be made from: as above, without a query or a fragment; a slash is put at its end.
    package init?(base text: some StringProtocol) {
        guard !text.contains(where: { $0 == "?" || $0 == "#" }), let url = Self(text) else { return nil }
        self.init(url.origin, target: url.target.hasSuffix("/") ? url.target : url.target + "/")
    }

    package func appending(_ path: MediaPath) -> OriginURL { appending(path.percentEncoded) }

    /// - Parameter target: a path without a slash at the start, and perhaps a query; nothing in it needs escaping.
    func appending(_ target: String) -> OriginURL { OriginURL(origin, target: self.target + target) }

    /// What `reference`, found here, leads to (RFC 3986 §5.2).
    ///
    /// - Returns: `nil` if that is nothing this type can be.
    package func resolving(_ reference: some StringProtocol) -> OriginURL? {
        guard let bytes = Self.prepare(reference) else { return nil }
        if let (scheme, rest) = Self.splitScheme(bytes[...]) { return OriginURL(scheme, networkPath: rest) }
        if bytes.starts(with: "//".utf8) { return OriginURL(origin.scheme, networkPath: bytes[...]) }
        guard let first = bytes.first else { return self }
        let own = Array(target.utf8)
        let path = own.prefix { $0 != UInt8(ascii: "?") }
        switch first {
        case UInt8(ascii: "/"): return OriginURL(origin, target: Self.withoutDots(bytes[...]))
        case UInt8(ascii: "?"): return OriginURL(origin, target: text(path + bytes))
        default:
            let directory = path.prefix(through: path.lastIndex(of: UInt8(ascii: "/")) ?? path.startIndex)
            return OriginURL(origin, target: Self.withoutDots((directory + bytes)[...]))
        }
    }

    package var description: String {
        let port = origin.port == origin.scheme.defaultPort ? "" : ":\(origin.port)"
        return "\(origin.scheme.rawValue)://\(origin.host)\(port)\(target)"
    }
}

extension OriginURL {
    private static let longest = 8192

    /// The bytes of `text` without a fragment, and with everything escaped that no URL may hold; what only some parsers
    /// take for a slash, a backslash, is among that.
    private static func prepare(_ text: some StringProtocol) -> [UInt8]? {
        guard text.utf8.count <= longest else { return nil }
        let bytes = Array(text.utf8.prefix { $0 != UInt8(ascii: "#") })
        var prepared: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            let isSound = byte == UInt8(ascii: "%") ? isEscape(bytes[index...]) : isAllowed(byte)
            prepared += isSound ? [byte] : escaped(byte)
        }
        return prepared
    }

    private static func isEscape(_ bytes: ArraySlice<UInt8>) -> Bool {
        let digits = bytes.dropFirst().prefix(2)
        return digits.count == 2
            && digits.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x46).contains($0 & 0xDF) }
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && !"\"<>\\^`{|}".utf8.contains(byte)
    }

    private static func escaped(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }

    /// - Returns: `nil` if there is no scheme. A scheme that this type cannot be is one that nothing follows.
    private static func splitScheme(_ bytes: ArraySlice<UInt8>) -> (Scheme?, ArraySlice<UInt8>)? {
        guard let end = bytes.firstIndex(where: { !isSchemeByte($0) }), end > bytes.startIndex,
            bytes[end] == UInt8(ascii: ":")
        else { return nil }
        return (Scheme(rawValue: text(bytes[..<end]).lowercased()), bytes[(end + 1)...])
    }

    private static func isSchemeByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF) || "+-.".utf8.contains(byte)
    }

    /// Reads what follows a scheme: two slashes, an authority, a path and a query.
    private init?(_ scheme: Scheme?, networkPath bytes: ArraySlice<UInt8>) {
        guard let scheme, bytes.starts(with: "//".utf8) else { return nil }
        let rest = bytes.dropFirst(2)
        let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
        guard let (host, port) = Self.splitAuthority(text(rest[..<end])) else { return nil }
        let slash: [UInt8] = rest[end...].first == UInt8(ascii: "/") ? [] : [UInt8(ascii: "/")]
        self.init(
            Origin(scheme: scheme, host: host, port: port ?? scheme.defaultPort),
            target: Self.withoutDots((slash + rest[end...])[...])
        )
    }

    /// - Returns: `nil` for a user name, a host that is none, and a port that is not from 1 to 65535.
    private static func splitAuthority(_ authority: String) -> (HostName, UInt16?)? {
        let afterAddress = authority.lastIndex(of: "]") ?? authority.startIndex
        guard let colon = authority[afterAddress...].firstIndex(of: ":") else {
            return HostName(authority).map { ($0, nil) }
        }
        guard let host = HostName(authority[..<colon]) else { return nil }
        let digits = authority[authority.index(after: colon)...]
        if digits.isEmpty { return (host, nil) }
        return portNumber(digits).map { (host, $0) }
    }

    /// RFC 3986 §5.2.4, for a path that begins with a slash; the query stays as it is.
    private static func withoutDots(_ target: ArraySlice<UInt8>) -> String {
        let path = target.prefix { $0 != UInt8(ascii: "?") }
        let segments = path.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        var kept: [ArraySlice<UInt8>] = []
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            switch text(segment) {
            case ".":
                if isLast { kept.append([]) }
            case "..":
                _ = kept.popLast()
                if isLast { kept.append([]) }
            default:
                kept.append(segment)
            }
        }
        return "/" + kept.map(text).joined(separator: "/") + text(target[path.endIndex...])
    }
}

private func text(_ bytes: some Collection<UInt8>) -> String { String(decoding: bytes, as: UTF8.self) }
