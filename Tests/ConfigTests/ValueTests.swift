import Config
import Testing

struct ValueTests {
    @Test(
        "a size is digits and a unit",
        arguments: [
            ("0B", 0), ("1B", 1), ("1KiB", 1024), ("64MiB", 64 << 20), ("10GiB", 10 << 30), ("8TiB", 8 << 40),
            ("8388607TiB", 8_388_607 << 40), ("9223372036854775807B", Int64.max), ("0064MiB", 64 << 20),
        ] as [(String, Int64)]
    )
    func size(_ text: String, _ bytes: Int64) {
        #expect(ByteSize(text)?.bytes == bytes)
    }

    @Test(
        "anything else is no size",
        arguments: [
            "", "B", "64", "64 MiB", "64MB", "64M", "64mib", "-1B", "+1B", "1.5GiB", "1e3B", "64MiB ", " 64MiB",
            "9223372036854775808B", "8388608TiB", "99999999999999999999999TiB", "64MiBs", "0x10B", "٣MiB", "64\u{0}B",
        ]
    )
    func notSize(_ text: String) {
        #expect(ByteSize(text) == nil)
    }

    @Test("a size is printed in the largest unit that gives a whole number, and read back as itself")
    func printedSize() throws {
        for (bytes, text) in [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (1536, "1536B"), (3 << 30, "3GiB")] {
            #expect(ByteSize(bytes: Int64(bytes)).description == text)
        }
        for bytes: Int64 in [0, 1, 1 << 20, (1 << 20) + 1, .max] {
            #expect(ByteSize(ByteSize(bytes: bytes).description)?.bytes == bytes)
        }
    }

    @Test(
        "a time is digits and a unit",
        arguments: [
            ("0s", .zero), ("250ms", .milliseconds(250)), ("30s", .seconds(30)), ("30m", .seconds(1800)),
            ("12h", .seconds(43200)), ("30d", .seconds(2_592_000)), ("90000ms", .seconds(90)),
            ("106751991167d", .seconds(106_751_991_167 * 86400)),
        ] as [(String, Duration)]
    )
    func time(_ text: String, _ duration: Duration) {
        #expect(Duration(configText: text) == duration)
    }

    @Test(
        "anything else is no time",
        arguments: [
            "", "30", "30 minutes", "30 m", "m", "-1s", "+1s", "1.5h", "1h30m", "30M", "30S", "5w", "9e9s", "30s ",
            "106751991168d", "9223372036854775808ms", "1µs",
        ]
    )
    func notTime(_ text: String) {
        #expect(Duration(configText: text) == nil)
    }

    @Test("a time is printed in the largest unit that gives a whole number, and read back as itself")
    func printedTime() {
        let table: [(Duration, String)] = [
            (.zero, "0s"), (.milliseconds(1500), "1500ms"), (.seconds(90), "90s"), (.seconds(3600), "1h"),
            (.seconds(86400), "1d"), (.milliseconds(Int64.max), "9223372036854775807ms"), (.nanoseconds(1), "0s"),
            (.seconds(Int64.max), "9223372036854775807ms"),
        ]
        for (duration, text) in table {
            #expect(duration.configText == text)
        }
        for milliseconds: Int64 in [1, 999, 1000, 60000, 3_599_999, .max] {
            let duration = Duration.milliseconds(milliseconds)
            #expect(Duration(configText: duration.configText) == duration)
        }
    }

    @Test(
        "an address to listen on is a host with a port, or a Unix socket",
        arguments: [
            ("127.0.0.1:8080", .tcp(host: "127.0.0.1", port: 8080)), ("0.0.0.0:0", .tcp(host: "0.0.0.0", port: 0)),
            ("[::1]:65535", .tcp(host: "::1", port: 65535)), ("localhost:80", .tcp(host: "localhost", port: 80)),
            ("[2001:db8::1]:1", .tcp(host: "2001:db8::1", port: 1)),
            ("a-b.example:1", .tcp(host: "a-b.example", port: 1)),
            ("unix:/run/a.sock", .unix(path: "/run/a.sock")), ("unix:/run/../a:1", .unix(path: "/a:1")),
        ] as [(String, ListenAddress)]
    )
    func listenAddress(_ text: String, _ address: ListenAddress) {
        #expect(ListenAddress(text) == address)
    }

