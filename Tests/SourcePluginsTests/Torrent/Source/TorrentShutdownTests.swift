import NIOCore
import SourceContract
import SourcePlugins
import Testing

@Suite(.enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .timeLimit(.minutes(3)))
struct TorrentShutdownTests {
    /// What is under way when the source shuts down.
    private struct Work {
        /// Does not end by itself.
        var slow: Task<[UInt8], any Error>
        /// Reads from files.
        var fast: Task<[UInt8], any Error>
        var loading: Task<[UInt8], any Error>
        var asking: Task<ItemDescription, any Error>
    }

    @Test("a source that shuts down ends what is under way, whatever that is, and then itself")
    func everything() async throws {
        try await withTemporaryDirectory { directory in
            let slow = try await Seeder("--file", "slow.mp4:20000000", "--rate", "200000")
            let fast = try await Seeder("--file", "fast.mp4:60000000", "--piece-size", "2097152", "--seed", "2")
            let known = try await Seeder(
                "--file",
                "known.mp4:300000",
                "--save-torrent",
                directory.path("known.torrent")
            )
            let content = try fast.content()
            let hash = try #require(known.torrent.info_hash_v1)
            let torrent = try directory.bytes("known.torrent")
            for round in 0..<10 {
                let (silent, records) = (try LoopbackListener(), MemoryRecords())
                try await withTorrents(records: records) { torrents in
                    let slowFile = try await torrents.add(slow.torrent.magnet).files[0]
                    let fastFile = try await torrents.add(fast.torrent.magnet).files[0]
                    let knownFile = try await torrents.upload(torrent).files[0]
                    let taken = Observed(0)
                    try await records.holding(.value, "resume/\(hash)") { door in
                        let work = Work(
                            slow: Task { try await torrents.bytes(slowFile) },
                            fast: Task {
                                let stream = try await torrents.open(fastFile).read(0..<fastFile.size)
                                var bytes: [UInt8] = []
                                while let buffer = try await stream.next() {
                                    bytes += buffer.readableBytesView
                                    taken.update { $0 += 1 }
                                }
                                return bytes
                            },
                            loading: Task { try await torrents.bytes(knownFile) },
                            asking: Task { try await torrents.add(silent.magnet) }
                        )
                        // Also in the middle of coming to that.
                        if round % 2 == 0 {
                            try await taken.until { $0 >= round }
                            try await door.untilWaiting()
                            try await silent.untilConnected()
                        } else {
                            for _ in 0..<round * 10 { await Task.yield() }
                        }
                        await torrents.shutDown()
                        door.open()
                        try await expectEnd(of: work, content)
                    }
                    await expectUnavailable("an answer") { try await torrents.bytes(knownFile) }
                }
                withExtendedLifetime(silent) {}
            }
            withExtendedLifetime((slow, fast, known)) {}
        }
    }

    private func expectEnd(of work: Work, _ content: [UInt8]) async throws {
        await expectUnavailable("slow") { try await work.slow.value }
        await expectUnavailable("loading") { try await work.loading.value }
        await expectUnavailable("asking") { try await work.asking.value }
        switch await work.fast.result {
        case .success(let bytes): #expect(bytes.elementsEqual(content))
        case .failure(let error): #expect((error as? SourceError)?.code == .unavailable, "\(error)")
        }
    }

    private func expectUnavailable<Value>(_ what: String, _ body: () async throws -> Value) async {
        do {
            _ = try await body()
            Issue.record("\(what) does not fail")
        } catch {
            #expect((error as? SourceError)?.code == .unavailable, "\(what): \(error)")
        }
    }
}
