import SourceContract
import SourcePlugins
import Testing

@Suite("Bencode")
struct BencodeTests {
    private static let limits = Bencode.Limits(bytes: 1000, tokens: 50, depth: 5)

    private func parse(_ text: String) throws -> Bencode {
        try Bencode(Array(text.utf8), limits: Self.limits)
    }

    @Test("values are found, and their exact bytes")
    func values() throws {
        let document = try parse("d1:ai-42e1:b3:xyz1:cli0e0:e1:dd1:ei9223372036854775807eee")
        let root = try #require(document.root.dictionary)
        #expect(root["a"]?.integer == -42)
        #expect(root["b"]?.string.map { Array($0) } == Array("xyz".utf8))
        #expect(root["c"]?.list?.map { $0.integer } == [0, nil])
        #expect(root["c"].map { Array($0.raw) } == Array("li0e0:e".utf8))
        #expect(root["d"]?.range == 30..<56)
        #expect(root["d"]?.dictionary?["e"]?.integer == .max)
        #expect(root["e"] == nil)
        #expect(root.map { String(decoding: $0.key, as: UTF8.self) } == ["a", "b", "c", "d"])
        #expect(document.isCanonical)
    }

    @Test("a value of one kind is none of another")
    func kinds() throws {
        let values = try #require(parse("li1e1:xledee").root.list.map(Array.init))
        #expect(values.map { $0.integer != nil } == [true, false, false, false])
        #expect(values.map { $0.string != nil } == [false, true, false, false])
        #expect(values.map { $0.list != nil } == [false, false, true, false])
        #expect(values.map { $0.dictionary != nil } == [false, false, false, true])
    }

    @Test("keys may stand in any order, and that is told")
    func unsorted() throws {
        let document = try parse("d1:bi1e1:ai2ee")
        #expect(document.root.dictionary?["a"]?.integer == 2)
        #expect(!document.isCanonical)
    }

    @Test(
        "what is not bencoded is refused",
        arguments: [
            "", "e", "d", "l", "x", "i1", "ie", "i-e", "i-0e", "i01e", "i-01e", "i00e", "i+1e", "i 1e", "i1.0e", "i1e1",
            "i9223372036854775808e", "i-9223372036854775809e", "i99999999999999999999999e", "1", "1:", "01:a", "00:",
            "-1:a",
            "2:a", "1a", "18446744073709551617:a", "le1", "lee", "li1e", "di1ei2ee", "dle1:ae", "d1:ae", "d1:a",
            "d1:a1:b",
            "d1:ai1e1:ai2ee", "d1:bi1e1:ai1e1:bi2ee", "d1:bd1:zi1e1:ai1e1:zi1ee1:ai2ee", "d0:0:0:0:e", "1:a ", " 1:a",
        ]
    )
    func refused(text: String) throws {
        let error = try #require(throws: SourceError.self) { try parse(text) }
        #expect(error.code == .badReference)
    }

    @Test("the extremes of 64 bits are numbers")
    func extremes() throws {
        #expect(try parse("i9223372036854775807e").root.integer == .max)
        #expect(try parse("i-9223372036854775808e").root.integer == .min)
        #expect(try parse("i0e").root.integer == 0)
    }

    @Test(
        "limits hold, and what is just within them does",
        arguments: [
            (String(repeating: "l", count: 5) + String(repeating: "e", count: 5), true),
            (String(repeating: "l", count: 6) + String(repeating: "e", count: 6), false),
            (String(repeating: "l", count: 900), false),
            ("l" + String(repeating: "0:", count: 49) + "e", true),
            ("l" + String(repeating: "0:", count: 50) + "e", false),
            ("996:" + String(repeating: "x", count: 996), true), ("997:" + String(repeating: "x", count: 997), false),
        ]
    )
    func limits(text: String, isAccepted: Bool) throws {
        if isAccepted {
            _ = try parse(text)
        } else {
            #expect(try #require(throws: SourceError.self) { try parse(text) }.code == .refused)
        }
    }

