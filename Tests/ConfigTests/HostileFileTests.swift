import Config
import Testing

struct HostileFileTests {
    private static let deep = 10000

    @Test(
        "ten thousand levels are an error, however they are written",
        arguments: [
            "a = " + String(repeating: "[", count: deep),
            "a = " + String(repeating: "[", count: deep) + String(repeating: "]", count: deep),
            "a = " + String(repeating: "{a = ", count: deep) + "1" + String(repeating: "}", count: deep),
            String(repeating: "a.", count: deep) + "a = 1",
            String(repeating: "\"a\" . ", count: deep) + "a = 1",
            "[" + String(repeating: "a.", count: deep) + "a]",
            "[[" + String(repeating: "a.", count: deep) + "a]]",
            "x = \"\"\"a\"\"\"\"\"\n" + String(repeating: "a.", count: deep) + "a = 1",
            "x = '''\n'''''\n[" + String(repeating: "a.", count: deep) + "a]",
            "x = { y = [ { " + String(repeating: "a.", count: deep) + "a = 1 } ] }",
        ]
    )
    func nesting(_ text: String) {
        let printed = load(["config.toml": text]).diagnostics.render()
        #expect(printed.contains("nested too deeply; expected at most 32 levels"))
    }

    @Test("dots in strings and comments are not levels")
    func dots() {
        let dots = String(repeating: ".a", count: 1000)
        let text = "# \(dots)\n[log]\naccess = \"\(dots)\\\"\(dots)\"\n[server]\nname = '' # \"\(dots)\n"
        #expect(load(["config.toml": text]).diagnostics.render() == "")
    }

    @Test("a file of 1 MiB is read, one byte more is an error")
    func size() {
        let limit = 1 << 20
        let comment = "#" + String(repeating: "x", count: limit - 1)
        #expect(load(["config.toml": comment]).diagnostics.render() == "")
        #expect(load(["config.toml": comment + "x"]).diagnostics.render().contains("is too large"))
    }

    struct LargeFile: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let text: @Sendable () -> String

        init(_ description: String, _ text: @escaping @Sendable () -> String) {
            self.testDescription = description
            self.text = text
        }
    }

    private static func lines(_ count: Int, _ line: (Int) -> String) -> String {
        (0..<count).map(line).joined()
    }

    private static let largeFiles = [
        LargeFile("elements of an array of tables") { lines(100_000) { _ in "[[a]]\n" } },
        LargeFile("the same header") { lines(100_000) { _ in "[server]\n" } },
        LargeFile("tables made twice") { lines(8000) { "[a\($0).b]\n[a\($0)]\n" } },
        LargeFile("dotted keys") { lines(8000) { "a\($0).b = 1\n" } },
        LargeFile("unknown keys") { lines(60000) { "a\($0) = 1\n" } },
        LargeFile("sources") { lines(8000) { "[sources.s\($0)]\n" } },
        LargeFile("addresses") { "[server]\nlisten = [" + lines(50000) { _ in "\"127.0.0.1:80\"," } + "]" },
        LargeFile("elements of the wrong type") { "[server]\nlisten = [" + lines(200_000) { _ in "1," } + "]" },
        LargeFile("empty tables") { "a = [" + lines(300_000) { _ in "{}," } + "]" },
        LargeFile("a long string") { "[server]\nname = \"" + String(repeating: "x", count: 1_000_000) + "\"" },
        LargeFile("a long key") { String(repeating: "x", count: 1_000_000) + " = 1" },
        LargeFile("a long number") { "x = " + String(repeating: "9", count: 1_000_000) },
        LargeFile("a long hexadecimal number") { "x = 0x" + String(repeating: "F", count: 1_000_000) },
        LargeFile("empty lines") { String(repeating: "\n", count: 1_000_000) + "=" },
        LargeFile("escapes") { "a = \"" + String(repeating: "\\u00e9", count: 150_000) + "\"" },
    ]

    @Test("a large file of one thing is read or refused in a moment", arguments: largeFiles)
    func large(_ file: LargeFile) {
        let text = file.text()
        let elapsed = ContinuousClock().measure {
            let loaded = load(["config.toml": text])
            #expect(loaded.diagnostics.hasErrors)
            #expect(loaded.diagnostics.render().utf8.count < 500_000)
        }
        // Far above what it takes, far below what anything quadratic takes.
        #expect(elapsed < .seconds(30))
    }

    @Test("of very many faults the first are printed and all are counted")
    func manyFaults() {
        let loaded = load(["config.toml": Self.lines(3000) { "a\($0) = 1\n" }])
        #expect(loaded.diagnostics.errorCount == 3000)
        #expect(loaded.diagnostics.faults.count == 1000)
        #expect(loaded.diagnostics.render().hasSuffix("\n… and 2800 more\n3000 errors\n"))
    }

    @Test(
        "bytes that are not UTF-8 are an error at the first of them",
        arguments: [
            ([0xFF], 1), ([0x80], 1), ([0xC0, 0x80], 1), ([0xC3], 1), ([0xE0, 0x80, 0x80], 1), ([0xED, 0xA0, 0x80], 1),
            ([0xF0, 0x80, 0x80, 0x80], 1), ([0xF4, 0x90, 0x80, 0x80], 1), ([0xF5, 0x80, 0x80, 0x80], 1),
            ([0xE2, 0x82], 1), ([0x23, 0xC3, 0xA9, 0xE9], 3), ([0x23, 0xF0, 0x9F, 0x8E, 0xAC, 0xF0, 0x9F], 3),
        ] as [([UInt8], Int)]
    )
    func encoding(_ bytes: [UInt8], _ column: Int) {
        var files = MemoryFiles()
        files.add("config.toml", Array("\n".utf8) + bytes)
        let printed = load(files).diagnostics.render()
        #expect(printed.hasPrefix("config.toml:2:\(column): error: syntax: the file is not UTF-8; "))
    }

    @Test(
        "every character outside ASCII is allowed in strings and comments and nowhere else",
        arguments: ["\u{A1}", "\u{E9}", "\u{39A}", "\u{1680}", "\u{2003}", "\u{3000}", "\u{FEFF}", "\u{1F3AC}"]
    )
    func characters(_ character: String) {
        let allowed = "# \(character)\n[log]\naccess = \"\"\"\\\n\(character)\"\"\"\n"
        #expect(load(["config.toml": allowed]).diagnostics.render() == "")
        for text in [
            "\(character) = 1", "a = \(character)1", "[\(character)]", "a = 1 \(character)", "\na\(character) = 1",
        ] {
            #expect(load(["config.toml": text]).diagnostics.render().contains(": error: syntax: "))
        }
    }

    @Test("every beginning of a configuration is read or refused")
    func truncation() {
        let whole = Array(
            """
            [server]
            listen = ["127.0.0.1:8080", '''x''', \"\"\"y\\u00e9\"\"\"] # é
            a.b."c" = { d = 1e5, e.f = -inf, g = 0xFF, h = 1979-05-27T07:32:00.999Z }
            [[t.u]]
            """.utf8
        )
        for length in 0...whole.count {
            var files = MemoryFiles()
            files.add("config.toml", Array(whole.prefix(length)))
            _ = load(files).diagnostics.render()
        }
    }
}
