import NIOCore
import SourceContract
import SourcePlugins
import Testing

/// Ways to write `..`, `/` and what attackers put around them, combined.
private let hostilePaths: [String] = {
    let dots = [
        "..", "%2e%2e", ".%2E", "%2e.", "%252e%252e", "..;", "..%00", "..%0d", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae",
        "..%20", "...", "%u002e%u002e", "..%01",
    ]
    let slashes = ["/", "%2f", "%252f", "\\", "%5c", "//", "/./", "%c0%af", "/;/"]
    let combined = dots.flatMap { dots in
        slashes.flatMap { slash in
            ["\(dots)\(slash)secret", "sub/\(dots)\(slash)\(dots)\(slash)secret"]
        }
    }
    let others = [
        "/", "//", "///etc/passwd", "//etc/passwd", "/%2fetc/passwd", "%2fetc%2fpasswd", ".", "..", "./", "../",
        "./secret", "sub/.", "sub/..", "sub/./in", "sub//in", "%", "%2", "%zz", "%%32%65", "sub/%", "in%00.txt",
        "%00", "in%", "\\\\host\\share", "C:\\secret", "file:///etc/passwd", "~root/secret", "sub/../in",
        "%2e", "%2e/in", "%2e%2e/%2e%2e/%2e%2e/etc/passwd", "sub/%2e%2e/%2e%2e/secret", "proc/self/environ",
    ]
    return combined + others
}()

/// Paths that cannot name anything: the rest of the table is merely not found.
private let impossiblePaths = [
    "..", "../", "../secret", "%2e%2e/secret", ".%2E/secret", "%2e./secret", "sub/../in", "sub/..", ".", "./in",
    "%2e/in", "sub/./in", "sub//in", "//etc/passwd", "..%2fsecret", "..%00/secret", "%00", "in%00.txt", "%", "%2",
    "%zz", "in%", "%2fetc%2fpasswd",
]

@Suite("MediaPath")
struct MediaPathTests {
    @Test("the table of hostile paths is as large as promised")
    func tableSize() {
        #expect(Set(hostilePaths).count >= 200)
    }

    @Test("no path that can be made has a component that leads elsewhere", arguments: hostilePaths)
    func componentsAreNames(_ raw: String) throws {
        guard let path = try? MediaPath(percentEncoded: raw.utf8) else { return }
        for component in path.components {
            #expect(!component.bytes.isEmpty)
            #expect(component.bytes != Array(".".utf8) && component.bytes != Array("..".utf8))
            #expect(!component.bytes.contains(0) && !component.bytes.contains(UInt8(ascii: "/")))
        }
    }

    @Test("a path that cannot name anything is refused", arguments: impossiblePaths)
    func impossible(_ raw: String) {
        let error = #expect(throws: SourceError.self) { try MediaPath(percentEncoded: raw.utf8) }
        #expect(error?.code == .badPath)
    }

    @Test("a NUL and a slash written as themselves are seen too")
    func rawBytes() {
        #expect(throws: SourceError.self) { try MediaPath(percentEncoded: [UInt8(ascii: "a"), 0]) }
        #expect(throws: SourceError.self) { try MediaPath("a//b") }
        #expect(throws: SourceError.self) { try MediaPath.Component("a/b".utf8) }
        #expect(throws: SourceError.self) { try MediaPath.Component([]) }
    }

    @Test(
        "odd but honest names are kept byte by byte",
        arguments: [
            ("a..b.txt", "a..b.txt"), ("...", "..."), ("a+b", "a+b"), ("100%25", "100%"), ("a%23b%3Fc", "a#b?c"),
            ("%20a%20", " a "), ("%0a", "\n"), ("e%CC%81", "e\u{301}"), ("%C3%A9", "\u{e9}"), ("..;/in", "..;/in"),
            ("%F0%9F%8E%AC.mkv", "\u{1F3AC}.mkv"), ("sub%5Cin", "sub\\in"), ("%252e%252e", "%2e%2e"), ("/in", "in"),
        ]
    )
    func honest(_ raw: String, _ decoded: String) throws {
        let path = try MediaPath(percentEncoded: raw.utf8)
        #expect(path.bytes == Array(decoded.utf8))
        #expect(try MediaPath(percentEncoded: path.percentEncoded.utf8) == path)
    }

    @Test("every byte but NUL and slash survives being written into a URL")
    func everyByte() throws {
        for byte in UInt8.min...UInt8.max where byte != 0 && byte != UInt8(ascii: "/") {
            let path = MediaPath.root.appending(try MediaPath.Component([byte, UInt8(ascii: "x")]))
            #expect(try MediaPath(percentEncoded: path.percentEncoded.utf8) == path)
        }
    }

    @Test("parents, names and slashes at the end are told apart")
    func parts() throws {
        let path = try MediaPath("a/b/c.tar.GZ")
        #expect(path.name?.fileExtension == "gz")
        #expect(path.name.map { Array($0.stem) } == Array("c.tar".utf8))
        #expect(try path.parent == MediaPath("a/b/"))
        #expect(try MediaPath("a").parent == .root)
        #expect(MediaPath.root.parent == nil && MediaPath.root.name == nil)
        #expect(try MediaPath("a/").isDirectory)
        #expect(try !MediaPath("a").isDirectory)
        #expect(try MediaPath("a/").percentEncoded == "a/")
    }
}

@Suite("Disk: hostile paths", .timeLimit(.minutes(2)))
struct DiskHostilePathTests {
    @Test("nothing outside the root is opened, or told from what does not exist", arguments: [true, false])
    func staysInside(_ usesOpenat2: Bool) async throws {
        try await withDisk(usesOpenat2: usesOpenat2) { disk in
            try disk.directory.write("secret", PatternBytes("secret"), size: 100)
            try disk.directory.write("root/in", PatternBytes("in"), size: 100)
            try disk.directory.makeDirectory("root/sub")
            for raw in hostilePaths {
                do {
                    let object = try await disk.source.open(MediaPath(percentEncoded: raw.utf8))
                    Issue.record("\(raw) opens something of \(String(describing: object.info.size)) bytes")
                } catch let error as SourceError {
                    #expect(error.code == .badPath || error.code == .notFound, "\(raw)")
                    #expect(!error.message.contains(disk.directory.path))
                }
            }
        }
    }
}
