import CLibtorrent
import Foundation
import SourceContract
import Testing

@Suite("libtorrent's façade: reading", .serialized, .timeLimit(.minutes(1)), .enabled(if: Seeder.isAvailable))
struct FacadeReadingTests {
    @Test(
        "a magnet with a peer gets its metadata, and a deadline its piece, byte for byte",
        arguments: ["v1", "v2", "hybrid"]
    )
    func magnet(version: String) async throws {
        let seeder = try await Seeder("--file", "film.mkv:900000", "--file", "film.srt:1000", "--version", version)
        try await withTemporaryDirectory { directory in
            let session = try FacadeSession()
            try check(NewTorrent(magnetOf: seeder, directory: directory.path("files")).add(to: session))
            #expect(try await session.event(CLT_EVENT_ADDED).error == 0)
            let info = try await session.event(CLT_EVENT_METADATA, 1).bytes
            #expect(info.first == UInt8(ascii: "d") && info.last == UInt8(ascii: "e"))
            let checked = try await session.event(CLT_EVENT_CHECKED, 1)
            #expect(!checked.has(3))
            try session.setPriority(4, 4..<6)
            try check(clt_set_deadline(session.pointer, 1, 3, 0))
            try await session.event(CLT_EVENT_PIECE_FINISHED, 1) { $0.piece == 3 }
            #expect(try await session.read(3) == seeder.piece(3))
            try await session.event(CLT_EVENT_PIECE_FINISHED, 1) { $0.piece == 5 }
            try await session.untilOnDisk(5)
            #expect(clt_is_on_disk(session.pointer, 1, 6) == CLT_NOT_HAVE)
        }
    }

