import SourceContract
import SourcePlugins
import Testing

/// One info-hash is one torrent, however it is named and whoever brings it.
@Suite(.enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .timeLimit(.minutes(2)))
struct TorrentIdentityTests {
    /// The ways to name a torrent that has both hashes.
    enum Name: String, Sendable, CaseIterable {
        case v1
        case v2
        case both

        func magnet(of seeder: Seeder, peer port: UInt16) -> String {
            let v1 = seeder.torrent.info_hash_v1.map { "xt=urn:btih:\($0)" }
            let v2 = seeder.torrent.info_hash_v2.map { "xt=urn:btmh:1220\($0)" }
            let names: [String?] =
                switch self {
                case .v1: [v1]
                case .v2: [v2]
                case .both: [v1, v2]
                }
            return "magnet:?" + (names.compactMap(\.self) + ["x.pe=127.0.0.1:\(port)"]).joined(separator: "&")
        }
    }

    /// A seeder whose .torrent names `tracker`, and that .torrent.
    private func seeder(
        _ version: String,
        _ tracker: LoopbackListener,
        in directory: TemporaryDirectory
    ) async throws -> (Seeder, [UInt8]) {
        let seeder = try await Seeder(
            "--file",
            "film.mp4:3000000",
            "--version",
            version,
            "--tracker",
            tracker.announceURL,
            "--save-torrent",
            directory.path("film.torrent")
        )
        return (seeder, try directory.bytes("film.torrent"))
    }

    @Test(
        "a .torrent that comes while its metadata is being asked for is the answer, and plays",
        arguments: [
            ("v1", Name.v1, false), ("v1", .v1, true), ("hybrid", .v1, false), ("hybrid", .v1, true),
            ("hybrid", .both, false), ("hybrid", .both, true), ("v2", .v2, true),
        ]
    )
    func upload(version: String, name: Name, acceptsV2: Bool) async throws {
        try await withTemporaryDirectory { directory in
            let (silent, tracker) = (try LoopbackListener(), try LoopbackListener())
            let (seeder, torrent) = try await seeder(version, tracker, in: directory)
            let content = try seeder.content()
            try await withTorrents(in: directory) {
                $0.acceptsV2 = acceptsV2
                $0.maxActive = 1
                // Nobody here is to be told that it was in vain.
                $0.metadataTimeout = .seconds(3600)
            } _: { torrents in
                let asking = Task { try await torrents.add(name.magnet(of: seeder, peer: silent.port)) }
                try await silent.untilConnected()
                let uploaded = try await torrents.upload(torrent)
                #expect(try await asking.value.files.map(\.revision) == uploaded.files.map(\.revision))
                #expect(await torrents.source.statuses().map(\.id) == [uploaded.id])
                async let bytes = torrents.bytes(try #require(uploaded.files.first))
                try await tracker.announce(seeder.torrent.port)
                // A torrent of version 2 alone has padding behind its last file.
                #expect(try await bytes.elementsEqual(content.prefix(3_000_000)))
                #expect(await torrents.source.statuses().map(\.id) == [uploaded.id])
            }
            withExtendedLifetime((seeder, silent)) {}
        }
    }

    @Test("a torrent that is known by its first hash is the same by its second", arguments: [false, true])
    func known(acceptsV2: Bool) async throws {
        try await withTemporaryDirectory { directory in
            let (silent, tracker) = (try LoopbackListener(), try LoopbackListener())
            let (seeder, torrent) = try await seeder("hybrid", tracker, in: directory)
            try await withTorrents(in: directory) {
                $0.acceptsV2 = acceptsV2
            } _: { torrents in
                let uploaded = try await torrents.upload(torrent)
                for name in Name.allCases where name != .v2 || acceptsV2 {
                    let again = try await torrents.add(name.magnet(of: seeder, peer: silent.port))
                    #expect(again.id == uploaded.id, "\(name)")
                }
                if !acceptsV2 {
                    await #expect {
                        try await torrents.add(Name.v2.magnet(of: seeder, peer: silent.port))
                    } throws: {
                        ($0 as? SourceError)?.code == .refused
                    }
                }
                let second = try #require(seeder.torrent.info_hash_v2)
                #expect(try await torrents.source.open(MediaPath("\(second)/film.mp4")).info.size == 3_000_000)
                #expect(ItemID(second).map(torrents.source.isKnown) == true)
                #expect(await torrents.source.statuses().map(\.id) == [uploaded.id])
                #expect(!silent.hasConnection)
            }
            withExtendedLifetime(seeder) {}
        }
    }

    @Test("asked for by one hash after the other, a torrent is one", arguments: [Name.v1, .v2, .both])
    func hashes(first: Name) async throws {
        let seeder = try await Seeder("--file", "film.mp4:3000000", "--version", "hybrid")
        let content = try seeder.content()
        try await withTorrents { torrents in
            let item = try await torrents.add(first.magnet(of: seeder, peer: seeder.torrent.port))
            for name in Name.allCases {
                let again = try await torrents.add(name.magnet(of: seeder, peer: seeder.torrent.port))
                #expect(again.id.description == seeder.torrent.info_hash_v1, "\(name)")
            }
            #expect(item.id.description == seeder.torrent.info_hash_v1)
            #expect(await torrents.source.statuses().map(\.id) == [item.id])
            #expect(try await torrents.bytes(try #require(item.files.first)).elementsEqual(content))
        }
        withExtendedLifetime(seeder) {}
    }

    @Test("fifty who ask for one torrent at once get the same answer, and its peer is connected to once")
    func together() async throws {
        let seeder = try await Seeder("--file", "film.mp4:300000")
        try await withTorrents { torrents in
            let answers = try await withThrowingTaskGroup(of: [Revision].self) { tasks in
                for _ in 0..<50 {
                    tasks.addTask { try await torrents.add(seeder.torrent.magnet).files.map(\.revision) }
                }
                return try await tasks.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count == 50)
            #expect(Set(answers).count == 1)
            #expect(await torrents.source.statuses().count == 1)
            #expect(try await seeder.connections() == 1)
        }
        withExtendedLifetime(seeder) {}
    }
}
