import Config
import Foundation

/// Loads configurations that were right, or wrong in a known way, after changing them at random.
///
/// Nothing may trap. What is refused must be told with a position; what is accepted must be shown as TOML that is
/// accepted again.
struct ConfigFuzzer {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    struct Summary: Sendable {
        var iterations = 0
        var accepted = 0
        var faults = 0
    }

    private var random: SplitMix64
    private let corpus: [[UInt8]]
    private let lines: [[UInt8]]
    private var summary = Summary()

    private init(corpus: [[UInt8]], seed: UInt64) {
        self.corpus = corpus
        self.lines = corpus.flatMap { $0.split(separator: UInt8(ascii: "\n")).prefix(40).map { Array($0.prefix(200)) } }
        self.random = SplitMix64(state: seed)
    }

    /// - Throws: ``Failure`` with the files that brought it about.
    static func run(iterations: Int, seed: UInt64) throws -> Summary {
        let corpus = try Fixture.all.flatMap { try $0.files().values.map { Array($0.prefix(2000)) } }
        // Dictionaries have another order in each process.
        var fuzzer = ConfigFuzzer(corpus: corpus.sorted { $0.lexicographicallyPrecedes($1) }, seed: seed)
        for _ in 0..<iterations { try fuzzer.step() }
        return fuzzer.summary
    }

    private mutating func step() throws {
        let main = mutated()
        let plugin = mutated()
        var files = MemoryFiles()
        files.add("config.toml", main)
        files.add("plugins.d/\(pick(Self.names)).toml", plugin)
        var environment: [String: String] = [:]
        var flags: [String] = []
        if chance(4) { environment["MEDIA_GATEWAY__" + key(separator: "__").uppercased()] = pick(Self.tokens) }
        if chance(4) { flags.append(key(separator: ".") + (chance(8) ? "" : "=") + pick(Self.tokens)) }
        let loaded = load(files, environment: environment, overrides: flags)
        summary.iterations += 1
        summary.faults += loaded.diagnostics.errorCount
        if let problem = Self.check(loaded) {
            let input = "\(flags) \(environment)\n\(String(decoding: main, as: UTF8.self))\n---\n"
            throw Failure(description: "\(problem) for \(input)\(String(decoding: plugin, as: UTF8.self))")
        }
        if !loaded.diagnostics.hasErrors { summary.accepted += 1 }
    }

    private static func check(_ loaded: LoadedConfig) -> String? {
        let printed = loaded.diagnostics.render()
        guard loaded.diagnostics.hasErrors else {
            guard printed.isEmpty else { return "errors without faults" }
            let shown = load(["config.toml": loaded.show()])
            return shown.diagnostics.hasErrors ? "shown but not accepted: \(shown.diagnostics.render())" : nil
        }
        let ending = loaded.diagnostics.errorCount == 1 ? "\n1 error\n" : "\n\(loaded.diagnostics.errorCount) errors\n"
        guard printed.hasSuffix(ending) else { return "no count at the end: \(printed)" }
        let isControl = { (byte: UInt8) in byte < 0x20 && byte != UInt8(ascii: "\n") && byte != UInt8(ascii: "\t") }
        guard !printed.utf8.contains(where: isControl) else { return "control characters: \(printed)" }
        for fault in loaded.diagnostics.faults {
            if case .file(_, let line, let column, _) = fault.origin, line < 1 || column < 1 {
                return "a position that is none: \(fault)"
            }
        }
        _ = loaded.show()
        return nil
    }

    // MARK: Changing files

