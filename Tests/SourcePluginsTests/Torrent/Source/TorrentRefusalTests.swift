import SourceContract
import SourcePlugins
import Testing

@Suite(.enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .timeLimit(.minutes(2)))
struct TorrentRefusalTests {
    @Test(
        "metadata that cannot be served is refused when it comes, and leaves nothing behind, its room neither",
        arguments: [
            // Of more pieces than are served; of shorter ones.
            ["--file", "film.mp4:1073741825", "--piece-size", "16384", "--zeros"],
            ["--file", "film.mp4:1000000", "--piece-size", "8192"],
        ]
    )
    func metadata(arguments: [String]) async throws {
        let refused = try await Seeder(arguments)
        let good = try await Seeder("--file", "film.mp4:300000", "--seed", "2")
        let content = try good.content()
        let hash = try #require(refused.torrent.info_hash_v1)
        try await withTorrents {
            $0.maxActive = 1
            // Nothing here is to be given up for want of an answer.
            $0.metadataTimeout = .seconds(3600)
        } _: { torrents in
            for _ in 0..<3 {
                await #expect { try await torrents.add(refused.torrent.magnet) } throws: {
                    ($0 as? SourceError)?.code == .refused
                }
                #expect(await torrents.source.statuses().isEmpty)
                #expect(!torrents.directory.exists("state/\(hash)"))
            }
            let item = try await torrents.add(good.torrent.magnet)
            #expect(try await torrents.bytes(try #require(item.files.first)).elementsEqual(content))
        }
        withExtendedLifetime((refused, good)) {}
    }

    @Test("as many pieces as are allowed are served")
    func pieces() async throws {
        let seeder = try await Seeder("--file", "film.mp4:1073741824", "--piece-size", "16384", "--zeros")
        #expect(seeder.torrent.pieces == 65_536)
        try await withTorrents { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            let end = try await torrents.bytes(file, file.size - 40_000..<file.size)
            #expect(end == [UInt8](repeating: 0, count: 40_000))
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("records that another process has make everything unavailable, and are opened once they are free")
    func records() async throws {
        let seeder = try await Seeder("--file", "film.mp4:300000")
        let content = try seeder.content()
        let hash = try #require(seeder.torrent.info_hash_v1)
        let id = try #require(ItemID(hash))
        let records = MemoryRecords()
        records.isTaken = true
        try await withTorrents(records: records) { torrents in
            let source = torrents.source
            let uses: [@Sendable () async throws -> Void] = [
                { try await torrents.add(seeder.torrent.magnet) },
                { _ = try await source.describe(id) },
                { _ = try await source.open(MediaPath("\(id)/film.mp4")) },
                { _ = try await source.list(.root) },
                { try await source.remove(id, force: true) },
            ]
            for use in uses {
                let error = await #expect(throws: SourceError.self) { try await use() }
                #expect(error?.code == .unavailable)
                #expect(error?.message.contains("another process") == true)
            }
            #expect(await source.statuses().isEmpty)
            #expect(!source.isKnown(id))
            #expect(!source.isReady)
            records.isTaken = false
            let item = try await torrents.add(seeder.torrent.magnet)
            #expect(source.isReady)
            #expect(try await torrents.bytes(try #require(item.files.first)).elementsEqual(content))
        }
        withExtendedLifetime(seeder) {}
    }
}