    @Test("what is written is read again")
    func writer() throws {
        var random = SplitMix64(seed: 3)
        for _ in 0..<500 {
            var writer = BencodeWriter()
            write(&writer, depth: 0, &random)
            let document = try Bencode(writer.bytes, limits: Bencode.Limits(bytes: 1 << 20, tokens: 1 << 16, depth: 5))
            #expect(document.root.raw[...] == writer.bytes[...])
            var again = BencodeWriter()
            copy(document.root, &again)
            #expect(again.bytes == writer.bytes)
        }
    }

    private func write(_ writer: inout BencodeWriter, depth: Int, _ random: inout SplitMix64) {
        switch Int.random(in: 0..<(depth < 4 ? 4 : 2), using: &random) {
        case 0: writer.integer(.random(in: .min ... .max, using: &random))
        case 1: writer.string((0..<Int.random(in: 0..<12, using: &random)).map { _ in UInt8.random(in: 0...255) })
        case 2:
            writer.list { writer in
                for _ in 0..<Int.random(in: 0..<5, using: &random) { write(&writer, depth: depth + 1, &random) }
            }
        default:
            writer.dictionary { writer in
                for key in 0..<Int.random(in: 0..<5, using: &random) {
                    writer.string("k\(key)")
                    write(&writer, depth: depth + 1, &random)
                }
            }
        }
    }

    private func copy(_ value: Bencode.Value, _ writer: inout BencodeWriter) {
        if let number = value.integer { writer.integer(number) }
        if let string = value.string { writer.string(string) }
        if let list = value.list { writer.list { for item in list { copy(item, &$0) } } }
        if let entries = value.dictionary {
            writer.dictionary { writer in
                for (key, item) in entries {
                    writer.string(key)
                    copy(item, &writer)
                }
            }
        }
    }
}

@Suite("InfoHash")
struct InfoHashTests {
    private static let sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d"
    private static let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    @Test("digests are those of the standards' examples")
    func digests() {
        #expect(InfoHash.v1(of: Array("abc".utf8)).description == Self.sha1)
        #expect(InfoHash.v2(of: Array("abc".utf8)).description == Self.sha256)
        #expect(InfoHash.v1(of: []).version == .v1)
        #expect(InfoHash.v2(of: []).version == .v2)
    }

    @Test(
        "hexadecimal of either case and base32 are the same hash",
        arguments: [sha1, sha1.uppercased(), "VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5", "vgmt4nsha2awvor6evyxqugcnsonbwe5"]
    )
    func forms(text: String) {
        #expect(InfoHash(text) == InfoHash.v1(of: Array("abc".utf8)))
    }

    @Test(
        "anything else is no hash",
        arguments: [
            "", String(sha1.dropLast()), sha1 + "0", String(sha1.dropLast()) + "g", String(sha256.dropLast()),
            sha256 + "a",
            String(repeating: "0", count: 40), String(repeating: "0", count: 64), String(repeating: "A", count: 32),
            "VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE1", "VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE=", " \(sha1)",
        ]
    )
    func refused(text: String) {
        #expect(InfoHash(text) == nil)
    }

    @Test("hashes of two links agree if they share one and no other differs")
    func agreement() throws {
        let (one, other) = (InfoHash.v1(of: [1]), InfoHash.v1(of: [2]))
        let second = InfoHash.v2(of: [1])
        let both = try #require(InfoHashes(v1: one, v2: second))
        #expect(both.agree(with: InfoHashes(one)))
        #expect(both.agree(with: InfoHashes(second)))
        #expect(!InfoHashes(one).agree(with: InfoHashes(second)))
        #expect(!both.agree(with: try #require(InfoHashes(v1: other, v2: second))))
        #expect(InfoHashes(v1: nil, v2: nil) == nil)
        #expect(InfoHashes(v1: second, v2: nil) == nil)
        #expect(both.all == [one, second])
    }
}
