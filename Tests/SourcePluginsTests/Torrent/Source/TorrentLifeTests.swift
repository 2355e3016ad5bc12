import SourceContract
import SourcePlugins
import Testing

@Suite(.enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .timeLimit(.minutes(2)))
struct TorrentLifeTests {
    @Test("a torrent that nobody has read for the idle time is unloaded, and comes back with what it had")
    func idle() async throws {
        var seeder: Seeder? = try await Seeder("--file", "film.mp4:3000000")
        let content = try #require(try seeder?.content())
        try await withTorrents { torrents in
            let item = try await torrents.add(try #require(seeder?.torrent.magnet))
            let file = try #require(item.files.first)
            #expect(try await torrents.bytes(file) == content)
            try await torrents.passIdleTime(item.id)
            try await torrents.untilLoaded(false, item.id)
            seeder = nil
            // Nobody has it any more, but the files are here.
            #expect(try await torrents.bytes(file) == content)
        }
    }

    @Test("with keep = delete the files of an idle torrent go")
    func deletion() async throws {
        let seeder = try await Seeder("--file", "film.mp4:3000000")
        try await withTorrents {
            $0.keep = .delete
        } _: { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            _ = try await torrents.bytes(try #require(item.files.first), 0..<1000)
            try await torrents.passIdleTime(item.id)
            try await torrents.untilLoaded(false, item.id)
            try await torrents.source.wait { !torrents.directory.exists("state/\(item.id)") }
            #expect(try await torrents.source.describe(item.id) != nil)
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("a reader that pauses keeps its torrent loaded")
    func pause() async throws {
        let seeder = try await Seeder("--file", "film.mp4:3000000")
        try await withTorrents { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            let stream = try await torrents.open(file).read(0..<file.size)
            _ = try await stream.next()
            torrents.clock.advance(by: .seconds(7200))
            await torrents.source.housekeeping()
            #expect(await torrents.source.status(item.id)?.readers == 1)
            #expect(await torrents.source.status(item.id)?.state != .stored)
            withExtendedLifetime(stream) {}
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("over max_active the idlest torrent leaves; if none is idle, a new one waits and is then refused")
    func maxActive() async throws {
        var seeders: [Seeder] = []
        for seed in 1...3 { seeders.append(try await Seeder("--file", "film.mp4:3000000", "--seed", "\(seed)")) }
        let links = seeders.map(\.torrent.magnet)
        try await withTorrents {
            $0.maxActive = 2
            $0.metadataTimeout = .seconds(2)
        } _: { torrents in
            let first = try await torrents.add(links[0])
            torrents.clock.advance(by: .seconds(1))
            let second = try await torrents.add(links[1])
            let third = try await torrents.add(links[2])
            #expect(await torrents.source.status(first.id)?.state == .stored)
            let streams = [
                try await torrents.open(try #require(second.files.first)).read(0..<3_000_000),
                try await torrents.open(try #require(third.files.first)).read(0..<3_000_000),
            ]
            await #expect { try await torrents.bytes(try #require(first.files.first), 0..<10) } throws: {
                ($0 as? SourceError)?.code == .overloaded
            }
            withExtendedLifetime(streams) {}
        }
        withExtendedLifetime(seeders) {}
    }

    @Test("a link that nobody answers is given up in time")
    func nobody() async throws {
        try await withTorrents {
            $0.metadataTimeout = .seconds(1)
        } _: { torrents in
            let link = "magnet:?xt=urn:btih:\(String(repeating: "ab", count: 20))&x.pe=127.0.0.1:1"
            await #expect { try await torrents.add(link) } throws: { ($0 as? SourceError)?.code == .timedOut }
            #expect(await torrents.source.statuses().isEmpty)
        }
    }

    @Test("removal ends readers, and forgets the torrent")
    func removal() async throws {
        let seeder = try await Seeder("--file", "film.mp4:20000000", "--rate", "500000")
        try await withTorrents { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            let stream = try await torrents.open(file).read(0..<file.size)
            await #expect { try await torrents.source.remove(item.id, force: false) } throws: {
                ($0 as? SourceError)?.code == .busy
            }
            try await torrents.source.remove(item.id, force: true)
            await #expect { while try await stream.next() != nil {} } throws: {
                ($0 as? SourceError)?.code == .notFound
            }
            #expect(!torrents.source.isKnown(item.id))
            #expect(!torrents.directory.exists("state/\(item.id)"))
            #expect(try await torrents.add(seeder.torrent.magnet).id == item.id)
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("a torrent larger than the space plays to its end, and never takes more")
    func space() async throws {
        let seeder = try await Seeder("--file", "film.mp4:200000000", "--piece-size", "1048576")
        let content = try seeder.content()
        try await withTorrents {
            $0.space = 64 << 20
        } _: { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            #expect(try await torrents.bytes(try #require(item.files.first)) == content)
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("a torrent is known after a restart, without anybody to ask")
    func restart() async throws {
        let records = MemoryRecords()
        try await withTemporaryDirectory { directory in
            let seeder = try await Seeder("--file", "film.mp4:3000000")
            let content = try seeder.content()
            let item = try await withTorrents(in: directory, records: records) { torrents in
                let item = try await torrents.add(seeder.torrent.magnet)
                _ = try await torrents.bytes(try #require(item.files.first))
                return item
            }
            await seeder.end()
            try await withTorrents(in: directory, records: records) { torrents in
                let again = try #require(try await torrents.source.describe(item.id))
                #expect(again.files.map(\.revision) == item.files.map(\.revision))
                #expect(try await torrents.bytes(try #require(again.files.first)) == content)
            }
        }
    }

    @Test("however many ask for a torrent at once, the swarm is asked once")
    func singleFlight() async throws {
        let seeder = try await Seeder("--file", "film.mp4:300000")
        try await withTorrents { torrents in
            let ids = try await withThrowingTaskGroup(of: ItemID.self) { tasks in
                for _ in 0..<50 { tasks.addTask { try await torrents.add(seeder.torrent.magnet).id } }
                return try await tasks.reduce(into: Set()) { $0.insert($1) }
            }
            #expect(ids.count == 1)
            #expect(await torrents.source.statuses().count == 1)
        }
        withExtendedLifetime(seeder) {}
    }
}
