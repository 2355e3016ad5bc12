import SourceContract
import SourcePlugins
import Testing

@Suite(.enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .timeLimit(.minutes(2)))
struct TorrentRemovalTests {
    @Test("a torrent that is brought in again while it is being removed comes after that, with its files")
    func again() async throws {
        let seeder = try await Seeder("--file", "film.mp4:3000000")
        let content = try seeder.content()
        let records = MemoryRecords()
        try await withTorrents(records: records) { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            #expect(try await torrents.bytes(file).elementsEqual(content))
            let (removing, adding) = try await records.holding(.remove, "metadata/") { door in
                let removing = Task { try await torrents.source.remove(item.id, force: true) }
                try await door.untilWaiting()
                await #expect { try await torrents.bytes(file) } throws: { ($0 as? SourceError)?.code == .notFound }
                return (removing, Task { try await torrents.add(seeder.torrent.magnet) })
            }
            try await removing.value
            #expect(try await adding.value.id == item.id)
            #expect(try await torrents.bytes(file).elementsEqual(content))
            #expect(torrents.directory.exists("state/\(item.id)/film.mp4"))
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("a torrent that is removed while it is being loaded goes once it is, and can come again")
    func loading() async throws {
        let seeder = try await Seeder("--file", "film.mp4:3000000")
        let other = try await Seeder("--file", "film.mp4:100000", "--seed", "2")
        let content = try seeder.content()
        let records = MemoryRecords()
        try await withTorrents(records: records) {
            $0.maxActive = 1
        } _: { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            #expect(try await torrents.bytes(file).elementsEqual(content))
            try await torrents.add(other.torrent.magnet)
            try await torrents.untilLoaded(false, item.id)
            let (reading, removing) = try await records.holding(.value, "resume/") { door in
                let reading = Task { try await torrents.bytes(file) }
                try await door.untilWaiting()
                return (reading, Task { try await torrents.source.remove(item.id, force: true) })
            }
            try await removing.value
            switch await reading.result {
            case .success(let bytes): #expect(bytes.elementsEqual(content))
            case .failure(let error): #expect((error as? SourceError)?.code == .notFound, "\(error)")
            }
            #expect(!torrents.source.isKnown(item.id))
            #expect(!torrents.directory.exists("state/\(item.id)"))
            try await torrents.add(seeder.torrent.magnet)
            #expect(try await torrents.bytes(file).elementsEqual(content))
        }
        withExtendedLifetime((seeder, other)) {}
    }

    @Test(
        "a removal that cannot be recorded leaves the torrent known and its files there, and can be tried again",
        arguments: ["resume/", "metadata/"]
    )
    func unrecorded(prefix: String) async throws {
        let seeder = try await Seeder("--file", "film.mp4:3000000")
        let content = try seeder.content()
        let records = MemoryRecords()
        try await withTorrents(records: records) {
            // Were it to stay in the session, there would be no room for it.
            $0.maxActive = 1
        } _: { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            #expect(try await torrents.bytes(file).elementsEqual(content))
            records.failing = [prefix]
            for _ in 0..<2 {
                await #expect { try await torrents.source.remove(item.id, force: true) } throws: {
                    ($0 as? SourceError)?.code == .unavailable
                }
                #expect(torrents.source.isKnown(item.id))
                let status = try #require(await torrents.source.status(item.id))
                #expect(status.state == .stored)
                #expect(status.doneBytes == 3_000_000)
                #expect(try await torrents.bytes(file).elementsEqual(content))
            }
            records.failing = []
            try await torrents.source.remove(item.id, force: true)
            #expect(!torrents.source.isKnown(item.id))
            #expect(await torrents.source.statuses().isEmpty)
            #expect(!torrents.directory.exists("state/\(item.id)"))
            #expect(try records.keys(prefix: "").isEmpty)
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("whatever comes of removing, bringing in and reading at once, what is known afterwards plays")
    func race() async throws {
        let seeder = try await Seeder("--file", "film.mp4:1000000")
        let content = try seeder.content()
        try await withTorrents { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            let hash = try #require(seeder.torrent.info_hash_v1)
            let id = try #require(ItemID(hash))
            for round in 0..<20 {
                let removing = Task { try await torrents.source.remove(id, force: true) }
                for _ in 0..<round { await Task.yield() }
                let adding = Task { _ = try await torrents.add(seeder.torrent.magnet) }
                let reading = Task { try await torrents.bytes(file) }
                for end in [await removing.result, await adding.result] {
                    if case .failure(let error) = end {
                        #expect((error as? SourceError)?.code == .notFound, "\(error)")
                    }
                }
                switch await reading.result {
                case .success(let bytes): #expect(bytes.elementsEqual(content))
                case .failure(let error): #expect((error as? SourceError)?.code == .notFound, "\(error)")
                }
                // Nothing is under way any more that could take its files away.
                try await torrents.add(seeder.torrent.magnet)
                #expect(try await torrents.bytes(file).elementsEqual(content))
                #expect(torrents.directory.exists("state/\(id)/film.mp4"))
            }
        }
        withExtendedLifetime(seeder) {}
    }
}
