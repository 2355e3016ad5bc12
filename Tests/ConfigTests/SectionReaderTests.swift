import Config
import Testing

struct SectionReaderTests {
    private func read<Value>(
        _ options: String,
        overrides: [String] = [],
        _ body: (SectionReader) throws -> Value
    ) throws -> (value: Value, printed: String) {
        let text = "kind = \"disk\"\n[options]\n" + options
        let loaded = ConfigLoader(kinds: ["disk"], files: MemoryFiles(["plugins.d/s.toml": text]))
            .load(overrides: overrides)
        let reader = try #require(loaded.config.sources.first).options.reader(loaded.diagnostics)
        let value = try body(reader)
        reader.finish()
        return (value, loaded.diagnostics.render())
    }

    private enum Add: String, CaseIterable {
        case local
        case anyone
    }

    @Test("values of every type are read, from a file and from the command line")
    func values() throws {
        let file = """
            text = "a"
            flag = true
            count = -5
            space = "20GiB"
            wait = "250ms"
            words = ["a,b", "c"]
            add = "anyone"
            at = "x/../y"
            """
        let flags = [
            "text=a", "flag=true", "count=-5", "space=20GiB", "wait=250ms", "words=a,b,c", "add=anyone", "at=y",
        ].map { "sources.s.options." + $0 }
        for (options, overrides, words) in [(file, [], ["a,b", "c"]), ("", flags, ["a", "b", "c"])] {
            let result = try read(options, overrides: overrides) { reader in
                #expect(reader.string("text", default: "") == "a")
                #expect(reader.bool("flag", default: false))
                #expect(reader.integer("count", default: 0, in: -5...5) == -5)
                #expect(reader.size("space", default: ByteSize(bytes: 0)) == ByteSize(bytes: 20 << 30))
                #expect(reader.duration("wait", default: .zero) == .milliseconds(250))
                #expect(reader.strings("words", default: []) == words)
                #expect(reader.choice("add", default: Add.local) == .anyone)
                #expect(reader.requiredPath("at")?.hasSuffix("/y") == true)
            }
            #expect(result.printed == "")
        }
    }

    @Test("what is missing or wrong is the default, and reading goes on")
    func defaults() throws {
        let options = "flag = \"true\"\ncount = 6\nspace = 5\nwait = \"5\"\nwords = [1]\nadd = \"all\"\nat = \"\""
        let result = try read(options) { reader in
            #expect(reader.string("text", default: "d") == "d")
            #expect(reader.bool("flag", default: true))
            #expect(reader.integer("count", default: 3, in: 1...5) == 3)
            #expect(reader.size("space", default: ByteSize(bytes: 7)) == ByteSize(bytes: 7))
            #expect(reader.duration("wait", default: .seconds(2)) == .seconds(2))
            #expect(reader.strings("words", default: ["w"]) == ["w"])
            #expect(reader.choice("add", default: Add.local) == .local)
            #expect(reader.path("at", default: "here") == "/etc/media-gateway/here")
            #expect(reader.requiredString("name") == nil)
        }
        #expect(result.printed.hasSuffix("8 errors\n"))
        #expect(result.printed.contains("s.options.name: missing; expected a string\n"))
        #expect(result.printed.contains("s.options.words[0]: found 1; expected a string\n"))
    }

    @Test("sections within sections are read, and finished with their parent")
    func sections() throws {
        let result = try read("[options.headers]\nVia = \"x\"\nVai = \"y\"\n[options.none]\n") { reader in
            #expect(reader.section("missing") == nil)
            #expect(reader.section("none") != nil)
            return reader.section("headers")?.string("Via", default: "")
        }
        #expect(result.value == "x")
        #expect(
            result.printed == """
                plugins.d/s.toml:5:1: error: s.options.headers.Vai: unknown key; did you mean "Via"?
                 5 | Vai = "y"
                   | ^~~
                1 error

                """
        )
    }

    @Test("a kind reports faults of its own at the value, or at the section if there is none")
    func fail() throws {
        let result = try read("root = \"/x\"\n") { reader in
            _ = reader.requiredPath("root")
            reader.fail("root", found: "\"/x\" is not a directory", expected: "a directory")
            reader.fail("other", found: "nothing", expected: "something")
        }
        #expect(
            result.printed == """
                plugins.d/s.toml:2:2: error: s.options.other: nothing; expected something
                 2 | [options]
                   |  ^~~~~~~
                plugins.d/s.toml:3:8: error: s.options.root: "/x" is not a directory; expected a directory
                 3 | root = "/x"
                   |        ^~~~
                2 errors

                """
        )
    }
}