    @Test(
        "anything else is no address to listen on",
        arguments: [
            "", ":", ":80", "80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:65536",
            "127.0.0.1:99999999999999",
            "127.0.0.1:8080 ", "256.0.0.1:80", "1.2.3:80", "::1:80", "[::1]", "[::1]80", "[]:80", "[::1:80",
            "[127.0.0.1]:80",
            "[::g]:80", "[fe80::1%eth0]:80", "a b:80", "a/b:80", "http://a:80", "é:80", "a\u{0}:80", "[::1\u{0}]:80",
            "unix:",
            "unix:/\u{0}", "unix:/" + String(repeating: "a", count: 107),
        ]
    )
    func notListenAddress(_ text: String) {
        #expect(ListenAddress(text) == nil)
    }

    @Test(
        "an address is local if only this machine can connect to it",
        arguments: [
            ("127.0.0.1:1", true), ("127.255.0.1:1", true), ("[::1]:1", true), ("localhost:1", true), ("unix:/a", true),
            ("[::ffff:127.0.0.1]:1", true), ("0.0.0.0:1", false), ("[::]:1", false), ("192.168.0.1:1", false),
            ("[::ffff:10.0.0.1]:1", false), ("localhost.example.org:1", false), ("[::127.0.0.1]:1", false),
        ]
    )
    func local(_ text: String, _ isLocal: Bool) throws {
        #expect(try #require(ListenAddress(text)).isLocal == isLocal)
    }

    @Test(
        "a range holds the addresses that share its prefix",
        arguments: [
            ("10.0.0.0/8", [10, 255, 0, 1], true), ("10.0.0.0/8", [11, 0, 0, 0], false),
            ("192.168.4.0/22", [192, 168, 7, 255], true), ("192.168.4.0/22", [192, 168, 8, 0], false),
            ("0.0.0.0/0", [1, 2, 3, 4], true), ("127.0.0.1", [127, 0, 0, 1], true),
            ("127.0.0.1", [127, 0, 0, 2], false),
            ("10.0.0.0/31", [10, 0, 0, 1], true), ("10.0.0.0/31", [10, 0, 0, 2], false),
            ("10.0.0.0/8", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 1, 2, 3], true),
            ("::ffff:10.0.0.0/104", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 10, 1, 2, 3], true),
            ("::/0", [10, 0, 0, 1], false), ("0.0.0.0/0", Array(repeating: 0, count: 16), false),
            ("2001:db8::/32", [0x20, 1, 0xD, 0xB8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], true),
            ("2001:db8::/32", [0x20, 1, 0xD, 0xB9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], false),
            ("10.0.0.0/8", [], false), ("10.0.0.0/8", [10], false), ("10.0.0.0/8", [10, 0, 0, 0, 0], false),
        ] as [(String, [UInt8], Bool)]
    )
    func range(_ text: String, _ address: [UInt8], _ isInside: Bool) throws {
        #expect(try #require(AddressRange(text)).contains(addressBytes: address) == isInside)
    }

    @Test(
        "anything else is no range",
        arguments: [
            "", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.1/8", "10.0.0/8",
            "::/129",
            "2001:db8::1/32", "example.org", "10.0.0.0 /8", "10.0.0.0/8 ", "10.0.0.0/99999999999999999999", "[::]/0",
        ]
    )
    func notRange(_ text: String) {
        #expect(AddressRange(text) == nil)
    }

    @Test(
        "a limit is a number and a time, or off, and is printed as it is written",
        arguments: [
            ("10/min", .rate(10, per: .minute)), ("1/s", .rate(1, per: .second)),
            ("1000000/h", .rate(1_000_000, per: .hour)),
            ("off", .off),
        ] as [(String, RequestLimit)]
    )
    func limit(_ text: String, _ limit: RequestLimit) {
        #expect(RequestLimit(text) == limit)
        #expect(limit.description == text)
    }

    @Test(
        "anything else is no limit",
        arguments: [
            "", "10", "/min", "0/min", "-1/min", "10/", "10/m", "10 /min", "10/ min", "10/MIN", "1000001/h", "1.5/s",
            "Off",
            "none", "10/min ", "99999999999999999999/h", "10//min",
        ]
    )
    func notLimit(_ text: String) {
        #expect(RequestLimit(text) == nil)
    }
}
