import SourceContract
import SourcePlugins
import Testing

/// A link at `path` and whether it may be followed, if links are followed at all.
private struct LinkCase: Sendable, CustomTestStringConvertible {
    let path: String
    let leadsInside: Bool
    let testDescription: String

    init(_ path: String, _ leadsInside: Bool, _ description: String) {
        self.path = path
        self.leadsInside = leadsInside
        testDescription = description
    }
}

private let linkCases = [
    LinkCase("file", true, "to a file"),
    LinkCase("sub/up", true, "upwards and down again inside"),
    LinkCase("folder/in", true, "through a link to a directory"),
    LinkCase("chain1", true, "to a link to a link"),
    LinkCase("out", false, "to a file outside"),
    LinkCase("outfolder/secret", false, "through a link to a directory outside"),
    LinkCase("absolute", false, "by absolute path to a file outside"),
    LinkCase("absolutein", false, "by absolute path to a file inside"),
    LinkCase("backin", false, "out of the root and in again"),
    LinkCase("outchain", false, "to a link that leads outside"),
    LinkCase("loop", false, "to itself"),
    LinkCase("ping", false, "round in a circle"),
    LinkCase("dangling", false, "to nothing"),
    LinkCase("magic", false, "into /proc"),
    LinkCase("folder", false, "to a directory, opened as a file"),
]

@Suite("Disk: symbolic links", .timeLimit(.minutes(2)))
struct DiskLinkTests {
    private func makeLinks(in directory: TemporaryDirectory) throws {
        try directory.makeDirectory("outside")
        try directory.write("outside/secret", PatternBytes("secret"), size: 1000)
        try directory.makeDirectory("root/sub")
        try directory.write("root/sub/in", PatternBytes("in"), size: 1000)
        let links = [
            "file": "sub/in", "sub/up": "../sub/in", "folder": "sub", "chain1": "chain2", "chain2": "chain3",
            "chain3": "folder/in", "out": "../outside/secret", "outfolder": "../outside",
            "absolute": directory.path("outside/secret"), "absolutein": directory.path("root/sub/in"),
            "backin": "../root/sub/in", "outchain": "out", "loop": "loop", "ping": "pong", "pong": "ping",
            "dangling": "none", "magic": "/proc/self/cmdline",
        ]
        for (name, target) in links { try directory.link("root/\(name)", to: target) }
    }

    @Test("without follow_symlinks no link exists", arguments: linkCases, [true, false])
    private func notFollowed(_ link: LinkCase, _ usesOpenat2: Bool) async throws {
        try await withDisk(usesOpenat2: usesOpenat2) { disk in
            try makeLinks(in: disk.directory)
            #expect(try await code { try await disk.open(link.path) } == .notFound)
        }
    }

    @Test("with follow_symlinks a link exists if it leads inside", arguments: linkCases)
    private func followed(_ link: LinkCase) async throws {
        try await withDisk(followsLinks: true) { disk in
            try makeLinks(in: disk.directory)
            if link.leadsInside {
                #expect(try await disk.contents(link.path) == PatternBytes("in").bytes(0..<1000))
            } else {
                #expect(try await code { try await disk.open(link.path) } == .notFound)
            }
        }
    }

    @Test("links that cannot be followed safely are said to be so, and ordinary files too")
    func followedWithoutOpenat2() async throws {
        try await withDisk(followsLinks: true, usesOpenat2: false) { disk in
            try disk.directory.write("root/in", PatternBytes("in"), size: 10)
            let error = await #expect(throws: SourceError.self) { try await disk.open("in") }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("openat2") == true)
        }
    }

    @Test("a listing has only the links that may be followed")
    func listing() async throws {
        try await withDisk { disk in
            try makeLinks(in: disk.directory)
            #expect(try await disk.names("") == ["sub"])
            #expect(try await code { try await disk.names("folder") } == .notFound)
        }
        try await withDisk(followsLinks: true) { disk in
            try makeLinks(in: disk.directory)
            #expect(try await disk.names("") == ["chain1", "chain2", "chain3", "file", "folder", "sub"])
            #expect(try await disk.names("folder") == ["in", "up"])
            #expect(try await code { try await disk.names("outfolder") } == .notFound)
            let entries = try await disk.source.list(.root)
            #expect(entries.first?.kind == .file(size: 1000))
        }
    }

    @Test(
        "swapping a file and a directory for links while they are opened never shows the outside",
        arguments: [(false, true), (true, true), (false, false)]
    )
    func swapped(_ followsLinks: Bool, _ usesOpenat2: Bool) async throws {
        try await withDisk(followsLinks: followsLinks, usesOpenat2: usesOpenat2) { disk in
            let directory = disk.directory
            try directory.makeDirectory("outside")
            try directory.write("outside/film", PatternBytes("secret"), size: 10)
            try directory.makeDirectory("root/sub")
            try directory.write("root/sub/film", PatternBytes("in"), size: 10)
            try directory.write("root/film", PatternBytes("in"), size: 10)
            let isOver = Observed(false)
            let swapping = Task {
                defer { isOver.update { $0 = true } }
                for _ in 0..<1500 {
                    await Task.yield()
                    try directory.link("swap", to: "../outside/film")
                    try directory.rename("swap", to: "root/film")
                    try directory.rename("root/sub", to: "root/away")
                    try directory.link("root/sub", to: "../outside")
                    try directory.delete("root/sub")
                    try directory.rename("root/away", to: "root/sub")
                    try directory.write("swap", PatternBytes("in"), size: 10)
                    try directory.rename("swap", to: "root/film")
                }
            }
            var found = 0
            while !isOver.value {
                // Opening what is cached suspends nowhere, and the other task may have no thread of its own.
                await Task.yield()
                for path in ["film", "sub/film"] {
                    do {
                        let bytes = try await disk.contents(path)
                        found += 1
                        try #require(bytes == PatternBytes("in").bytes(0..<10))
                    } catch let error as SourceError {
                        try #require([.notFound, .changed].contains(error.code), "\(error)")
                    }
                }
            }
            try await swapping.value
            #expect(found > 0)
        }
    }
}
