/// A block of IP addresses: `10.0.0.0/8`, `2001:db8::/32`, or one address.
package struct AddressRange: Sendable, Hashable, CustomStringConvertible {
    private let network: [UInt8]
    private let prefixLength: Int
    package let description: String

    /// - Returns: `nil` for anything but an address with an optional prefix length, and if bits behind the prefix are
    ///   set: `10.0.0.1/8` is more often a slip than meant.
    package init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let addressText = parts.first, let address = IPAddress(String(addressText)) else { return nil }
        let width = address.bytes.count * 8
        var prefixLength = width
        if parts.count == 2 {
            guard let (number, rest) = splitNumber(String(parts[1])), rest.isEmpty, number <= width else { return nil }
            prefixLength = Int(number)
        }
        guard Self.masked(address.bytes, prefixLength) == address.bytes else { return nil }
        self.network = address.bytes
        self.prefixLength = prefixLength
        self.description = text
    }

    /// Whether the address of these 4 or 16 bytes, in network order, is in the block. An IPv4 address mapped into IPv6
    /// counts as the IPv4 address.
    package func contains(addressBytes: some Collection<UInt8>) -> Bool {
        let bytes = network.count == 4 ? IPAddress.unmapped(addressBytes) : Array(addressBytes)
        return bytes.count == network.count && Self.masked(bytes, prefixLength) == network
    }

    private static func masked(_ bytes: [UInt8], _ prefixLength: Int) -> [UInt8] {
        bytes.enumerated().map { index, byte in
            let kept = min(max(prefixLength - index * 8, 0), 8)
            return byte & ~UInt8(truncatingIfNeeded: 0xFF >> kept)
        }
    }
}
