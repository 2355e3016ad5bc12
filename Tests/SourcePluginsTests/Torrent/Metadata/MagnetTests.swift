import SourceContract
import SourcePlugins
import Testing

/// The same link in the spellings that people paste and programs make. Its content is ``MagnetTests/plain``.
private let spellings: [String] = {
    let hash = "a9993e364706816aba3e25717850c26c9cd0d89d"
    let link = "magnet:?xt=urn:btih:\(hash)&dn=Big%20Film&tr=http%3A%2F%2Ft.example.com%3A80%2Fa%3Fk%3D%2520"
    let once =
        "magnet%3A%3Fxt%3Durn%3Abtih%3A\(hash)%26dn%3DBig%2520Film%26tr%3D"
        + "http%253A%252F%252Ft.example.com%253A80%252Fa%253Fk%253D%252520"
    return [
        link, once, once.replacing("%", with: "%25"), "  \(link)  ", "<\(link)>", "\"\(link)\"", "'\(link)'",
        "\u{201C}\(link)\u{201D}",
        "<\"\(link)\">", "%3C\(link)%3E", link.replacing("magnet", with: "MAGNET"),
        link.replacing("urn:btih", with: "URN:BTIH"),
        link.replacing("&", with: "&amp;"), link.replacing("&", with: "&#38;"), link.replacing("&", with: "&AMP;amp;"),
        link.replacing("%20", with: "+"), link.replacing("%20", with: " "), link.replacing("&", with: "\r\n&"),
        link.replacing("btih", with: "bt\nih"), link.replacing("a9993e", with: "a99 93e"),
        link.replacing("xt=", with: "xt.1="),
        link.replacing("tr=", with: "TR.1="), String(link.dropFirst(8)), String(link.dropFirst(7)), "+\(link)+",
        link.replacing("magnet:?", with: "magnet:"), link.replacing("magnet:?", with: "magnet://?"),
        link.replacing("urn:btih:", with: "urn%3Abtih%3A"), once.replacing("%2520Film", with: "+Film"),
        link.replacing(hash, with: "VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5"), link.replacing("%20Film", with: "%0A+%20Film"),
        link.replacing("%", with: "%25"), "\u{FEFF}\(link)\u{200B}", link.replacing("xt=", with: "%78t="),
    ]
}()

@Suite("Magnet")
struct MagnetTests {
    private static let plain =
        "magnet:?xt=urn:btih:a9993e364706816aba3e25717850c26c9cd0d89d&dn=Big%20Film"
        + "&tr=http%3A%2F%2Ft.example.com%3A80%2Fa%3Fk%3D%2520"

    @Test("every spelling of a link is the same magnet", arguments: spellings)
    func spelling(text: String) throws {
        let magnet = try Magnet(text)
        #expect(magnet.canonical == Self.plain)
        #expect(magnet.trackers.map(\.text) == ["http://t.example.com:80/a?k=%20"])
        #expect(magnet.name == "Big Film")
    }

    @Test("what is written is read again as the same magnet")
    func canonical() throws {
        let sha256 = InfoHash.v2(of: [1])
        let magnet = try Magnet(
            "magnet:?xt=urn:btmh:1220\(sha256)&xt=urn:btih:\(InfoHash.v1(of: [1]))&dn=%F0%9F%8E%AC%26%25&tr=udp://9.9.9.9:1"
                + "&tr=https://[2606:4700::1]/a%2526&x.pe=9.9.9.9:2&x.pe=[2606:4700::1]:3"
        )
        #expect(magnet.hashes.all == [InfoHash.v1(of: [1]), sha256])
        #expect(magnet.name == "🎬&%")
        #expect(magnet.peers.map(\.description) == ["9.9.9.9:2", "[2606:4700::1]:3"])
        #expect(try Magnet(magnet.canonical) == magnet)
    }

    @Test("a link that is too long is refused before it is read")
    func length() throws {
        let link = "magnet:?xt=urn:btih:\(InfoHash.v1(of: [1]))&dn="
        let fitting = link + String(repeating: "x", count: 65_536 - link.utf8.count)
        #expect(try Magnet(fitting).name?.utf8.count ?? 0 <= 1024)
        #expect(try #require(throws: SourceError.self) { try Magnet(fitting + "x") }.code == .refused)
    }