    @Test("with a torrent file the pieces at the head come unasked and no other does")
    func wantedHead() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory.path("t.torrent")
            let seeder = try await Seeder("--file", "film.mkv:900000", "--save-torrent", file)
            let session = try FacadeSession()
            var torrent = try NewTorrent(fileOf: seeder, directory: directory.path("files"))
            torrent.wantedHead = 2
            _ = try await session.added(torrent)
            try await session.event(CLT_EVENT_PIECE_FINISHED, 1) { $0.piece == 0 }
            try await session.event(CLT_EVENT_PIECE_FINISHED, 1) { $0.piece == 1 }
            // Had another piece been wanted from the start, it would have come before this one.
            try await session.download(9..<10)
            #expect(session.count(CLT_EVENT_PIECE_FINISHED, 1) == 0)
            #expect(session.count(CLT_EVENT_METADATA, 1) == 0)
        }
    }

    @Test("files are written to and read without being mapped, which would make a cut file a signal")
    func noMapping() async throws {
        let seeder = try await Seeder("--file", "film.mkv:4000000")
        try await withTemporaryDirectory { directory in
            let session = try FacadeSession()
            _ = try await session.added(NewTorrent(magnetOf: seeder, directory: directory.path("files")))
            try await session.download(0..<seeder.torrent.pieces)
            #expect(try await session.read(3) == seeder.piece(3))
            let maps = try String(contentsOfFile: "/proc/self/maps", encoding: .utf8)
            #expect(!maps.contains(directory.path("files")))
        }
    }

    @Test("a piece that is absent is not read, and the torrent lives on")
    func absentPiece() async throws {
        let seeder = try await Seeder("--file", "film.mkv:900000")
        try await withTemporaryDirectory { directory in
            let session = try FacadeSession()
            _ = try await session.added(NewTorrent(magnetOf: seeder, directory: directory.path("files")))
            for piece: Int32 in 0..<14 {
                #expect(clt_read_piece(session.pointer, 1, piece) == CLT_NOT_HAVE)
            }
            #expect(clt_read_piece(session.pointer, 1, 14) == CLT_INVALID)
            #expect(clt_read_piece(session.pointer, 1, -1) == CLT_INVALID)
            try await session.download(13..<14)
            #expect(try await session.read(13) == seeder.piece(13))
            #expect(session.count(CLT_EVENT_ERROR, 1) == 0)
        }
    }

    @Test("the layout and the paths are those of the files", arguments: ["v1", "v2", "hybrid"])
    func layout(version: String) async throws {
        let seeder = try await Seeder(
            "--name",
            "Film",
            "--file",
            "a/film.mkv:200000",
            "--file",
            "b.srt:1000",
            "--version",
            version
        )
        try await withTemporaryDirectory { directory in
            let session = try FacadeSession()
            _ = try await session.added(NewTorrent(magnetOf: seeder, directory: directory.path("files")))
            var layout = clt_layout()
            try check(clt_get_layout(session.pointer, 1, &layout))
            #expect(layout.piece_length == seeder.torrent.piece_length)
            #expect(layout.piece_count == seeder.torrent.pieces)
            #expect(Int(layout.file_count) == seeder.torrent.files.count)
            for (index, file) in seeder.torrent.files.enumerated() {
                var (offset, size): (Int64, Int64) = (-1, -1)
                try check(clt_get_file_layout(session.pointer, 1, Int32(index), &offset, &size))
                #expect((offset, size) == (file.offset, file.size))
                #expect(session.filePath(Int32(index)) == file.path)
            }
            #expect(session.filePath(layout.file_count) == nil)
            var path = [CChar](repeating: 0, count: 5)
            #expect(clt_file_path(session.pointer, 1, 0, &path, path.count) == CLT_INVALID)
        }
    }

    @Test("two files of one name are two files on the disk, also when the metadata comes from a peer")
    func sameNames() async throws {
        let seeder = try await Seeder("--file", "film.mkv:100000", "--file", "film.mkv:150000", "--file", "a:1000")
        try await withTemporaryDirectory { directory in
            let session = try FacadeSession()
            var torrent = NewTorrent(magnetOf: seeder, directory: directory.path("files"))
            torrent.wantedHead = 2
            let checked = try await session.added(torrent)
            #expect(!checked.has(0))
            try await session.event(CLT_EVENT_METADATA, 1)
            #expect(session.filePath(0) == "content/film.mkv")
            #expect(session.filePath(1) == "content/film.1.mkv")
            try await session.download(0..<4)
            for piece: Int32 in 0..<4 {
                #expect(try await session.read(piece) == seeder.piece(piece))
            }
            #expect(session.count(CLT_EVENT_ADDED, 1) == 0)
            #expect(session.count(CLT_EVENT_REMOVED, 1) == 0)
            try await session.remove(deletesFiles: true)
            #expect(try await session.event(CLT_EVENT_DELETED, 1).error == 0)
        }
    }

    @Test("wrong bytes are told, their peer is banned, and the piece comes from another")
    func badBlocks() async throws {
        try await withTemporaryDirectory { directory in
            let bad = try await Seeder("--file", "film.mkv:500000", "--bad-blocks", "all")
            let good = try await Seeder("--file", "film.mkv:500000", "--directory", directory.path("seed"))
            let session = try FacadeSession()
            _ = try await session.added(NewTorrent(magnetOf: bad, directory: directory.path("files")))
            try check(clt_set_deadline(session.pointer, 1, 2, 0))
            try await session.event(CLT_EVENT_HASH_FAILED, 1) { $0.piece == 2 }
            let refused = try await session.event(CLT_EVENT_PEER_REFUSED, 1)
            #expect(refused.port == bad.torrent.port && refused.message.contains("127.0.0.1"))
            #expect(clt_read_piece(session.pointer, 1, 2) == CLT_NOT_HAVE)
            // The address is banned, so another session has to ask the good one.
            let other = try FacadeSession()
            _ = try await other.added(NewTorrent(magnetOf: good, directory: directory.path("others")))
            try await other.download(2..<3)
            #expect(try await other.read(2) == good.piece(2))
        }
    }

    @Test("the status comes when it is asked for")
    func figures() async throws {
        let seeder = try await Seeder("--file", "film.mkv:500000")
        try await withTemporaryDirectory { directory in
            let session = try FacadeSession()
            _ = try await session.added(NewTorrent(magnetOf: seeder, directory: directory.path("files")))
            try await session.download(0..<8)
            try check(clt_session_post_status(session.pointer))
            let status = try await session.event(CLT_EVENT_STATUS, 1).status
            #expect(status.done_bytes == 500_000)
            #expect(status.state == CLT_STATE_SEEDING || status.state == CLT_STATE_FINISHED)
            #expect(status.is_stalled == 0)
        }
    }
}

extension FacadeSession {
    func filePath(_ file: Int32, _ torrent: UInt64 = 1) -> String? {
        var path = [CChar](repeating: 0, count: 4096)
        guard clt_file_path(pointer, torrent, file, &path, path.count) == CLT_OK else { return nil }
        return String(decoding: path.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
