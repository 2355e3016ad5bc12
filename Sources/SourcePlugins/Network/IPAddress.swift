/// An IPv4 or IPv6 address without a zone.
package enum IPAddress: Sendable, Hashable, Comparable {
    case v4(UInt32)
    case v6(UInt128)

    /// Reads an address as `inet_pton` does: four decimal numbers, or RFC 4291 §2.2. No brackets, no zone, no other
    /// way to write a number.
    ///
    /// - Returns: `nil` for anything else.
    package init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8.prefix(46))
        if let value = Self.dottedQuad(bytes[...]) {
            self = .v4(value)
        } else if let value = Self.groups(bytes) {
            self = .v6(value)
        } else {
            return nil
        }
    }

    /// - Returns: `nil` unless there are 4 or 16 bytes, which are in network order.
    package init?(bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 4: self = .v4(bytes.reduce(0) { $0 << 8 | UInt32($1) })
        case 16: self = .v6(bytes.reduce(0) { $0 << 8 | UInt128($1) })
        default: return nil
        }
    }

    /// 4 or 16 bytes in network order.
    package var bytes: [UInt8] {
        switch self {
        case .v4(let value): (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
        case .v6(let value): (0..<16).map { UInt8(truncatingIfNeeded: value >> (120 - 8 * $0)) }
        }
    }

    /// All IPv4 addresses come before all IPv6 addresses.
    package static func < (left: IPAddress, right: IPAddress) -> Bool {
        switch (left, right) {
        case (.v4(let left), .v4(let right)): left < right
        case (.v6(let left), .v6(let right)): left < right
        case (.v4, .v6): true
        case (.v6, .v4): false
        }
    }
}

extension IPAddress {
    private static func dottedQuad(_ text: ArraySlice<UInt8>) -> UInt32? {
        let parts = text.split(separator: UInt8(ascii: "."), maxSplits: 4, omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var value: UInt32 = 0
        for part in parts {
            guard (1...3).contains(part.count), part.count == 1 || part.first != UInt8(ascii: "0") else { return nil }
            var number: UInt32 = 0
            for byte in part {
                guard let digit = digitValue(byte), digit < 10 else { return nil }
                number = number * 10 + digit
            }
            guard number <= 255 else { return nil }
            value = value << 8 | number
        }
        return value
    }

    private static func groups(_ text: [UInt8]) -> UInt128? {
        let colon = UInt8(ascii: ":")
        guard let gap = text.indices.dropLast().first(where: { text[$0] == colon && text[$0 + 1] == colon }) else {
            guard let all = groupList(text[...]), all.count == 8 else { return nil }
            return all.reduce(0) { $0 << 16 | UInt128($1) }
        }
        let head = text[..<gap]
        let tail = text[(gap + 2)...]
        // A dotted quad may only end the address, and here something follows.
        guard !head.contains(UInt8(ascii: ".")),
            let front = head.isEmpty ? [] : groupList(head), let back = tail.isEmpty ? [] : groupList(tail),
            front.count + back.count < 8
        else { return nil }
        let high = front.reduce(UInt128(0)) { $0 << 16 | UInt128($1) }
        let low = back.reduce(UInt128(0)) { $0 << 16 | UInt128($1) }
        return high << UInt128(16 * (8 - front.count)) | low
    }

    /// Groups of up to four hexadecimal digits between single colons; the last may be a dotted quad, which is two.
    private static func groupList(_ text: ArraySlice<UInt8>) -> [UInt16]? {
        let parts = text.split(separator: UInt8(ascii: ":"), maxSplits: 8, omittingEmptySubsequences: false)
        guard parts.count <= 8 else { return nil }
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                guard let quad = dottedQuad(part) else { return nil }
                groups += [UInt16(truncatingIfNeeded: quad >> 16), UInt16(truncatingIfNeeded: quad)]
                continue
            }
            guard (1...4).contains(part.count) else { return nil }
            var value: UInt32 = 0
            for byte in part {
                guard let digit = digitValue(byte) else { return nil }
                value = value << 4 | digit
            }
            groups.append(UInt16(truncatingIfNeeded: value))
        }
        return groups
    }

    private static func digitValue(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte) - 48
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt32(byte) - 87
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt32(byte) - 55
        default: nil
        }
    }
}

