/// Where a listener waits: a TCP address, or a Unix socket.
package enum ListenAddress: Sendable, Hashable {
    /// An IP address or host name, an IPv6 address without its brackets; port 0 means any free one.
    case tcp(host: String, port: Int)
    /// The absolute path of a Unix socket.
    case unix(path: String)

    /// What messages say an address looks like.
    static let expectation = "an address such as \"127.0.0.1:8080\", \"[::1]:8080\" or \"unix:/run/media-gateway.sock\""

    /// - Parameter absolutePath: makes the path of a Unix socket absolute.
    package init?(_ text: String, absolutePath: (String) -> String = { joined("/", $0) }) {
        let address =
            text.hasPrefix("unix:")
            ? Self.unix(String(text.dropFirst("unix:".count)), absolutePath) : Self.tcp(text)
        guard let address else { return nil }
        self = address
    }

    private static func unix(_ path: String, _ absolutePath: (String) -> String) -> ListenAddress? {
        guard !path.isEmpty, !path.utf8.contains(0) else { return nil }
        let absolute = absolutePath(path)
        // sockaddr_un has room for 108 bytes, a NUL among them.
        return absolute.utf8.count <= 107 ? .unix(path: absolute) : nil
    }

    private static func tcp(_ text: String) -> ListenAddress? {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
            let (port, rest) = splitNumber(String(text[text.utf8.index(after: colon)...])),
            rest.isEmpty, port <= 65535
        else { return nil }
        let host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            let address = String(host.dropFirst().dropLast())
            guard address.utf8.contains(UInt8(ascii: ":")), IPAddress(address) != nil else { return nil }
            return .tcp(host: address, port: Int(port))
        }
        guard isHostName(host) else { return nil }
        return .tcp(host: String(host), port: Int(port))
    }

    /// A dotted quad, or a name that is not all digits and dots.
    private static func isHostName(_ host: Substring) -> Bool {
        guard (1...253).contains(host.utf8.count), host.utf8.allSatisfy(isHostNameByte) else { return false }
        let looksNumeric = host.utf8.allSatisfy { isDigit($0) || $0 == UInt8(ascii: ".") }
        return looksNumeric ? IPAddress(String(host)) != nil : true
    }

    /// Whether only this machine can connect.
    package var isLocal: Bool {
        switch self {
        case .unix: true
        case .tcp(let host, _): host.lowercased() == "localhost" || IPAddress(host)?.isLoopback == true
        }
    }
}

extension ListenAddress: CustomStringConvertible {
    /// As configuration writes it.
    package var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .tcp(let host, let port): host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)"
        }
    }
}

func isHostNameByte(_ byte: UInt8) -> Bool {
    isLetterOrDigit(byte) || byte == dash || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_")
}
