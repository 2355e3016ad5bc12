import SourceContract
import SourcePlugins
import Testing

@Suite("AddressPolicy")
struct AddressPolicyTests {
    @Test(
        "public addresses may be connected to",
        arguments: [
            "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
            "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1", "2001:200::1", "2a00::1", "2001:db7::1",
            "::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1",
        ]
    )
    func allowed(text: String) throws {
        #expect(AddressPolicy().refusal(of: try #require(IPAddress(text))) == nil)
    }

    @Test(
        "the rest is refused, and the rule named",
        arguments: [
            ("0.0.0.0", .unspecified), ("0.1.2.3", .unspecified), ("10.0.0.0", .privateNetwork),
            ("10.255.255.255", .privateNetwork), ("100.64.0.0", .shared), ("100.127.255.255", .shared),
            ("127.0.0.1", .loopback), ("127.255.255.255", .loopback), ("169.254.169.254", .linkLocal),
            ("172.16.0.0", .privateNetwork), ("172.31.255.255", .privateNetwork), ("192.0.0.1", .reserved),
            ("192.0.2.1", .documentation), ("192.88.99.1", .tunnel), ("192.168.0.1", .privateNetwork),
            ("198.18.0.0", .benchmarking), ("198.19.255.255", .benchmarking), ("198.51.100.9", .documentation),
            ("203.0.113.9", .documentation), ("224.0.0.1", .multicast), ("239.255.255.255", .multicast),
            ("240.0.0.0", .reserved), ("255.255.255.254", .reserved), ("255.255.255.255", .broadcast),
            ("::", .unspecified), ("::1", .loopback), ("::2", .reserved), ("::127.0.0.1", .reserved),
            ("::ffff:127.0.0.1", .loopback), ("::ffff:0:127.0.0.1", .loopback), ("64:ff9b::a9fe:a9fe", .linkLocal),
            ("64:ff9b:1::1", .reserved), ("100::1", .reserved), ("2002:7f00:1::1", .loopback),
            ("2002:c0a8:101::1", .privateNetwork), ("2001::1", .tunnel), ("2001:2::1", .benchmarking),
            ("2001:10::1", .reserved), ("2001:20::1", .reserved), ("2001:db8::1", .documentation),
            ("3fff::1", .documentation), ("5f00::1", .reserved), ("fc00::1", .uniqueLocal), ("fdff::1", .uniqueLocal),
            ("fe80::1", .linkLocal), ("febf::1", .linkLocal), ("fec0::1", .siteLocal), ("ff02::1", .multicast),
            ("4000::", .reserved), ("1fff::", .reserved), ("fe00::1", .reserved),
        ] as [(String, AddressPolicy.Rule)]
    )
    func refused(text: String, rule: AddressPolicy.Rule) throws {
        #expect(AddressPolicy().refusal(of: try #require(IPAddress(text))) == rule)
    }

    @Test(
        "the switch opens private addresses",
        arguments: [
            "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.1.1", "172.16.0.1", "192.168.1.1", "::1", "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:a00:1::",
        ]
    )
    func opened(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(AddressPolicy(allowsPrivate: true).allows(address))
        #expect(!AddressPolicy().allows(address))
    }

    @Test(
        "the switch opens nothing else",
        arguments: [
            "0.0.0.0", "0.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::",
            "ff02::1",
            "fec0::1", "2001::1", "2001:db8::1", "::ffff:0.0.0.0", "64:ff9b::e000:1", "2002:ffff:ffff::",
        ]
    )
    func stillRefused(text: String) throws {
        #expect(!AddressPolicy(allowsPrivate: true).allows(try #require(IPAddress(text))))
    }

