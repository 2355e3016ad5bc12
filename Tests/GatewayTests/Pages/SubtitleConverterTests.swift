import Gateway
import Testing

@Suite("SubRip to WebVTT")
struct SubtitleConverterTests {
    @Test("a file as they are found becomes one that browsers read")
    func golden() throws {
        let subRip = """
            1
            00:00:01,000 --> 00:00:02,500 X1:40 X2:600 Y1:20 Y2:50
            {\\an8}Hello, <i>world</i> & <b>you</B>
            1,000 --> 2,000

            2
            00:01:02,5 --> 00:01:04
            <font color="#ffff00">Two</font> lines,

            with a hole <script>alert(1)</script>

            3
            00:05,250 --> 00:06,000
            1984
            {left} as it {is

            4
            00:00:07,000 --> 00:00:08,000

            5
            100:75:10,999 --> 101:00:00,0009
            <font color=red></font>
            last
            """
        #expect(
            try convert(subRip) == """
                WEBVTT

                00:00:01.000 --> 00:00:02.500
                Hello, <i>world</i> &amp; <b>you</b>
                1,000 --&gt; 2,000

                00:01:02.500 --> 00:01:04.000
                Two lines,
                with a hole &lt;script&gt;alert(1)&lt;/script&gt;

                00:00:05.250 --> 00:00:06.000
                1984
                {left} as it {is

                101:15:10.999 --> 101:00:00.000
                last

                """
        )
    }

    @Test("line ends do not matter", arguments: ["\n", "\r\n", "\r"])
    func lineEnds(separator: String) throws {
        let lines = ["1", "00:00:01,000 --> 00:00:02,000", "one", "two", "", "2", "00:00:03,000 --> 00:00:04,000", "x"]
        #expect(
            try convert(lines.joined(separator: separator))
                == "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\none\ntwo\n\n00:00:03.000 --> 00:00:04.000\nx\n"
        )
    }

    @Test(
        "the encoding is found",
        arguments: [
            ("UTF-8", Array("é“".utf8)),
            ("UTF-8 with a mark", [0xEF, 0xBB, 0xBF] + Array("é“".utf8)),
            ("Windows-1252", [0xE9, 0x93]),
        ] as [(String, [UInt8])]
    )
    func encodings(name: String, text: [UInt8]) throws {
        let mark = text.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        let input = text.prefix(mark) + Array("00:01,000 --> 00:02,000\n".utf8) + text.dropFirst(mark)
        #expect(try convert(Array(input)) == "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\né“\n")
    }

    @Test("UTF-16 is found by its mark", arguments: [true, false])
    func utf16(isBigEndian: Bool) throws {
        let units = Array("\u{FEFF}00:01,000 --> 00:02,000\r\né“😀".utf16)
        let bytes = units.flatMap { unit in
            let pair = [UInt8(unit >> 8), UInt8(unit & 0xFF)]
            return isBigEndian ? pair : pair.reversed()
        }
        #expect(try convert(bytes) == "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\né“😀\n")
        #expect(try convert(bytes + [0x20]) == "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\né“😀\n")
    }

    @Test("what holds no cue becomes an empty file", arguments: ["", "\u{FEFF}", "hello", "1\n\n2", "\0\0", "-->"])
    func nothing(text: String) throws {
        #expect(try convert(text) == "WEBVTT\n")
    }

    @Test(
        "a line that only looks like a timing is text",
        arguments: [
            "1 --> 2", "00:00 -> 00:01", "00:0a --> 00:01", "1234567890:00 --> 00:01", "00: --> 00:01",
            "x 00:01 --> 00:02",
        ]
    )
    func notTimings(line: String) throws {
        let output = try convert("00:01 --> 00:02\n\(line)\nend")
        #expect(output.split(separator: "\n").count { $0.contains("-->") } == 1)
        #expect(output.hasSuffix("\nend\n"))
    }

    @Test("input up to the limit is converted and a byte more is not")
    func limit() throws {
        let full = Array(repeating: UInt8(ascii: "x"), count: SubtitleConverter.inputLimit)
        #expect(SubtitleConverter.webVTT(fromSubRip: full) != nil)
        #expect(SubtitleConverter.webVTT(fromSubRip: full + [0x20]) == nil)
    }

    @Test(
        "what is opened and never closed stays, and a long line of it takes no longer than any other",
        arguments: [("{\\", "{\\"), ("<font", "&lt;font"), ("<b", "&lt;b")]
    )
    func unclosed(piece: String, text: String) throws {
        let count = 150_000
        let output = try convert("00:01 --> 00:02\n}>" + String(repeating: piece, count: count))
        #expect(output.hasSuffix("\n}&gt;" + String(repeating: text, count: count) + "\n"))
    }

    @Test("any bytes give valid WebVTT")
    func fuzz() throws {
        let seed = Array("1\r\n00:00:01,000 --> 00:00:02,500\r\n{\\an8}<i>a</i> <font x>é & --> b\r\n\r\n".utf8)
        let pieces: [[UInt8]] =
            ["-->", "\n", "\r", "{\\", "}", "<", "</i>", ":", ",", "999999999", "\0"].map { Array($0.utf8) }
            + [[0xFF, 0xFE], [0xFE, 0xFF], [0xEF, 0xBB, 0xBF], [0xC3], [0xD8, 0x00]]
        var random = SeededGenerator(seed: 20)
        for _ in 0..<3000 {
            var input = seed + seed
            for _ in 0..<Int.random(in: 0...12, using: &random) {
                let position = Int.random(in: 0...input.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: input.insert(contentsOf: pieces.randomElement(using: &random) ?? [], at: position)
                case 1: input = Array(input.prefix(position))
                default: input.insert(UInt8.random(in: 0...255, using: &random), at: position)
                }
            }
            try expectWellFormed(try convert(input))
        }
    }

    /// A header, then cues of a timing line and text; no arrow and no markup of others in the text.
    private func expectWellFormed(_ output: String) throws {
        #expect(output.hasPrefix("WEBVTT\n"))
        for block in output.dropFirst("WEBVTT\n".count).split(separator: "\n\n") {
            let lines = block.split(separator: "\n")
            let timing = try #require(lines.first)
            #expect(timing.wholeMatch(of: /\d{2,}:\d\d:\d\d\.\d{3} --> \d{2,}:\d\d:\d\d\.\d{3}/) != nil)
            #expect(lines.count > 1)
            for text in lines.dropFirst() {
                #expect(!text.replacing(/<\/?[biu]>/, with: "").contains { $0 == "<" || $0 == ">" })
            }
        }
    }

    private func convert(_ text: String) throws -> String { try convert(Array(text.utf8)) }

    private func convert(_ bytes: [UInt8]) throws -> String {
        let output = try #require(SubtitleConverter.webVTT(fromSubRip: bytes))
        return try #require(String(validating: output, as: UTF8.self))
    }
}
