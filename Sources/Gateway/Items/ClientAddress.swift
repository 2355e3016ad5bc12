import NIOCore

/// The address of a client, as permissions and limits see it.
package struct ClientAddress: Sendable, Hashable {
    /// What counts as one client: an IPv4 address, or the /64 of an IPv6 address, since a household has at least that;
    /// empty for all that is no IP address, which is the other end of a Unix socket.
    package let prefix: [UInt8]
    /// Whether it is this machine.
    package let isLocal: Bool

    /// - Parameter text: as in ``GatewayRequest/client``.
    package init(_ text: String) {
        let bytes = (try? SocketAddress(ipAddress: text, port: 0)).flatMap(Self.bytes) ?? []
        prefix = bytes.count == 16 ? Array(bytes.prefix(8)) : bytes
        isLocal = bytes.isEmpty || Self.isLoopback(bytes)
    }

    /// Whether `text` is an address of this machine that no other can reach.
    static func isLoopback(_ text: String) -> Bool {
        (try? SocketAddress(ipAddress: text, port: 0)).flatMap(bytes).map(isLoopback) ?? false
    }

    private static func isLoopback(_ bytes: [UInt8]) -> Bool {
        bytes.count == 4 ? bytes.first == 127 : bytes == [UInt8](repeating: 0, count: 15) + [1]
    }

    /// 4 or 16 bytes in network order; an IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) is an IPv4 address.
    private static func bytes(_ address: SocketAddress) -> [UInt8]? {
        switch address {
        case .v4(let address):
            return withUnsafeBytes(of: address.address.sin_addr) { Array($0) }
        case .v6(let address):
            let bytes = withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }
            let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]
            return bytes.starts(with: mapped) ? Array(bytes.dropFirst(12)) : bytes
        case .unixDomainSocket:
            return nil
        }
    }
}