    @Test("private trackers and peers are kept where private addresses are open")
    func policy() throws {
        let link =
            "magnet:?xt=urn:btih:\(InfoHash.v1(of: [1]))&tr=http://127.0.0.1:1/announce&tr=udp://224.0.0.1:1"
            + "&x.pe=127.0.0.1:2&x.pe=0.0.0.0:2"
        #expect(try Magnet(link).trackers.isEmpty)
        #expect(try Magnet(link).peers.isEmpty)
        let open = try Magnet(link, policy: AddressPolicy(allowsPrivate: true))
        #expect(open.trackers.map(\.text) == ["http://127.0.0.1:1/announce"])
        #expect(open.peers.map(\.description) == ["127.0.0.1:2"])
    }

    @Test("no more than 50 peers are read")
    func peers() throws {
        let peers = (1...200).map { "&x.pe=9.9.9.9:\($0)" }.joined()
        #expect(try Magnet("magnet:?xt=urn:btih:\(InfoHash.v1(of: [1]))\(peers)").peers.count == 50)
    }

    @Test("a name has no control characters and no blanks at its ends")
    func name() throws {
        let link = "magnet:?xt=urn:btih:\(InfoHash.v1(of: [1]))&dn="
        #expect(try Magnet(link + "%00%0d%0aA%1B%5B2J%09%20b%E2%80%A8%20").name == "A [2J b")
        #expect(try Magnet(link + "+%20").name == nil)
        #expect(try Magnet(link + "100%2525&x.pe=fe80::1%eth0").name == "100%25")
        let long = try Magnet(link + String(repeating: "x%20", count: 600))
        #expect(long.name?.utf8.count == 1023)
        #expect(try Magnet(long.canonical) == long)
        #expect(try Magnet(link + "%FF%FE").name == "\u{FFFD}\u{FFFD}")
    }

    @Test("any mutation of a link is a magnet or an error, and what is a magnet is read again as the same")
    func fuzz() throws {
        var random = SplitMix64(seed: 11)
        let bits = [
            "%", "%25", "&", "=", "?", "xt", "urn:", "btih:", "+", " ", "\n", "<", "&amp;", "magnet:", "%00", "é", "\"",
            "#",
        ]
        for _ in 0..<4000 {
            var text = Array((spellings.randomElement(using: &random) ?? "").unicodeScalars)
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let place = Int.random(in: 0...text.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text.insert(contentsOf: (bits.randomElement(using: &random) ?? "").unicodeScalars, at: place)
                case 1: text.removeSubrange(place..<min(place + Int.random(in: 0...9, using: &random), text.count))
                default: text.insert(contentsOf: text.suffix(place), at: place)
                }
                text = Array(text.prefix(2000))
            }
            var pasted = String.UnicodeScalarView()
            pasted.append(contentsOf: text)
            guard let magnet = try? Magnet(String(pasted)) else { continue }
            #expect(try Magnet(magnet.canonical) == magnet, "\(String(pasted))")
        }
    }
}

@Suite("TrackerURL")
struct TrackerURLTests {
    @Test(
        "a tracker has a scheme, a host and a port that may be asked",
        arguments: [
            ("udp://t.example.com:80", "udp://t.example.com:80"),
            ("UDP://T.example.com:80/a", "udp://t.example.com:80/a"),
            ("http://t.example.com", "http://t.example.com"),
            ("https://t.example.com/A?b=%20#c", "https://t.example.com/A?b=%20"),
            ("http://t.example.com?x", "http://t.example.com?x"), ("http://[2606:4700::1]", "http://[2606:4700::1]"),
            ("udp://t.example.com", nil), ("ftp://t.example.com", nil), ("http:t.example.com", nil), ("http:///a", nil),
            ("http://u@t.example.com/", nil), ("http://t.example.com:0/", nil), ("http://t.example.com:65536/", nil),
            ("http://t.example.com:/", nil), ("http://t.example.com:8a/", nil), ("http://t.example.com/\u{e9}", nil),
            ("http://t.example.com/a b", nil), ("http://t.example.com\\@9.9.9.9/", nil), ("http://127.0.0.1/", nil),
            ("http://[::1]/", nil), ("http://[::1", nil), ("http://2130706433/", nil), ("http://localhost/", nil),
            ("http://t.example.com/\r\nx", nil), ("http://t.example.com#@127.0.0.1/", "http://t.example.com"),
            ("", nil),
            ("http://127.0.0.1#.example.com/", nil), ("http://127.0.0.1?.example.com/", nil),
            ("wss://t.example.com/", nil),
        ] as [(String, String?)]
    )
    func table(text: String, expected: String?) {
        #expect(TrackerURL(text.utf8, policy: AddressPolicy())?.text == expected)
    }
}
