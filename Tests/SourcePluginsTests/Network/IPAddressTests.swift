import Glibc
import SourceContract
import SourcePlugins
import Testing

@Suite("IPAddress")
struct IPAddressTests {
    @Test(
        "an address is written as RFC 5952 has it",
        arguments: [
            ("1.2.3.4", "1.2.3.4"), ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"), ("::", "::"),
            ("::1", "::1"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
            ("2001:0:0:1::1", "2001:0:0:1::1"), ("fe80::", "fe80::"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
            ("::ffff:1.2.3.4", "::ffff:1.2.3.4"), ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
        ]
    )
    func description(text: String, canonical: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == canonical)
        #expect(IPAddress(canonical) == address)
        #expect(IPAddress(bytes: address.bytes) == address)
    }

    @Test(
        "what inet_pton does not take is no address",
        arguments: [
            "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.4 ", " 1.2.3.4", "0x7f.0.0.1", "127.1",
            "1..2.3",
            "1.2.3.", "+1.2.3.4", "2130706433", ":", ":::", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::",
            "::g", "::1%lo", "[::1]", "1:2:3:4:5:6:7:8::", "::1.2.3", "1.2.3.4::", "::1.2.3.4:5",
            "1:2:3:4:5:6:7:1.2.3.4",
            ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:", "::ffff:1.2.3.04", "１.2.3.4",
        ]
    )
    func refused(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test("any text is read as inet_pton reads it")
    func agreesWithTheSystem() {
        var random = SplitMix64(seed: 7)
        let parts = [
            "::", ":", ".", "0", "1", "ff", "FFFF", "255", "256", "00", "10000", "127", "a", "g", "::ffff:", " ",
        ]
        for _ in 0..<30_000 {
            let text = (0..<Int.random(in: 1...12, using: &random))
                .compactMap { _ in parts.randomElement(using: &random) }.joined()
            #expect(IPAddress(text)?.bytes == systemBytes(text), "\(text)")
        }
    }

    private func systemBytes(_ text: String) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, text, &buffer) == 1 { return Array(buffer[..<4]) }
        return inet_pton(AF_INET6, text, &buffer) == 1 ? buffer : nil
    }

    @Test(
        "a peer is a literal address with a port",
        arguments: [
            ("1.2.3.4:80", "1.2.3.4:80"), ("[2001:db8::1]:65535", "[2001:db8::1]:65535"), ("1.2.3.4:0", nil),
            ("1.2.3.4:65536", nil), ("1.2.3.4", nil), ("[::1]", nil), ("::1:80", nil), ("[1.2.3.4]:80", nil),
            ("host:80", nil),
            ("1.2.3.4:+80", nil), ("1.2.3.4:", nil), ("[]:80", nil), ("", nil), ("[:80", nil),
        ] as [(String, String?)]
    )
    func peers(text: String, expected: String?) {
        #expect(PeerAddress(text)?.description == expected)
    }
}