    @Test("the blocked ranges are exactly what is refused", arguments: [false, true])
    func ranges(allowsPrivate: Bool) throws {
        let policy = AddressPolicy(allowsPrivate: allowsPrivate)
        let ranges = policy.blockedRanges
        for (left, right) in zip(ranges, ranges.dropFirst()) { #expect(left.last < right.first) }
        for range in ranges { #expect(range.first <= range.last) }
        for address in samples(ranges) {
            #expect(policy.allows(address) == !ranges.contains { $0.contains(address) }, "\(address)")
        }
    }

    /// The ends of all ranges, what is beside them, and addresses that are anywhere.
    private func samples(_ ranges: [AddressSpan]) -> [IPAddress] {
        var random = SplitMix64(seed: 1)
        let ends = ranges.flatMap { [$0.first, $0.last] }
        let near = ends.flatMap(Self.beside)
        let prefixes: [UInt128] = [0, 0xFFFF << 32, 0xFFFF << 48, 0x0064_FF9B << 96, 0x2002 << 112, 0x2001 << 112]
        let anywhere = (0..<4_000).flatMap { _ -> [IPAddress] in
            let bits = UInt128.random(in: 0...UInt128.max, using: &random)
            let prefix = prefixes.randomElement(using: &random) ?? 0
            return [
                .v4(UInt32(truncatingIfNeeded: bits)), .v6(bits), .v6(prefix | bits >> 16), .v6(prefix | bits >> 96),
            ]
        }
        return near + anywhere
    }

    private static func beside(_ address: IPAddress) -> [IPAddress] {
        switch address {
        case .v4(let value): [.v4(value), .v4(value &- 1), .v4(value &+ 1)]
        case .v6(let value): [.v6(value), .v6(value &- 1), .v6(value &+ 1)]
        }
    }
}

@Suite("HostName")
struct HostNameTests {
    @Test(
        "numbers that are no address, and names that are none, are no host",
        arguments: [
            "", ".", "..", "127.1", "0x7f.1", "0x7f.0.0.1", "0x7f000001", "0X7F000001", "2130706433", "017700000001",
            "0177.0.0.1", "0", "0x", "1.2.3", "1.2.3.4.5", "256.256.256.256", "127.0.0.1.", "localhost.",
            "example.com.",
            "a..b", ".a", "-a.com", "a-.com", "a b.com", "a/b", "a@b", "a:80", "[::1", "::1", "[1.2.3.4]", "[::1%25lo]",
            "example.0x1", "example.123", "träcker.de", "１２７.0.0.1", "ⓛocalhost", "a%2e.com", "a\0.com",
            String(repeating: "a", count: 64) + ".com", String(repeating: "a.", count: 126) + "ab.com",
        ]
    )
    func refused(text: String) {
        #expect(HostName(text) == nil)
    }

    @Test(
        "an address or a name is a host, in lower case",
        arguments: [
            ("Tracker.Example.COM", "tracker.example.com"), ("1.2.3.4", "1.2.3.4"), ("[2001:DB8::1]", "[2001:db8::1]"),
            ("a_b.example.com", "a_b.example.com"), ("xn--trcker-bua.de", "xn--trcker-bua.de"),
            ("1.2.3.4.com", "1.2.3.4.com"),
            ("0xcafe.example", "0xcafe.example"), ("example.0xyz", "example.0xyz"),
        ]
    )
    func accepted(text: String, description: String) {
        #expect(HostName(text)?.description == description)
    }

    @Test(
        "names of this machine and of the local network are refused unless private addresses are open",
        arguments: [
            "localhost", "LOCALHOST", "a.localhost", "localhost.localdomain", "router", "printer.local",
            "metadata.google.internal", "nas.lan", "home.arpa", "x.home.arpa",
        ]
    )
    func local(text: String) throws {
        let host = try #require(HostName(text))
        #expect(AddressPolicy().refusal(of: host) == .localName)
        #expect(AddressPolicy(allowsPrivate: true).refusal(of: host) == nil)
    }

    @Test("a host that is an address is judged as that address")
    func address() throws {
        #expect(AddressPolicy().refusal(of: try #require(HostName("[::ffff:10.0.0.1]"))) == .privateNetwork)
        #expect(AddressPolicy().refusal(of: try #require(HostName("mylocalhost.com"))) == nil)
    }
}
