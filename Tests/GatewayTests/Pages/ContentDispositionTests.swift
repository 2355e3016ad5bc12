import Gateway
import SourcePlugins
import Testing

@Suite("Content-Disposition")
struct ContentDispositionTests {
    @Test(
        "a name reaches old and new clients",
        arguments: [
            ("film.mkv", #"attachment; filename="film.mkv""#),
            ("Das Boot (1981).mkv", #"attachment; filename="Das Boot (1981).mkv""#),
            ("Amélie.mkv", #"attachment; filename="Am_lie.mkv"; filename*=UTF-8''Am%C3%A9lie.mkv"#),
            (
                "七人の侍.mkv",
                #"attachment; filename="____.mkv"; filename*=UTF-8''%E4%B8%83%E4%BA%BA%E3%81%AE%E4%BE%8D.mkv"#
            ),
            ("100%25.mkv", #"attachment; filename="100_25.mkv"; filename*=UTF-8''100%2525.mkv"#),
            (#"a"b\c.mkv"#, #"attachment; filename="a_b_c.mkv"; filename*=UTF-8''a%22b%5Cc.mkv"#),
        ]
    )
    func names(name: String, value: String) throws {
        #expect(ContentDisposition(.attachment, name: try MediaPath.Component(name.utf8)).value == value)
    }

    @Test("inline is said so")
    func inline() throws {
        let name = try MediaPath.Component("film.mkv".utf8)
        #expect(ContentDisposition(.inline, name: name).value == #"inline; filename="film.mkv""#)
    }

    @Test("a line break in a name is not one in the head")
    func lineBreaks() throws {
        let name = try MediaPath.Component("a\r\nSet-Cookie: x=1.mkv".utf8)
        let value = ContentDisposition(.attachment, name: name).value
        #expect(value.utf8.allSatisfy { (0x20...0x7E).contains($0) })
        #expect(!value.contains("%0D") && !value.contains("%0A"))
    }

    @Test("a name cannot hide its extension behind a change of direction")
    func direction() throws {
        let name = try MediaPath.Component("film\u{202E}4pm.exe".utf8)
        #expect(!ContentDisposition(.attachment, name: name).value.contains("%E2%80%AE"))
    }

    @Test("the value is printable ASCII with paired quotes for any bytes")
    func anyBytes() throws {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<2000 {
            let count = Int.random(in: 1...40, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 1...255, using: &random) }
            guard let name = try? MediaPath.Component(bytes) else { continue }
            let value = ContentDisposition(.attachment, name: name).value
            #expect(value.utf8.allSatisfy { (0x20...0x7E).contains($0) })
            #expect(value.count { $0 == "\"" } == 2)
        }
    }
}
