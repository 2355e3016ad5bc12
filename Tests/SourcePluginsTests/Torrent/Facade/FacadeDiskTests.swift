import CLibtorrent
import Foundation
import SourceContract
import Testing

@Suite(
    "libtorrent's façade: disk",
    .serialized,
    .timeLimit(.minutes(1)),
    .enabled(if: Seeder.isAvailable && SmallDisk.isAvailable)
)
struct FacadeDiskTests {
    @Test("a full disk is told once the torrent has stalled, and with room it goes on")
    func fullDisk() async throws {
        let seeder = try await Seeder("--file", "film.mkv:8000000")
        try await withTemporaryDirectory { directory in
            let disk = try SmallDisk(directory.path, bytes: 2_000_000)
            defer { disk.unmount() }
            let session = try FacadeSession()
            _ = try await session.added(NewTorrent(magnetOf: seeder, directory: directory.path("files")))
            try session.setPriority(7, 0..<seeder.torrent.pieces)
            let failed = try await session.event(CLT_EVENT_FILE_ERROR, 1) { $0.isStalled }
            #expect(failed.error == ENOSPC && failed.message.contains("film.mkv"))
            try check(clt_session_post_status(session.pointer))
            try await session.event(CLT_EVENT_STATUS, 1) { $0.status.is_stalled != 0 }
            try disk.resize(bytes: 20_000_000)
            try check(clt_resume_download(session.pointer, 1))
            for piece in 0..<seeder.torrent.pieces {
                // A piece may be said to be finished, found no room and been fetched again.
                try await session.event(CLT_EVENT_PIECE_FINISHED, 1) { $0.piece == piece }
                try await session.untilOnDisk(piece)
                #expect(try await session.read(piece) == seeder.piece(piece))
            }
            session.close()
        }
    }
}

/// A file system in memory, mounted on a folder.
struct SmallDisk {
    /// Whether this process may mount.
    static let isAvailable: Bool = {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString)
        try? FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: directory) }
        guard let disk = try? SmallDisk(directory.path, bytes: 4096) else { return false }
        disk.unmount()
        return true
    }()

    private let path: String

    init(_ path: String, bytes: Int) throws {
        self.path = path
        try Self.run("mount", ["-t", "tmpfs", "-o", "size=\(bytes)", "tmpfs", path])
    }

    func resize(bytes: Int) throws {
        try Self.run("mount", ["-o", "remount,size=\(bytes)", path])
    }

    func unmount() {
        try? Self.run("umount", [path])
    }

    private static func run(_ command: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [command] + arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw CocoaError(.fileWriteUnknown) }
    }
}
