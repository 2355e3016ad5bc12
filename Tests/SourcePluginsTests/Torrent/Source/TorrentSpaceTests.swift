import NIOCore
import SourceContract
import SourcePlugins
import Testing

@Suite(.enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .timeLimit(.minutes(4)))
struct TorrentSpaceTests {
    @Test("pieces that are read from files are right also after the torrent began anew under its reader")
    func longPieces() async throws {
        let seeder = try await Seeder("--file", "film.mp4:100000000", "--piece-size", "2097152")
        let content = try seeder.content()
        let records = MemoryRecords()
        try await withTorrents(records: records) {
            $0.space = 64 << 20
        } _: { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            // The first file gets its whole length, with zeros where nothing has come.
            #expect(try await torrents.bytes(file, file.size - 1..<file.size) == content.suffix(1))
            let stream = try await torrents.open(file).read(0..<file.size)
            var bytes: [UInt8] = []
            while let buffer = try await stream.next() {
                bytes += buffer.readableBytesView
                // In the middle of a piece, when the file is open.
                if bytes.count % 2_097_152 == 1 << 20 { await torrents.source.housekeeping() }
            }
            let isRight = bytes == content
            #expect(isRight)
            // It began anew: the old resume data went.
            #expect(records.removed.contains("resume/\(item.id)"))
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("a read that begins while its torrent begins anew waits for its pieces", arguments: [65_536, 2_097_152])
    func anew(pieceSize: Int) async throws {
        let seeder = try await Seeder("--file", "film.mp4:8000000", "--piece-size", "\(pieceSize)")
        let start = try Array(seeder.content().prefix(4 << 20))
        let records = MemoryRecords()
        try await withTorrents(records: records) {
            $0.space = 3 << 20
        } _: { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            // Somebody reads it all the time, so it does not leave instead.
            let stream = try await torrents.open(file).read(0..<file.size)
            for round in stride(from: 0, to: 12, by: 2) {
                #expect(try await torrents.bytes(file, 0..<4 << 20).elementsEqual(start))
                let before = records.removed.count
                let isOver = Observed(false)
                async let keeping: Void = { @Sendable in
                    await torrents.source.housekeeping()
                    isOver.update { $0 = true }
                }()
                // Its resume data goes just before, if the source has not just begun it anew by itself.
                while records.removed.count == before, !isOver.value { await Task.yield() }
                for _ in 0..<round { await Task.yield() }
                #expect(try await torrents.bytes(file, 0..<4 << 20).elementsEqual(start))
                await keeping
            }
            withExtendedLifetime(stream) {}
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("what earlier runs left on the disk counts, and makes room; what nobody knows goes at once")
    func restart() async throws {
        let records = MemoryRecords()
        let unknown = String(repeating: "ab", count: 20)
        try await withTemporaryDirectory { directory in
            let seeder = try await Seeder("--file", "film.mp4:3000000")
            let item = try await withTorrents(in: directory, records: records) { torrents in
                let item = try await torrents.add(seeder.torrent.magnet)
                _ = try await torrents.bytes(try #require(item.files.first))
                return item
            }
            // As after a kill, before what the files take was recorded.
            try records.remove("files/\(item.id)")
            for name in [unknown, "other"] { try directory.makeDirectory("state/\(name)") }
            try directory.write("state/\(unknown)/film.mp4", PatternBytes("x"), size: 1000)
            try await withTorrents(in: directory, records: records) { torrents in
                try await torrents.source.wait { await torrents.source.status(item.id)?.doneBytes ?? 0 >= 3_000_000 }
                try await torrents.source.wait { !directory.exists("state/\(unknown)") }
            }
            try records.remove("files/\(item.id)")
            try await withTorrents(in: directory, records: records) {
                $0.space = 2 << 20
            } _: { torrents in
                try await torrents.source.wait {
                    await torrents.source.housekeeping()
                    return !directory.exists("state/\(item.id)")
                }
                #expect(try await torrents.source.describe(item.id)?.files.count == 1)
                #expect(directory.exists("state/other"))
            }
            withExtendedLifetime(seeder) {}
        }
    }

    @Test("files go for want of space also when that cannot be recorded, and are not taken for there afterwards")
    func unrecorded() async throws {
        let seeder = try await Seeder("--file", "film.mp4:3000000")
        let content = try seeder.content()
        let records = MemoryRecords()
        try await withTemporaryDirectory { directory in
            let item = try await withTorrents(in: directory, records: records) { torrents in
                let item = try await torrents.add(seeder.torrent.magnet)
                _ = try await torrents.bytes(try #require(item.files.first))
                return item
            }
            records.failing = ["resume/", "files/"]
            try await withTorrents(in: directory, records: records) {
                $0.space = 2 << 20
            } _: { torrents in
                try await torrents.source.wait {
                    await torrents.source.housekeeping()
                    let status = await torrents.source.status(item.id)
                    return status?.doneBytes == 0 && !directory.exists("state/\(item.id)")
                }
                #expect(try records.keys(prefix: "resume/").count == 1)
                records.failing = []
                let file = try #require(item.files.first)
                #expect(try await torrents.bytes(file).elementsEqual(content))
                #expect(records.removed.contains("resume/\(item.id)"))
            }
        }
        withExtendedLifetime(seeder) {}
    }

    @Test(
        "on a full disk the torrent that nobody reads makes room, and the other one plays to its end",
        .enabled(if: SmallDisk.isAvailable, "needs the right to mount")
    )
    func fullDisk() async throws {
        let idle = try await Seeder("--file", "film.mp4:3000000")
        let seeder = try await Seeder("--file", "film.mp4:4000000", "--seed", "2")
        let content = try seeder.content()
        try await withTemporaryDirectory { directory in
            try directory.makeDirectory("state")
            let disk = try SmallDisk(directory.path("state"), bytes: 6_000_000)
            defer { disk.unmount() }
            try await withTorrents(in: directory) { torrents in
                let first = try await torrents.add(idle.torrent.magnet)
                _ = try await torrents.bytes(try #require(first.files.first))
                let second = try await torrents.add(seeder.torrent.magnet)
                let file = try #require(second.files.first)
                // A read for which there is no room ends; the next one finds some.
                try await torrents.source.wait {
                    await torrents.source.housekeeping()
                    return (try? await torrents.bytes(file)) == content
                }
                #expect(await torrents.source.status(first.id)?.state == .stored)
                #expect(!directory.exists("state/\(first.id)"))
            }
        }
        withExtendedLifetime((idle, seeder)) {}
    }

    @Test(
        "files of torrents that are not known stay where files are to be kept, and after the records were lost",
        arguments: [(.keep, nil), (.untilSpace, "damaged")] as [(TorrentSettings.Keep, String?)]
    )
    func unknown(keep: TorrentSettings.Keep, damage: String?) async throws {
        let hash = String(repeating: "ab", count: 20)
        try await withTemporaryDirectory { directory in
            for name in ["state", "state/\(hash)"] { try directory.makeDirectory(name) }
            try directory.write("state/\(hash)/film.mp4", PatternBytes("x"), size: 1000)
            try await withTorrents(in: directory, records: MemoryRecords(damage: damage)) {
                $0.keep = keep
                $0.metadataTimeout = .seconds(1)
            } _: { torrents in
                // Nothing is looked for before the records are open.
                let listed = try await torrents.source.list(.root)
                #expect(listed.isEmpty)
                await torrents.source.findFiles()
                #expect(directory.exists("state/\(hash)/film.mp4"))
                // Nor do they go with a link that nobody answers.
                let link = "magnet:?xt=urn:btih:\(hash)&x.pe=127.0.0.1:1"
                await #expect { try await torrents.add(link) } throws: { ($0 as? SourceError)?.code == .timedOut }
                #expect(directory.exists("state/\(hash)/film.mp4"))
            }
        }
    }

    @Test("with keep = keep and the space used up, a new link is described and not loaded, and what is there plays")
    func keepFull() async throws {
        let first = try await Seeder("--file", "film.mp4:3000000")
        let second = try await Seeder("--file", "film.mp4:300000", "--seed", "2")
        let (content, other) = (try first.content(), try second.content())
        try await withTorrents {
            $0.keep = .keep
            $0.space = 2 << 20
        } _: { torrents in
            let item = try await torrents.add(first.torrent.magnet)
            let file = try #require(item.files.first)
            #expect(try await torrents.bytes(file).elementsEqual(content))
            let late = try await torrents.add(second.torrent.magnet)
            let lateFile = try #require(late.files.first)
            #expect(lateFile.size == 300_000)
            #expect(await torrents.source.status(late.id)?.state == .stored)
            #expect(!torrents.directory.exists("state/\(late.id)"))
            await #expect { try await torrents.bytes(lateFile, 0..<10) } throws: {
                ($0 as? SourceError)?.code == .overloaded
            }
            #expect(try await torrents.bytes(file).elementsEqual(content))
            // Once there is room it is loaded.
            try await torrents.source.remove(item.id, force: true)
            #expect(try await torrents.bytes(lateFile).elementsEqual(other))
        }
        withExtendedLifetime((first, second)) {}
    }

    enum Moment: Sendable, CaseIterable {
        /// Whenever that is.
        case atOnce
        /// After the decision, before the torrent has left libtorrent.
        case between
        /// While it is leaving libtorrent, to be added again.
        case during
    }

    @Test("a torrent that is removed while it begins anew is gone, and its reader is told", arguments: Moment.allCases)
    func removal(moment: Moment) async throws {
        let seeder = try await Seeder(
            "--file",
            "film.mp4:40000000",
            "--piece-size",
            "262144",
            "--rate",
            "10000000"
        )
        let content = try seeder.content()
        let records = MemoryRecords()
        try await withTorrents(records: records) {
            $0.space = 3 << 20
        } _: { torrents in
            for round in 0..<10 {
                let item = try await torrents.add(seeder.torrent.magnet)
                let file = try #require(item.files.first)
                let taken = Observed<[UInt8]>([])
                let reading = Task {
                    let stream = try await torrents.open(file).read(0..<file.size)
                    while let buffer = try await stream.next() { taken.update { $0 += buffer.readableBytesView } }
                    return taken.value
                }
                try await taken.until { $0.count >= 3 << 20 }
                switch moment {
                case .atOnce:
                    async let keeping: Void = torrents.source.housekeeping()
                    for _ in 0..<round { await Task.yield() }
                    try await torrents.source.remove(item.id, force: true)
                    await keeping
                case .between:
                    try await removeBetween(item.id, torrents, records)
                case .during:
                    let before = records.removed.count
                    async let keeping: Void = torrents.source.housekeeping()
                    // Its resume data goes just before.
                    while records.removed.count == before { await Task.yield() }
                    try await torrents.source.remove(item.id, force: true)
                    await keeping
                }
                switch await reading.result {
                case .success(let bytes): #expect(bytes.elementsEqual(content))
                case .failure(let error): #expect((error as? SourceError)?.code == .notFound, "\(error)")
                }
                #expect(await torrents.source.statuses().isEmpty)
                #expect(!torrents.directory.exists("state/\(item.id)"))
            }
        }
        withExtendedLifetime(seeder) {}
    }

    private func removeBetween(_ id: ItemID, _ torrents: TorrentUnderTest, _ records: MemoryRecords) async throws {
        try await records.holding(.remove, "resume/") { door in
            async let keeping: Void = torrents.source.housekeeping()
            try await door.untilWaiting()
            async let removal: Void = torrents.source.remove(id, force: true)
            try await door.untilWaiting(2)
            door.open()
            await keeping
            try await removal
        }
    }
}
