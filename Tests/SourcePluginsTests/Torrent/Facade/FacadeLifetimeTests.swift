import CLibtorrent
import Foundation
import SourceContract
import Testing

@Suite("libtorrent's façade: lifetimes", .serialized, .timeLimit(.minutes(1)))
struct FacadeLifetimeTests {
    @Test(
        "after a removal nothing that was asked is answered, and the files are gone",
        .enabled(if: Seeder.isAvailable)
    )
    func pendingReads() async throws {
        let seeder = try await Seeder("--file", "film.mkv:900000")
        try await withTemporaryDirectory { directory in
            let session = try FacadeSession()
            _ = try await session.added(NewTorrent(magnetOf: seeder, directory: directory.path("files")))
            try await session.download(0..<14)
            for piece: Int32 in 0..<14 { try check(clt_read_piece(session.pointer, 1, piece)) }
            try check(clt_save_resume(session.pointer, 1, 0))
            try check(clt_set_deadline(session.pointer, 1, 0, 0))
            try check(clt_remove(session.pointer, 1, 1))
            let before = session.count(CLT_EVENT_PIECE_DATA, 1)
            try await session.event(CLT_EVENT_REMOVED, 1)
            #expect(try await session.event(CLT_EVENT_DELETED, 1).error == 0)
            // One event may have been on its way when the torrent was removed.
            #expect(session.count(CLT_EVENT_PIECE_DATA, 1) <= before + 1)
            #expect(session.count(CLT_EVENT_PIECE_FAILED, 1) == 0)
            #expect(!FileManager.default.fileExists(atPath: directory.path("files/film.mkv")))
        }
    }

    @Test("calls on a number that is not there do nothing and say so")
    func removedNumber() async throws {
        try await withTemporaryDirectory { directory in
            let session = try FacadeSession()
            try check(unknownTorrent(1, in: directory).add(to: session))
            try await session.event(CLT_EVENT_ADDED, 1)
            #expect(Set(answers(session, 1)) == [CLT_NO_METADATA.rawValue, CLT_OK.rawValue])
            try await session.remove()
            for number: UInt64 in [0, 1, 2, .max] {
                #expect(Set(answers(session, number)) == [CLT_NO_TORRENT.rawValue])
                #expect(clt_remove(session.pointer, number, 0) == CLT_NO_TORRENT)
            }
        }
    }

    private func answers(_ session: FacadeSession, _ number: UInt64) -> [UInt32] {
        let pointer = session.pointer
        var (path, layout) = ([CChar](repeating: 0, count: 100), clt_layout())
        var (offset, size, peer): (Int64, Int64, clt_endpoint) = (0, 0, .loopback(1))
        var priority = clt_piece_priority(piece: 0, priority: 1)
        return [
            clt_set_priorities(pointer, number, &priority, 1),
            clt_set_deadline(pointer, number, 0, 0),
            clt_reset_deadline(pointer, number, 0),
            clt_clear_deadlines(pointer, number),
            clt_read_piece(pointer, number, 0),
            clt_is_on_disk(pointer, number, 0),
            clt_file_path(pointer, number, 0, &path, path.count),
            clt_get_layout(pointer, number, &layout),
            clt_get_file_layout(pointer, number, 0, &offset, &size),
            clt_resume_download(pointer, number),
            clt_connect_peer(pointer, number, &peer),
            clt_retry_peers(pointer, number, 60),
            clt_add_tracker(pointer, number, "http://127.0.0.1:1/announce"),
            clt_save_resume(pointer, number, 0),
        ].map(\.rawValue)
    }

