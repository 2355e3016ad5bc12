/// A host as a URL may name it: an address, or a name of the domain name system in lower case.
package enum HostName: Sendable, Hashable, CustomStringConvertible {
    case address(IPAddress)
    case name(String)

    /// Reads the host part of a URL; an IPv6 address stands in brackets.
    ///
    /// Numbers that some resolvers take for an address (`127.1`, `0x7f000001`, `2130706433`) are no host at all: they
    /// are not interpreted, so that nobody can interpret them differently later. A dot at the end is refused too.
    ///
    /// - Returns: `nil` unless it is an address, or a name of 1 to 253 letters, digits, hyphens, underscores and dots
    ///   whose last label is not a number.
    package init?(_ text: some StringProtocol) {
        if text.first == "[", text.last == "]", text.utf8.count > 2 {
            guard case .v6(let value) = IPAddress(text.dropFirst().dropLast()) else { return nil }
            self = .address(.v6(value))
            return
        }
        if case .v4(let value) = IPAddress(text) {
            self = .address(.v4(value))
            return
        }
        guard (1...253).contains(text.utf8.count) else { return nil }
        let labels = Array(text.utf8).split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard labels.allSatisfy(Self.isLabel), let last = labels.last, !Self.isNumber(last) else { return nil }
        self = .name(text.lowercased())
    }

    private static func isLabel(_ label: ArraySlice<UInt8>) -> Bool {
        (1...63).contains(label.count) && label.first != UInt8(ascii: "-") && label.last != UInt8(ascii: "-")
            && label.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    }

    /// Whether the label is all digits, or `0x` with nothing but hexadecimal digits after it.
    private static func isNumber(_ label: ArraySlice<UInt8>) -> Bool {
        if label.allSatisfy({ (0x30...0x39).contains($0) }) { return true }
        let digits = label.dropFirst(2)
        return label.first == UInt8(ascii: "0") && [0x58, 0x78].contains(label.dropFirst().first)
            && digits.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x46).contains($0 & 0xDF) }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }

    /// As it stands in a URL.
    package var description: String {
        switch self {
        case .address(.v6(let value)): "[\(IPAddress.v6(value))]"
        case .address(let address): address.description
        case .name(let name): name
        }
    }
}
