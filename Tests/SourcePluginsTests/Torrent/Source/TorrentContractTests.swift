import SourceContract
import SourcePlugins
import Testing

@Suite("Torrents: the contract of sources", .enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .serialized)
struct TorrentContractTests {
    @Test("in pieces that come whole, and in pieces that are read from files", arguments: [262_144, 4_194_304])
    func contract(pieceSize: Int) async throws {
        let size: Int64 = 3 << 20 | 12_345
        try await withTemporaryDirectory { directory in
            try directory.makeDirectory("content")
            try directory.makeDirectory("content/films")
            try directory.write("content/films/sample.mkv", PatternBytes("sample"), size: size)
            try directory.write("content/empty.mp4", PatternBytes("empty"), size: 0)
            let seeder = try await Seeder(
                "--file",
                "films/sample.mkv:\(size)",
                "--file",
                "empty.mp4:0",
                "--name",
                "Films",
                "--piece-size",
                "\(pieceSize)",
                "--content",
                directory.path("content")
            )
            try await withTorrents(in: directory) { torrents in
                let item = try await torrents.add(seeder.torrent.magnet)
                for check in ContractCheck.all {
                    var fixture = ContractFixture(
                        source: torrents.source,
                        sample: try .init("\(item.id)/Films/films/sample.mkv", PatternBytes("sample"), size: size),
                        missing: try MediaPath("\(item.id)/Films/films/none.mkv")
                    )
                    fixture.empty = try MediaPath("\(item.id)/Films/empty.mp4")
                    fixture.directory = try MediaPath("\(item.id)/Films/films")
                    await #expect(throws: Never.self, "\(check)") { try await check.run(fixture) }
                }
            }
            withExtendedLifetime(seeder) {}
        }
    }
}