    @Test("a torrent that is removed at once is only said to be removed", arguments: [false, true])
    func removedBeforeAdded(deletesFiles: Bool) async throws {
        try await withTemporaryDirectory { directory in
            let session = try FacadeSession()
            for number: UInt64 in 1...50 {
                try check(unknownTorrent(number, in: directory).add(to: session))
                try check(clt_remove(session.pointer, number, deletesFiles ? 1 : 0))
                #expect(clt_remove(session.pointer, number, 0) == CLT_NO_TORRENT)
            }
            for number: UInt64 in 1...50 {
                try await session.event(CLT_EVENT_REMOVED, number)
                if deletesFiles { try await session.event(CLT_EVENT_DELETED, number) }
            }
        }
    }

    @Test("the same torrent under another number is refused, and the first goes on")
    func duplicate() async throws {
        try await withTemporaryDirectory { directory in
            let session = try FacadeSession()
            var torrent = unknownTorrent(1, in: directory)
            try check(torrent.add(to: session))
            try await session.event(CLT_EVENT_ADDED, 1)
            #expect(torrent.add(to: session) == CLT_INVALID)
            torrent.number = 2
            try check(torrent.add(to: session))
            let refused = try await session.event(CLT_EVENT_ADDED, 2)
            #expect(refused.error != 0 && !refused.message.isEmpty)
            #expect(clt_save_resume(session.pointer, 2, 0) == CLT_NO_TORRENT)
            #expect(clt_save_resume(session.pointer, 1, 0) == CLT_OK)
        }
    }

    @Test("a hundred torrents come and go, and leave no thread and no descriptor")
    func hundredTorrents() async throws {
        // In a process of its own: other tests open and close some all the time.
        await #expect(processExitsWith: .success) {
            try await withTemporaryDirectory { directory in
                let session = try FacadeSession()
                var counts: [(threads: Int, descriptors: Int)] = []
                for round: UInt64 in 0..<4 {
                    let numbers = (round * 100 + 1)...(round * 100 + 100)
                    for number in numbers { try check(unknownTorrent(number, in: directory).add(to: session)) }
                    for number in numbers { try await session.event(CLT_EVENT_ADDED, number) }
                    for number in numbers { try await session.remove(number) }
                    counts.append((entries("/proc/self/task"), entries("/proc/self/fd")))
                }
                #expect(counts[3].threads <= counts[0].threads + 5)
                #expect(counts[3].descriptors <= counts[0].descriptors + 5)
            }
        }
    }

    @Test("a session closes soon though a tracker has fallen silent", .enabled(if: Seeder.isAvailable))
    func silentTracker() async throws {
        let seeder = try await Seeder("--file", "film.mkv:100000")
        try await withTemporaryDirectory { directory in
            let tracker = try LoopbackListener()
            let session = try FacadeSession()
            var torrent = NewTorrent(magnetOf: seeder, directory: directory.path("files"))
            torrent.peers = []
            torrent.trackers = [tracker.announceURL]
            try check(torrent.add(to: session))
            try await tracker.announce(seeder.torrent.port)
            // The peer is known from the answer alone, so it has been taken in.
            try await session.event(CLT_EVENT_METADATA, 1)
            let start = ContinuousClock.now
            session.close()
            #expect(ContinuousClock.now - start < .seconds(3))
            #expect(tracker.hasConnection, "the tracker was not told, so its silence was not waited for")
        }
    }

    @Test("a session that has just begun closes at once")
    func closing() throws {
        let start = ContinuousClock.now
        for _ in 0..<5 { try FacadeSession().close() }
        clt_session_close(nil)
        clt_session_free(nil)
        #expect(ContinuousClock.now - start < .seconds(5))
    }
}

private func unknownTorrent(_ number: UInt64, in directory: TemporaryDirectory) -> NewTorrent {
    var torrent = NewTorrent(directory: directory.path("files"))
    torrent.number = number
    torrent.infoHashV1 = (0..<20).map { UInt8(truncatingIfNeeded: number >> (8 * ($0 % 8))) ^ UInt8($0) }
    return torrent
}

private func entries(_ path: String) -> Int {
    (try? FileManager.default.contentsOfDirectory(atPath: path).count) ?? 0
}