extension IPAddress: CustomStringConvertible {
    /// As RFC 5952 has it, without brackets.
    package var description: String {
        switch self {
        case .v4(let value): Self.dotted(value)
        case .v6(let value) where value >> 32 == 0xFFFF: "::ffff:" + Self.dotted(UInt32(truncatingIfNeeded: value))
        case .v6(let value): Self.colons(value)
        }
    }

    private static func dotted(_ value: UInt32) -> String {
        "\(value >> 24).\(value >> 16 & 255).\(value >> 8 & 255).\(value & 255)"
    }

    private static func colons(_ value: UInt128) -> String {
        let groups = (0..<8).map { UInt16(truncatingIfNeeded: value >> UInt128(112 - 16 * $0)) }
        let text = groups.map { String($0, radix: 16) }
        guard let gap = longestZeros(groups) else { return text.joined(separator: ":") }
        return text[..<gap.lowerBound].joined(separator: ":") + "::" + text[gap.upperBound...].joined(separator: ":")
    }

    /// The first of the longest runs of zero groups; `nil` if there is none of two or more.
    private static func longestZeros(_ groups: [UInt16]) -> Range<Int>? {
        var longest: Range<Int>?
        var start = 0
        for index in 0...groups.count where index == groups.count || groups[index] != 0 {
            if index - start > max(longest?.count ?? 1, 1) { longest = start..<index }
            start = index + 1
        }
        return longest
    }
}

/// All addresses of one family from `first` to `last`, both included.
package struct AddressSpan: Sendable, Hashable {
    package let first: IPAddress
    package let last: IPAddress

    /// - Parameter prefix: how many leading bits of `base` all the addresses share, at most 32; the others are zero.
    init(v4 base: UInt32, prefix: Int) {
        self.init(.v4(base), .v4(base | (prefix == 0 ? .max : ~(UInt32.max << (32 - prefix)))))
    }

    /// - Parameter prefix: as above, at most 128.
    init(v6 base: UInt128, prefix: Int) {
        self.init(.v6(base), .v6(base | (prefix == 0 ? .max : ~(UInt128.max << UInt128(128 - prefix)))))
    }

    init(_ first: IPAddress, _ last: IPAddress) {
        self.first = first
        self.last = last
    }

    package func contains(_ address: IPAddress) -> Bool { first <= address && address <= last }
}

/// An address and a port, as a peer is given.
package struct PeerAddress: Sendable, Hashable, CustomStringConvertible {
    package let address: IPAddress
    package let port: UInt16

    /// - Returns: `nil` if `port` is 0.
    package init?(_ address: IPAddress, port: UInt16) {
        guard port != 0 else { return nil }
        self.address = address
        self.port = port
    }

    /// Reads `1.2.3.4:80` or `[2001:db8::1]:80`.
    ///
    /// - Returns: `nil` for anything else, host names included.
    package init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":"), let port = portNumber(text[text.index(after: colon)...]) else {
            return nil
        }
        let host = text[..<colon]
        if host.first == "[", host.last == "]", host.utf8.count > 2 {
            guard case .v6(let value) = IPAddress(host.dropFirst().dropLast()) else { return nil }
            self.init(.v6(value), port: port)
        } else {
            guard case .v4(let value) = IPAddress(host) else { return nil }
            self.init(.v4(value), port: port)
        }
    }

    package var description: String {
        switch address {
        case .v4: "\(address):\(port)"
        case .v6: "[\(address)]:\(port)"
        }
    }
}

/// A port of one to five digits; `nil` for 0 and for anything else.
func portNumber(_ text: some StringProtocol) -> UInt16? {
    guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return UInt16(text).flatMap { $0 == 0 ? nil : $0 }
}
