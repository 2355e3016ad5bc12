/// Which addresses the gateway may connect to on behalf of a stranger: public ones, and private ones only where the
/// operator says so.
///
/// An IPv6 address that carries an IPv4 address is judged by the one it carries. What no registry has given out for
/// general use is refused, so that a new range has to be let in rather than kept out.
package struct AddressPolicy: Sendable, Hashable {
    /// Opens loopback, private, shared, link-local and unique local addresses, and the names of this machine and of
    /// the local network. Never multicast, unspecified, broadcast or reserved ones.
    package var allowsPrivate: Bool

    package init(allowsPrivate: Bool = false) {
        self.allowsPrivate = allowsPrivate
    }

    /// Why an address is refused. The raw value is for people.
    package enum Rule: String, Sendable, Hashable, CaseIterable {
        case unspecified = "an address of this host"
        case privateNetwork = "a private network"
        case shared = "a carrier's shared address space"
        case loopback = "loopback"
        case linkLocal = "link-local"
        case uniqueLocal = "a unique local address"
        case siteLocal = "a site-local address"
        case localName = "a name of this machine or of the local network"
        case documentation = "a documentation range"
        case benchmarking = "a benchmarking range"
        case multicast = "multicast"
        case broadcast = "broadcast"
        case tunnel = "a tunnel"
        case reserved = "a reserved range"

        fileprivate var isPrivate: Bool {
            switch self {
            case .privateNetwork, .shared, .loopback, .linkLocal, .uniqueLocal, .localName: true
            case .unspecified, .siteLocal, .documentation, .benchmarking, .multicast, .broadcast, .tunnel, .reserved:
                false
            }
        }
    }

    /// The rule that forbids `address`; `nil` if it may be connected to.
    package func refusal(of address: IPAddress) -> Rule? {
        guard let rule = Self.rule(for: address), !(allowsPrivate && rule.isPrivate) else { return nil }
        return rule
    }

    /// The rule that forbids `host`; `nil` if it may be used. What a name resolves to is to be judged again.
    package func refusal(of host: HostName) -> Rule? {
        switch host {
        case .address(let address): refusal(of: address)
        case .name(let name): !allowsPrivate && Self.isLocal(name) ? .localName : nil
        }
    }

    package func allows(_ address: IPAddress) -> Bool { refusal(of: address) == nil }

    /// Every address that ``allows(_:)`` refuses, in ascending order without overlaps.
    package var blockedRanges: [AddressSpan] {
        let v4 = Self.v4Rules.filter { isBlocked($0.rule) }.map(\.range)
        let carried = v4.flatMap { range in Self.carriers.map { $0.carrying(range) } }
        let v6 = (Self.v6Rules + Self.v6Gaps).filter { isBlocked($0.rule) }.map(\.range)
        return v4 + (carried + v6).sorted { $0.first < $1.first }
    }

    private func isBlocked(_ rule: Rule) -> Bool { !(allowsPrivate && rule.isPrivate) }
}

extension AddressPolicy {
    private struct RuledRange: Sendable {
        let range: AddressSpan
        let rule: Rule

        init(_ range: AddressSpan, _ rule: Rule) {
            self.range = range
            self.rule = rule
        }
    }

    /// IPv6 addresses that carry an IPv4 address `shift` bits from their end.
    private struct Carrier: Sendable {
        let range: AddressSpan
        let base: UInt128
        let shift: UInt128

        init(_ base: UInt128, prefix: Int, shift: UInt128) {
            range = AddressSpan(v6: base, prefix: prefix)
            self.base = base
            self.shift = shift
        }

        func carrying(_ inner: AddressSpan) -> AddressSpan {
            guard case .v4(let first) = inner.first, case .v4(let last) = inner.last else { return inner }
            let below = (UInt128(1) << shift) - 1
            return AddressSpan(.v6(base | UInt128(first) << shift), .v6(base | UInt128(last) << shift | below))
        }
    }

    private static func rule(for address: IPAddress) -> Rule? {
        switch address {
        case .v4:
            return v4Rules.first { $0.range.contains(address) }?.rule
        case .v6(let value):
            if let carrier = carriers.first(where: { $0.range.contains(address) }) {
                return rule(for: .v4(UInt32(truncatingIfNeeded: value >> carrier.shift)))
            }
            if let known = v6Rules.first(where: { $0.range.contains(address) }) { return known.rule }
            return global.contains(address) ? nil : .reserved
        }
    }

