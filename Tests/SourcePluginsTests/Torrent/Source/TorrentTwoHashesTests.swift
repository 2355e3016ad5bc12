import SourceContract
import SourcePlugins
import Testing

@Suite(.enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .timeLimit(.minutes(2)))
struct TorrentTwoHashesTests {
    private typealias Name = TorrentIdentityTests.Name

    @Test("a .torrent that comes while its link waits for room is the answer to that")
    func waiting() async throws {
        try await withTemporaryDirectory { directory in
            let other = try await Seeder("--file", "film.mp4:300000", "--seed", "2")
            let seeder = try await Seeder("--file", "film.mp4:300000", "--save-torrent", directory.path("film.torrent"))
            let torrent = try directory.bytes("film.torrent")
            try await withTorrents(in: directory) {
                $0.maxActive = 1
                $0.metadataTimeout = .seconds(300)
            } _: { torrents in
                let item = try await torrents.add(other.torrent.magnet)
                let stream = try await torrents.open(try #require(item.files.first)).read(0..<300_000)
                let asking = Task { try await torrents.add(seeder.torrent.magnet) }
                for _ in 0..<1000 { await Task.yield() }
                let uploaded = try await torrents.upload(torrent)
                #expect(try await asking.value.id == uploaded.id)
                withExtendedLifetime(stream) {}
            }
            withExtendedLifetime((seeder, other)) {}
        }
    }

    @Test("a .torrent of both versions that comes while its second hash is being asked for plays")
    func upload() async throws {
        try await withTemporaryDirectory { directory in
            let (silent, tracker) = (try LoopbackListener(), try LoopbackListener())
            let seeder = try await Seeder(
                "--file",
                "film.mp4:300000",
                "--version",
                "hybrid",
                "--tracker",
                tracker.announceURL,
                "--save-torrent",
                directory.path("film.torrent")
            )
            let content = try seeder.content()
            let torrent = try directory.bytes("film.torrent")
            try await withTorrents(in: directory) {
                $0.metadataTimeout = .seconds(3600)
            } _: { torrents in
                let asking = Task { try await torrents.add(Name.v2.magnet(of: seeder, peer: silent.port)) }
                try await silent.untilConnected()
                let uploaded = try await torrents.upload(torrent)
                // Ends with the process if nobody asks the tracker.
                let announcing = Task { try await tracker.announce(seeder.torrent.port) }
                let file = try #require(uploaded.files.first)
                #expect(try await torrents.bytes(file).elementsEqual(content))
                #expect(try await asking.value.id == uploaded.id)
                try await announcing.value
            }
            withExtendedLifetime((seeder, silent)) {}
        }
    }

    @Test("a torrent that is in the session under each of its hashes when somebody answers is one")
    func conflict() async throws {
        let (silent, other) = (try LoopbackListener(), try LoopbackListener())
        let seeder = try await Seeder("--file", "film.mp4:300000", "--version", "hybrid")
        let content = try seeder.content()
        for answered in [Name.v1, .v2, .both] {
            try await withTorrents {
                $0.metadataTimeout = .seconds(3600)
            } _: { torrents in
                let first = Task { try await torrents.add(Name.v1.magnet(of: seeder, peer: silent.port)).id }
                try await torrents.source.wait { await torrents.source.statuses().count == 1 }
                let second = Task { try await torrents.add(Name.v2.magnet(of: seeder, peer: other.port)).id }
                try await torrents.source.wait { await torrents.source.statuses().count == 2 }
                let item = try await torrents.add(answered.magnet(of: seeder, peer: seeder.torrent.port))
                #expect(item.id.description == seeder.torrent.info_hash_v1)
                #expect(try await [first.value, second.value] == [item.id, item.id])
                #expect(try await torrents.bytes(try #require(item.files.first)).elementsEqual(content))
                #expect(await torrents.source.statuses().map(\.id) == [item.id])
            }
        }
        withExtendedLifetime((seeder, silent, other)) {}
    }

    @Test("who names one hash joins those who name both", arguments: [TorrentIdentityTests.Name.v1, .v2])
    func joining(name: TorrentIdentityTests.Name) async throws {
        let silent = try LoopbackListener()
        let seeder = try await Seeder("--file", "film.mp4:300000", "--version", "hybrid")
        for isFirst in [false, true] {
            try await withTorrents {
                $0.metadataTimeout = .seconds(3600)
            } _: { torrents in
                let (one, other) = isFirst ? (name, Name.both) : (.both, name)
                let first = Task { try await torrents.add(one.magnet(of: seeder, peer: silent.port)).id }
                try await torrents.source.wait { await torrents.source.statuses().count == 1 }
                let item = try await torrents.add(other.magnet(of: seeder, peer: seeder.torrent.port))
                #expect(item.id.description == seeder.torrent.info_hash_v1)
                #expect(try await first.value == item.id)
                #expect(await torrents.source.statuses().map(\.id) == [item.id])
            }
        }
        withExtendedLifetime((seeder, silent)) {}
    }

    @Test("asked for by each of its hashes at once, a torrent is one")
    func atOnce() async throws {
        let seeder = try await Seeder("--file", "film.mp4:300000", "--version", "hybrid")
        let content = try seeder.content()
        try await withTorrents { torrents in
            let asking = [Name.v1, .v2].map { name in
                Task { try await torrents.add(name.magnet(of: seeder, peer: seeder.torrent.port)) }
            }
            var ids: Set<ItemID> = []
            for task in asking { ids.insert(try await task.value.id) }
            #expect(ids.map(\.description) == [seeder.torrent.info_hash_v1])
            let id = try #require(ids.first)
            let item = try #require(try await torrents.source.describe(id))
            #expect(try await torrents.bytes(try #require(item.files.first)).elementsEqual(content))
        }
        withExtendedLifetime(seeder) {}
    }
}
