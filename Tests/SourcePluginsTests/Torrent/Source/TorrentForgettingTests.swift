import SourceContract
import SourcePlugins
import Testing

/// What is kept of torrents is bounded.
@Suite(.enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .timeLimit(.minutes(2)))
struct TorrentForgettingTests {
    /// Of some 10 KiB each.
    private func torrent(_ number: Int, version: (String) -> [UInt8] = { TorrentBuilder.v1(name: $0) }) -> [UInt8] {
        TorrentBuilder.upload(version("Torrent \(1000 + number)"))
    }

    private func keys(_ id: ItemID, in records: MemoryRecords) throws -> [String] {
        try records.keys(prefix: "").filter { $0.hasSuffix(id.description) }
    }

    @Test("what nobody asked for for longest is forgotten, with everything that is kept of it, and can come again")
    func oldest() async throws {
        let records = MemoryRecords()
        try await withTorrents(records: records) {
            $0.recordSpace = 400 << 10
        } _: { torrents in
            var ids: [ItemID] = []
            for number in 0..<30 { ids.append(try await torrents.upload(torrent(number)).id) }
            await torrents.source.housekeeping()
            #expect(ids.allSatisfy(torrents.source.isKnown))
            for id in ids.prefix(3) { #expect(try await torrents.source.describe(id) != nil) }
            for number in 30..<60 { ids.append(try await torrents.upload(torrent(number)).id) }
            await torrents.source.housekeeping()
            let known = ids.filter(torrents.source.isKnown)
            #expect((25..<50).contains(known.count))
            #expect(known == Array(ids.prefix(3) + ids.suffix(known.count - 3)))
            let forgotten = ids[3]
            #expect(try keys(forgotten, in: records).isEmpty)
            #expect(try await torrents.source.describe(forgotten) == nil)
            #expect(await torrents.source.statuses().count == known.count)
            // There is room for some more before it is done again.
            ids.append(try await torrents.upload(torrent(3)).id)
            await torrents.source.housekeeping()
            #expect(ids.filter(torrents.source.isKnown).count == known.count + 2)
        }
        // As it was, and no more is forgotten for that.
        try await withTorrents(records: records) {
            $0.recordSpace = 400 << 10
        } _: { torrents in
            let count = try await torrents.source.list(.root).count
            await torrents.source.housekeeping()
            #expect(try await torrents.source.list(.root).count == count)
        }
    }

    @Test("a torrent of two hashes is forgotten by both")
    func hybrid() async throws {
        let records = MemoryRecords()
        try await withTorrents(records: records) {
            $0.recordSpace = 50 << 10
        } _: { torrents in
            let hybrid = try await torrents.upload(torrent(0) { TorrentBuilder.hybrid(name: $0) })
            #expect(try records.keys(prefix: "alias/").count == 1)
            for number in 1..<9 { try await torrents.upload(torrent(number)) }
            await torrents.source.housekeeping()
            #expect(!torrents.source.isKnown(hybrid.id))
            #expect(try records.keys(prefix: "alias/").isEmpty)
        }
    }

    @Test("a torrent that is loaded is not forgotten, and one that is not is forgotten with its files")
    func loaded() async throws {
        let seeder = try await Seeder("--file", "film.mp4:300000")
        let content = try seeder.content()
        try await withTorrents {
            $0.recordSpace = 50 << 10
        } _: { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            let stream = Observed<ByteStream?>(try await torrents.open(file).read(0..<file.size))
            for number in 0..<9 { try await torrents.upload(torrent(number)) }
            await torrents.source.housekeeping()
            #expect(torrents.source.isKnown(item.id))
            #expect(try await torrents.bytes(file).elementsEqual(content))
            stream.update { $0 = nil }
            try await torrents.passIdleTime(item.id)
            try await torrents.untilLoaded(false, item.id)
            #expect(torrents.directory.exists("state/\(item.id)"))
            for number in 10..<20 { try await torrents.upload(torrent(number)) }
            try await torrents.source.wait {
                await torrents.source.housekeeping()
                return !torrents.source.isKnown(item.id)
            }
            try await torrents.source.wait { !torrents.directory.exists("state/\(item.id)") }
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("a torrent whose files are to be kept is not forgotten, however many come")
    func keep() async throws {
        let seeder = try await Seeder("--file", "film.mp4:300000")
        let content = try seeder.content()
        try await withTorrents {
            $0.recordSpace = 50 << 10
            $0.keep = .keep
        } _: { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            #expect(try await torrents.bytes(file).elementsEqual(content))
            try await torrents.passIdleTime(item.id)
            try await torrents.untilLoaded(false, item.id)
            // Not while it is on its way out.
            try await torrents.source.wait { await torrents.source.status(item.id)?.doneBytes ?? 0 > 0 }
            var ids: [ItemID] = []
            for number in 0..<20 { ids.append(try await torrents.upload(torrent(number)).id) }
            await torrents.source.housekeeping()
            #expect(ids.count(where: torrents.source.isKnown) < 9)
            #expect(torrents.source.isKnown(item.id))
            #expect(try await torrents.bytes(file).elementsEqual(content))
        }
        withExtendedLifetime(seeder) {}
    }
}
