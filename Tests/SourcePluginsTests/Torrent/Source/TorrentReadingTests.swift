import NIOCore
import SourceContract
import SourcePlugins
import Testing

@Suite(.enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .timeLimit(.minutes(2)))
struct TorrentReadingTests {
    @Test(
        "a film of a swarm is the seeder's, byte for byte",
        arguments: [
            ("hybrid", 262_144), ("hybrid", 65_536), ("v1", 65_536), ("v1", 4_194_304), ("v1", 100_000), ("v2", 65_536),
        ]
    )
    func whole(version: String, pieceSize: Int) async throws {
        let seeder = try await Seeder(
            "--file",
            "film.mkv:9000001",
            "--file",
            "extra/empty.txt:0",
            "--file",
            "extra/film.srt:4321",
            "--name",
            "Film",
            "--version",
            version,
            "--piece-size",
            "\(pieceSize)"
        )
        let content = try seeder.content()
        try await withTorrents { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            #expect(item.name == "Film")
            #expect(Set(item.files.map(\.size)) == [9_000_001, 0, 4321])
            for file in item.files {
                let seeded = try #require(
                    seeder.torrent.files.first {
                        $0.path == "\(file.path)".split(separator: "/").dropFirst().joined(separator: "/")
                    }
                )
                let expected = content[Int(seeded.offset)..<Int(seeded.offset + seeded.size)]
                #expect(try await torrents.bytes(file) == Array(expected))
            }
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("pieces of 16 MiB are right, whole and in parts across their ends", arguments: ["v1", "hybrid"])
    func longestPieces(version: String) async throws {
        let length: Int64 = 16 << 20
        let seeder = try await Seeder(
            "--file",
            "film.mp4:40000000",
            "--version",
            version,
            "--piece-size",
            "\(length)"
        )
        let content = try seeder.content()
        #expect(seeder.torrent.pieces == 3)
        try await withTorrents { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            for start in [2 * length - 1000, length - 1, 0] {
                let part = try await torrents.bytes(file, start..<start + 2000)
                #expect(part == Array(content[Int(start)..<Int(start) + 2000]))
            }
            let isRight = try await torrents.bytes(file) == content
            #expect(isRight)
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("files whose names differ in nothing but their Unicode form are two", arguments: ["v1", "hybrid"])
    func unicodeForms(version: String) async throws {
        // As text they are equal.
        let names = ["caf\u{E9}.mp4", "cafe\u{301}.mp4"]
        let files = names.flatMap { ["--file", "\($0):300000"] }
        let seeder = try await Seeder(files + ["--name", "Film", "--version", version])
        let content = try seeder.content()
        try await withTorrents { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            #expect(item.files.count == 2)
            for name in names {
                let file = try #require(item.files.first { $0.path.name?.bytes == Array(name.utf8) })
                let seeded = try #require(
                    seeder.torrent.files.first { $0.path.utf8.elementsEqual("Film/\(name)".utf8) }
                )
                let expected = content[Int(seeded.offset)..<Int(seeded.offset + seeded.size)]
                #expect(try await torrents.bytes(file) == Array(expected))
            }
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("parts are right wherever they begin, by several readers at once", arguments: [65_536, 2_097_152])
    func parts(pieceSize: Int) async throws {
        let seeder = try await Seeder("--file", "film.mp4:12000000", "--piece-size", "\(pieceSize)")
        let content = try seeder.content()
        try await withTorrents { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            try await withThrowingTaskGroup(of: Bool.self) { tasks in
                for index in 0..<8 {
                    tasks.addTask {
                        var random = SplitMix64(seed: UInt64(index))
                        for _ in 0..<6 {
                            let start = Int64.random(in: 0..<file.size, using: &random)
                            let end = min(start + Int64.random(in: 1...900_000, using: &random), file.size)
                            guard try await torrents.bytes(file, start..<end) == Array(content[Int(start)..<Int(end)])
                            else { return false }
                        }
                        return true
                    }
                }
                for try await isRight in tasks { #expect(isRight) }
            }
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("a reader that leaves in the middle takes back what it wanted")
    func leaving() async throws {
        let seeder = try await Seeder("--file", "film.mp4:40000000", "--rate", "2000000")
        try await withTorrents { torrents in
            let item = try await torrents.add(seeder.torrent.magnet)
            let file = try #require(item.files.first)
            let taken = Observed(0)
            let task = Task {
                let stream = try await torrents.open(file).read(0..<file.size)
                while let buffer = try await stream.next() { taken.update { $0 += buffer.readableBytes } }
            }
            try await taken.until { $0 >= 1_000_000 }
            task.cancel()
            await #expect(throws: CancellationError.self) { try await task.value }
            try await torrents.source.wait { await torrents.source.status(item.id)?.readers == 0 }
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("a seeder of bad blocks does not get one of them through, while another is honest")
    func badBlocks() async throws {
        let honest = try await Seeder("--file", "film.mp4:3000000", "--seed", "7")
        let bad = try await Seeder(
            "--file",
            "film.mp4:3000000",
            "--seed",
            "7",
            "--bad-blocks",
            "0,5,11,40",
            "--address",
            "127.0.0.2"
        )
        let content = try honest.content()
        try await withTorrents { torrents in
            let link = honest.torrent.magnet + "&x.pe=127.0.0.2:\(bad.torrent.port)"
            let item = try await torrents.add(link)
            #expect(try await torrents.bytes(try #require(item.files.first)) == content)
        }
        withExtendedLifetime(honest) {}
        withExtendedLifetime(bad) {}
    }

    @Test("pieces that come before the metadata has been looked at are there for readers, without a peer")
    func early() async throws {
        let other = try await Seeder("--file", "other.mp4:100000")
        var seeder: Seeder? = try await Seeder("--file", "film.mp4:3000000", "--piece-size", "65536", "--seed", "2")
        let content = try #require(try seeder?.content())
        let silent = try LoopbackListener()
        try await withTorrents { torrents in
            // Figures are asked for while something is loaded.
            try await torrents.add(other.torrent.magnet)
            let magnet = try #require(seeder?.torrent.magnet)
            let hash = try #require(seeder?.torrent.info_hash_v1)
            let id = try #require(ItemID(hash))
            let first = Task { try await torrents.add("magnet:?xt=urn:btih:\(hash)&x.pe=127.0.0.1:\(silent.port)") }
            try await silent.untilConnected()
            let second = try await torrents.withoutThreads {
                let second = Task { try await torrents.add(magnet) }
                try await torrents.source.wait {
                    await torrents.source.housekeeping()
                    return await torrents.source.status(id)?.doneBytes ?? 0 >= 2 * 65_536
                }
                return second
            }
            let item = try await second.value
            let file = try #require(item.files.first)
            #expect(try await first.value.id == id)
            seeder = nil
            #expect(try await torrents.bytes(file, 0..<2 * 65_536).elementsEqual(content.prefix(2 * 65_536)))
        }
        withExtendedLifetime((other, silent)) {}
    }
}
