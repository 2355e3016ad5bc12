import CLibtorrent
import Foundation
import SourceContract
import Testing

@Suite("libtorrent's façade: resume data", .serialized, .timeLimit(.minutes(1)), .enabled(if: Seeder.isAvailable))
struct FacadeResumeTests {
    /// A torrent of which pieces 0 to 3 were downloaded, its files, and its resume data. Then a byte of piece 0 was
    /// spoilt on the disk: who looks at the files does not find the piece, and who believes the resume data does.
    private struct Saved {
        let seeder: Seeder
        var torrent: NewTorrent
        let resumeData: [UInt8]
    }

    private func saved(_ directory: TemporaryDirectory, _ version: String = "v1") async throws -> Saved {
        let file = directory.path("t.torrent")
        let seeder = try await Seeder("--file", "film.mkv:900000", "--version", version, "--save-torrent", file)
        let torrent = try NewTorrent(fileOf: seeder, directory: directory.path("files"))
        let session = try FacadeSession()
        _ = try await session.added(torrent)
        try await session.download(0..<4)
        let resumeData = try await session.resumeData()
        try await session.remove()
        session.close()
        let handle = try FileHandle(forUpdating: URL(filePath: directory.path("files/film.mkv")))
        try handle.seek(toOffset: 100)
        let byte = try #require(handle.read(upToCount: 1)?.first)
        try handle.seek(toOffset: 100)
        try handle.write(contentsOf: [byte ^ 1])
        try handle.close()
        return Saved(seeder: seeder, torrent: torrent, resumeData: resumeData)
    }

    @Test("they say which pieces are there, and nothing is looked at again", arguments: ["v1", "v2", "hybrid"])
    func believed(version: String) async throws {
        try await withTemporaryDirectory { directory in
            var saved = try await saved(directory, version)
            saved.torrent.resumeData = saved.resumeData
            let session = try FacadeSession()
            let checked = try await session.added(saved.torrent)
            #expect((0..<6).map { checked.has($0) } == [true, true, true, true, false, false])
            #expect(session.count(CLT_EVENT_PIECE_FINISHED, 1) == 0)
            #expect(try await session.read(1) == saved.seeder.piece(1))
            try await session.download(9..<10)
            #expect(try await session.read(9) == saved.seeder.piece(9))
        }
    }

    @Test("without them the files are looked at")
    func absent() async throws {
        try await withTemporaryDirectory { directory in
            let saved = try await saved(directory)
            let session = try FacadeSession()
            let checked = try await session.added(saved.torrent)
            #expect((0..<6).map { checked.has($0) } == [false, true, true, true, false, false])
        }
    }

    @Test("with any byte flipped they are as absent")
    func flipped() async throws {
        try await withTemporaryDirectory { directory in
            var saved = try await saved(directory)
            let session = try FacadeSession()
            var places = Set(stride(from: 0, to: saved.resumeData.count, by: 37))
            places.insert(saved.resumeData.count - 1)
            for (index, place) in places.sorted().enumerated() {
                saved.torrent.number = UInt64(index + 1)
                saved.torrent.resumeData = saved.resumeData
                saved.torrent.resumeData?[place] ^= UInt8(1 << (place % 8))
                let checked = try await session.added(saved.torrent)
                #expect((0..<6).map { checked.has($0) } == [false, true, true, true, false, false], "at \(place)")
                try await session.remove(saved.torrent.number)
            }
        }
    }

    @Test("cut short they are as absent", arguments: [0, 1, 31, 32, 33, 100])
    func cut(count: Int) async throws {
        try await withTemporaryDirectory { directory in
            var saved = try await saved(directory)
            saved.torrent.resumeData = Array(saved.resumeData.prefix(count))
            let checked = try await FacadeSession().added(saved.torrent)
            #expect(!checked.has(0) && checked.has(1))
        }
    }

    @Test("those of another torrent are as absent")
    func foreign() async throws {
        try await withTemporaryDirectory { directory in
            var saved = try await saved(directory)
            let other = try await Seeder("--file", "film.mkv:900000", "--seed", "2")
            let session = try FacadeSession()
            _ = try await session.added(NewTorrent(magnetOf: other, directory: directory.path("others")))
            try await session.download(0..<8)
            saved.torrent.resumeData = try await session.resumeData()
            saved.torrent.number = 2
            let checked = try await session.added(saved.torrent)
            #expect((0..<6).map { checked.has($0) } == [false, true, true, true, false, false])
        }
    }

    @Test("if the files are gone no piece is there")
    func filesGone() async throws {
        try await withTemporaryDirectory { directory in
            var saved = try await saved(directory)
            try FileManager.default.removeItem(atPath: directory.path("files"))
            saved.torrent.resumeData = saved.resumeData
            let session = try FacadeSession()
            let checked = try await session.added(saved.torrent)
            #expect(!(0..<14).contains { checked.has($0) })
            #expect(clt_read_piece(session.pointer, 1, 1) == CLT_NOT_HAVE)
        }
    }

    @Test("there are none if nothing has changed")
    func unchanged() async throws {
        try await withTemporaryDirectory { directory in
            let session = try FacadeSession()
            var torrent = NewTorrent(directory: directory.path("files"))
            torrent.infoHashV1 = [UInt8](repeating: 7, count: 20)
            try check(torrent.add(to: session))
            try await session.event(CLT_EVENT_ADDED, 1)
            // Each second of libtorrent's own counts as a change.
            let answers = [CLT_EVENT_RESUME_DATA, CLT_EVENT_NO_RESUME_DATA]
            var answer: FacadeSession.Event
            repeat {
                try check(clt_save_resume(session.pointer, 1, 1))
                answer = try await session.event { answers.contains($0.kind) }
            } while answer.kind == CLT_EVENT_RESUME_DATA
            #expect(answer.error == 0)
        }
    }
}