    /// IANA's IPv4 special-purpose registry, multicast, and the former class E; in ascending order, without overlaps.
    private static let v4Rules: [RuledRange] = [
        RuledRange(AddressSpan(v4: 0x0000_0000, prefix: 8), .unspecified),
        RuledRange(AddressSpan(v4: 0x0A00_0000, prefix: 8), .privateNetwork),
        RuledRange(AddressSpan(v4: 0x6440_0000, prefix: 10), .shared),
        RuledRange(AddressSpan(v4: 0x7F00_0000, prefix: 8), .loopback),
        RuledRange(AddressSpan(v4: 0xA9FE_0000, prefix: 16), .linkLocal),
        RuledRange(AddressSpan(v4: 0xAC10_0000, prefix: 12), .privateNetwork),
        RuledRange(AddressSpan(v4: 0xC000_0000, prefix: 24), .reserved),
        RuledRange(AddressSpan(v4: 0xC000_0200, prefix: 24), .documentation),
        RuledRange(AddressSpan(v4: 0xC058_6300, prefix: 24), .tunnel),
        RuledRange(AddressSpan(v4: 0xC0A8_0000, prefix: 16), .privateNetwork),
        RuledRange(AddressSpan(v4: 0xC612_0000, prefix: 15), .benchmarking),
        RuledRange(AddressSpan(v4: 0xC633_6400, prefix: 24), .documentation),
        RuledRange(AddressSpan(v4: 0xCB00_7100, prefix: 24), .documentation),
        RuledRange(AddressSpan(v4: 0xE000_0000, prefix: 4), .multicast),
        RuledRange(AddressSpan(.v4(0xF000_0000), .v4(0xFFFF_FFFE)), .reserved),
        RuledRange(AddressSpan(v4: 0xFFFF_FFFF, prefix: 32), .broadcast),
    ]

    private static let carriers: [Carrier] = [
        // IPv4-mapped, and its translated form (RFC 2765).
        Carrier(0xFFFF << 32, prefix: 96, shift: 0),
        Carrier(0xFFFF << 48, prefix: 96, shift: 0),
        // NAT64's well-known prefix.
        Carrier(0x0064_FF9B << 96, prefix: 96, shift: 0),
        // 6to4.
        Carrier(0x2002 << 112, prefix: 16, shift: 80),
    ]

    /// What is assigned so far for use between networks.
    private static let global = AddressSpan(v6: 0x2000 << 112, prefix: 3)

    /// What in ``global`` is not for everyone, and what outside it has a name; without overlaps.
    ///
    /// Teredo is refused whole: what it carries is spread over two places and inverted, and nobody runs it any more.
    private static let v6Rules: [RuledRange] = [
        RuledRange(AddressSpan(v6: 0, prefix: 128), .unspecified),
        RuledRange(AddressSpan(v6: 1, prefix: 128), .loopback),
        RuledRange(AddressSpan(v6: 0x2001_0000 << 96, prefix: 32), .tunnel),
        RuledRange(AddressSpan(v6: 0x2001_0002 << 96, prefix: 48), .benchmarking),
        RuledRange(AddressSpan(v6: 0x2001_0010 << 96, prefix: 28), .reserved),
        RuledRange(AddressSpan(v6: 0x2001_0020 << 96, prefix: 28), .reserved),
        RuledRange(AddressSpan(v6: 0x2001_0DB8 << 96, prefix: 32), .documentation),
        RuledRange(AddressSpan(v6: 0x3FFF << 112, prefix: 20), .documentation),
        RuledRange(AddressSpan(v6: 0xFC00 << 112, prefix: 7), .uniqueLocal),
        RuledRange(AddressSpan(v6: 0xFE80 << 112, prefix: 10), .linkLocal),
        RuledRange(AddressSpan(v6: 0xFEC0 << 112, prefix: 10), .siteLocal),
        RuledRange(AddressSpan(v6: 0xFF00 << 112, prefix: 8), .multicast),
    ]

    /// Everything that neither a rule, nor a carrier, nor ``global`` covers.
    private static let v6Gaps: [RuledRange] = {
        let outside = v6Rules.map(\.range).filter { !global.contains($0.first) }
        let inside = carriers.map(\.range).filter { !global.contains($0.first) }
        var gaps: [RuledRange] = []
        var next: UInt128 = 0
        for range in (outside + inside + [global]).sorted(by: { $0.first < $1.first }) {
            guard case .v6(let first) = range.first, case .v6(let last) = range.last else { continue }
            if next < first { gaps.append(RuledRange(AddressSpan(.v6(next), .v6(first - 1)), .reserved)) }
            guard last < .max else { return gaps }
            next = last + 1
        }
        gaps.append(RuledRange(AddressSpan(.v6(next), .v6(.max)), .reserved))
        return gaps
    }()

    /// Names of this machine (RFC 6761 §6.3), names that only the local network knows, and names without a dot, which
    /// a resolver completes with the machine's own domain.
    private static func isLocal(_ name: String) -> Bool {
        guard let last = name.split(separator: ".").last, last.utf8.count < name.utf8.count else { return true }
        return ["localhost", "localdomain", "local", "internal", "intranet", "lan"].contains(last)
            || name == "home.arpa" || name.hasSuffix(".home.arpa")
    }
}
