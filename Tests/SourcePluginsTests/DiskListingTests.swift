import SourceContract
import SourcePlugins
import Testing

@Suite("Disk: listings", .timeLimit(.minutes(2)))
struct DiskListingTests {
    @Test("entries are sorted by their bytes and have sizes and times", arguments: [true, false])
    func entries(_ usesOpenat2: Bool) async throws {
        try await withDisk(usesOpenat2: usesOpenat2) { disk in
            let time = Timestamp(seconds: 1_700_000_000, nanoseconds: 123)
            try disk.directory.makeDirectory("root/b")
            for name in ["a", "B", "\u{e9}", "a b", "b/inner"] {
                try disk.directory.write("root/\(name)", PatternBytes(name), size: Int64(name.utf8.count))
                try disk.directory.setModified("root/\(name)", time)
            }
            let entries = try await disk.source.list(.root)
            #expect(entries.map { String(describing: $0.name) } == ["B", "a", "a b", "b", "\u{e9}"])
            #expect(
                entries.map(\.kind) == [.file(size: 1), .file(size: 1), .file(size: 3), .directory, .file(size: 2)]
            )
            #expect(entries.filter { $0.kind != .directory }.allSatisfy { $0.lastModified == time })
            #expect(try await disk.names("b") == ["inner"])
            #expect(try await disk.names("b/") == ["inner"])
        }
    }

    @Test("an empty directory lists as nothing")
    func empty() async throws {
        let names = try await withDisk { try await $0.names("") }
        #expect(names.isEmpty)
    }

    @Test(
        "a directory with more entries than are listed says so",
        arguments: [(5, nil), (6, SourceError.Code.forbidden)]
    )
    func limit(_ count: Int, _ expected: SourceError.Code?) async throws {
        try await withDisk(listingLimit: 5) { disk in
            for index in 0..<count { try disk.directory.write("root/\(index)", PatternBytes(""), size: 0) }
            #expect(try await code { try await disk.names("") } == expected)
        }
    }

    @Test("opening, listing and failing leave no descriptor open", arguments: [true, false])
    func descriptors(_ usesOpenat2: Bool) async throws {
        try await withDisk(usesOpenat2: usesOpenat2) { disk in
            try disk.directory.makeDirectory("root/sub")
            try disk.directory.write("root/sub/film", PatternBytes("film"), size: 10)
            for _ in 0..<200 {
                _ = try await disk.open("sub/film")
                _ = try await disk.names("sub")
                _ = try await code { try await disk.open("sub/none") }
                _ = try await code { try await disk.open("sub") }
                _ = try await code { try await disk.names("sub/film") }
            }
            // An open object must count, or this test would see nothing at all.
            let object = try await disk.open("sub/film")
            try await disk.context.drain()
            #expect(disk.directory.openDescriptors() == 1)
            withExtendedLifetime(object) {}
        }
    }
}