    private mutating func mutated() -> [UInt8] {
        // Half start from what is right: a fault in one place hides what comes after it.
        var bytes = chance(2) ? pick(corpus) : Array(pick(Self.good).utf8)
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            mutate(&bytes)
        }
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8]) {
        let at = Int.random(in: 0...bytes.count, using: &random)
        switch Int.random(in: 0..<10, using: &random) {
        case 0 where at < bytes.count: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case 1 where at < bytes.count: bytes[at] = UInt8.random(in: 0...255, using: &random)
        case 2: bytes.insert(UInt8.random(in: 0...255, using: &random), at: at)
        case 3: bytes.removeSubrange(at..<min(bytes.count, at + Int.random(in: 0..<20, using: &random)))
        case 4: bytes.insert(contentsOf: Array(pick(Self.tokens).utf8), at: at)
        case 5: insertLine(pick(lines), into: &bytes)
        case 6: replaceValue(in: &bytes)
        case 7:
            // One file's head with another's tail.
            let other = pick(corpus)
            bytes = Array(bytes.prefix(at)) + other.suffix(Int.random(in: 0...other.count, using: &random))
        case 8:
            let opening = pick(["[", "{a=", "a.", "[[", "\"", "'''", "\n[a."])
            let count = chance(20) ? 300 : Int.random(in: 1...40, using: &random)
            bytes.insert(contentsOf: Array(String(repeating: opening, count: count).utf8), at: at)
        default: insertLine(Array("\(key(separator: ".")) = \(pick(Self.tokens))".utf8), into: &bytes)
        }
    }

    private mutating func insertLine(_ line: [UInt8], into bytes: inout [UInt8]) {
        let newline = UInt8(ascii: "\n")
        let from = Int.random(in: 0...bytes.count, using: &random)
        let at = bytes[from...].firstIndex(of: newline).map { $0 + 1 } ?? bytes.count
        bytes.insert(contentsOf: line + [newline], at: at)
    }

    /// Puts something else behind one of the equals signs.
    private mutating func replaceValue(in bytes: inout [UInt8]) {
        let signs = bytes.indices.filter { bytes[$0] == UInt8(ascii: "=") }
        guard !signs.isEmpty else { return }
        let start = pick(signs) + 1
        let end = bytes[start...].firstIndex(of: UInt8(ascii: "\n")) ?? bytes.count
        bytes.replaceSubrange(start..<end, with: Array((" " + pick(Self.tokens)).utf8))
    }

    private mutating func key(separator: String) -> String {
        (0..<Int.random(in: 1...5, using: &random)).map { _ in pick(Self.keys) }.joined(separator: separator)
    }

    private mutating func pick<Element>(_ choices: [Element]) -> Element {
        choices[Int.random(in: choices.indices, using: &random)]
    }

    private mutating func chance(_ odds: Int) -> Bool {
        Int.random(in: 0..<odds, using: &random) == 0
    }

    private static let names = ["media", "films", "x", "a", "A", "a b", "é", ".x", "a-b-c", ""]
    private static let keys = [
        "server", "listen", "name", "admin", "token_file", "limits", "connections", "log", "level", "access", "plugins",
        "directory", "sources", "media", "a", "a-b", "kind", "mount", "enabled", "options", "root", "follow_symlinks",
        "cache", "path", "size", "chunk_size", "policy", "max_age", "sync", "first_byte_deadline", "\"\"", "\"é\"", "",
    ]
    private static let tokens = [
        "\"127.0.0.1:0\"", "[]", "{}", "[[]]", "{a={}}", "true", "false", "0", "-1", "9223372036854775807",
        "-9223372036854775808", "9223372036854775808", "0x7FFFFFFFFFFFFFFF", "1e308", "nan", "-inf", "1979-05-27",
        "07:32:00",
        "\"\"", "\"disk\"", "\"torrent\"", "\"30m\"", "\"8388607TiB\"", "\"0B\"", "\"9223372036854775807d\"", "\"/\"",
        "\"/ping\"", "\"/media/x\"",
        "\"../..\"", "\"unix:x\"", "[\"[::1]:1\", \"10.0.0.0/8\"]", "\"\\u0000\"", "\"\\U0010FFFF\"", "\"\\uD800\"",
        "'''",
        "\"\"\"", "é", "\u{39A}", "\u{2028}", "\u{FEFF}", "\r\n", "\r", "\u{0}", "# ", "=", "info", "disk",
        "127.0.0.1:1,[::1]:2",
        "[server]", "[sources.a.options]", "[[sources]]", "sources.media.kind = \"disk\"\n",
    ]
    private static let good = [
        "kind = \"disk\"\n[options]\nroot = \"../media\"\nfollow_symlinks = true\n",
        "kind = \"disk\"\nenabled = false\nmount = \"/x/y\"\nfirst_byte_deadline = \"5s\"\n"
            + "options = { root = \"/r\" }\n",
        """
        [server]
        listen = ["127.0.0.1:0", "[::1]:8080", "unix:run/s"]
        name = "edge-1"
        trusted_proxies = ["10.0.0.0/8", "::1"]
        first_byte_deadline = "20s"
        [admin]
        listen = "127.0.0.1:0"
        [cache]
        size = "64MiB"
        chunk_size = "64KiB"
        max_age = "0s"
        [limits]
        connections = 5
        [log]
        level = "trace"
        format = 'json'
        slow_request = "250ms"
        access = \"\"\"a.log\"\"\"
        [plugins]
        directory = "plugins.d"
        [sources.b]
        kind = "disk"
        options.root = "b"
        """, "", "\n",
    ]
}

/// Steele, Lea and Flood's generator: fast, and the same everywhere for a seed.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
