import NIOCore
import SourceContract
import SourcePlugins
import Testing

private let size: Int64 = 3 << 20
private let before = PatternBytes("film")
private let after = PatternBytes("film", generation: 1)

@Suite("Disk: files that change", .timeLimit(.minutes(2)))
struct DiskChangeTests {
    /// Opens a file, pulls one piece, makes `change` and reads on.
    ///
    /// - Returns: the bytes after the first piece.
    private func restAfter(
        age: Int64 = 3600,
        _ change: (TemporaryDirectory) throws -> Void
    ) async throws -> [UInt8] {
        try await withDisk { disk in
            try disk.directory.write("root/film", before, size: size, age: age)
            let stream = try await disk.open("film").read(0..<size)
            #expect(try await stream.next()?.readableBytes == 256 << 10)
            try change(disk.directory)
            return try await disk.rest(of: stream)
        }
    }

    private var rest: [UInt8] { before.bytes((256 << 10)..<size) }

    @Test("a file that is renamed over is read on to its end")
    func replaced() async throws {
        let found = try await restAfter { directory in
            try directory.write("root/new", after, size: size)
            try directory.rename("root/new", to: "root/film")
        }
        #expect(found == rest)
    }

    @Test("a file that is deleted is read on to its end")
    func deleted() async throws {
        #expect(try await restAfter { try $0.delete("root/film") } == rest)
    }

    @Test("a file whose permissions change is read on to its end")
    func permissions() async throws {
        #expect(try await restAfter { try $0.setMode("root/film", 0o600) } == rest)
    }

    @Test("a file that is written to fails with none of the new bytes, old or new", arguments: [Int64(3600), 1])
    func overwritten(_ age: Int64) async throws {
        let outcome = try await code {
            try await restAfter(age: age) { try $0.overwrite("root/film", after, 0..<10) }
        }
        #expect(outcome == .changed)
    }

    @Test("a file that is renamed, linked or given other permissions plays on")
    func renamed() async throws {
        let found = try await restAfter { directory in
            try directory.rename("root/film", to: "root/other")
            try directory.setMode("root/other", 0o600)
        }
        #expect(found == before.bytes((256 << 10)..<size))
    }

    @Test("a file that shrinks fails, old or just written", arguments: [Int64(3600), 0])
    func shrunk(_ age: Int64) async throws {
        let outcome = try await code { try await restAfter(age: age) { try $0.truncate("root/film", to: 300_000) } }
        #expect(outcome == .changed)
    }

    @Test("a file that was old and grows fails, and is then a growing one")
    func resumed() async throws {
        try await withDisk { disk in
            try disk.directory.write("root/film", before, size: size)
            let stream = try await disk.open("film").read(0..<size)
            try disk.directory.overwrite("root/film", before, size..<(size + 10))
            _ = try await stream.next()
            #expect(try await code { try await stream.next() } == .changed)
            let info = try await disk.open("film").info
            #expect(info.size == size + 10 && info.revision == nil)
        }
    }

    @Test("a growing file is played up to the size it had, and has no revision")
    func growing() async throws {
        try await withDisk { disk in
            try disk.directory.write("root/film", before, size: size, age: 0)
            let object = try await disk.open("film")
            #expect(object.info.revision == nil)
            #expect(object.info.size == size)
            let stream = try await object.read(0..<size)
            var found: [UInt8] = []
            var end = size
            while let buffer = try await stream.next() {
                found += buffer.readableBytesView
                try disk.directory.overwrite("root/film", before, end..<(end + 1000))
                end += 1000
            }
            #expect(found == before.bytes(0..<size))
            #expect(try await disk.open("film").info.size == end)
        }
    }

    @Test("writes within one second have different revisions, and the same file has the same one")
    func revisions() async throws {
        try await withDisk { disk in
            let times: [(Int64, Int64)] = [(1000, 1), (1000, 2), (1001, 1), (0, 0), (-1000, 5), (9_000_000_000, 0)]
            var revisions: Set<Revision> = []
            for (seconds, nanoseconds) in times {
                try disk.directory.write("root/film", before, size: 10)
                let time = Timestamp(seconds: seconds, nanoseconds: nanoseconds)
                try disk.directory.setModified("root/film", time)
                let info = try await disk.open("film").info
                #expect(info.lastModified == time)
                #expect(try await disk.open("film").info == info)
                revisions.insert(try #require(info.revision))
            }
            #expect(revisions.count == times.count)
        }
    }

    @Test(
        "a file has a revision 2 s after it was written",
        arguments: [(0, false), (1, false), (3, true), (-60, true)]
    )
    func settling(_ age: Int64, _ isSettled: Bool) async throws {
        let written = Timestamp(seconds: 1_800_000_000)
        let now: @Sendable () -> Timestamp = { Timestamp(seconds: written.seconds + age) }
        try await withDisk(now: now) { disk in
            try disk.directory.write("root/film", before, size: 10)
            try disk.directory.setModified("root/film", written)
            #expect((try await disk.open("film").info.revision != nil) == isSettled)
        }
    }
}
