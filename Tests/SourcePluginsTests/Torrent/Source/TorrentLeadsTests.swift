import NIOCore
import SourceContract
import SourcePlugins
import Testing

/// What a link says of where a torrent is to be had is used, also if it is not the first to name the torrent.
@Suite(.enabled(if: Seeder.isAvailable, "needs python3-libtorrent"), .timeLimit(.minutes(2)))
struct TorrentLeadsTests {
    private static let film = ["--file", "film.mp4:3000000"]

    private func link(to seeder: Seeder, _ lead: String) throws -> String {
        "magnet:?xt=urn:btih:\(try #require(seeder.torrent.info_hash_v1))&\(lead)"
    }

    private func peer(_ port: UInt16) -> String { "x.pe=127.0.0.1:\(port)" }

    enum Lead: Sendable, CaseIterable {
        case peer
        case tracker
    }

    @Test("a torrent whose first link has no live peer comes alive with a second link", arguments: Lead.allCases)
    func asking(lead: Lead) async throws {
        let (silent, tracker) = (try LoopbackListener(), try LoopbackListener())
        let seeder = try await Seeder(Self.film)
        let content = try seeder.content()
        try await withTorrents {
            $0.metadataTimeout = .seconds(3600)
        } _: { torrents in
            let first = Task { try await torrents.add(link(to: seeder, peer(silent.port))) }
            try await silent.untilConnected()
            let announcing = Task { if lead == .tracker { try await tracker.announce(seeder.torrent.port) } }
            let live = lead == .peer ? peer(seeder.torrent.port) : "tr=\(tracker.announceURL)"
            let item = try await torrents.add(link(to: seeder, live))
            #expect(try await first.value.id == item.id)
            #expect(try await torrents.bytes(try #require(item.files.first)).elementsEqual(content))
            try await announcing.value
        }
        withExtendedLifetime((seeder, silent)) {}
    }

    @Test("a second link counts while the first one waits for room")
    func waiting() async throws {
        let silent = try LoopbackListener()
        let other = try await Seeder("--file", "film.mp4:300000", "--seed", "2")
        let seeder = try await Seeder(Self.film)
        try await withTorrents {
            $0.maxActive = 1
            $0.metadataTimeout = .seconds(3600)
        } _: { torrents in
            let item = try await torrents.add(other.torrent.magnet)
            let stream = Observed<ByteStream?>(
                try await torrents.open(try #require(item.files.first)).read(0..<300_000)
            )
            let asking = try [silent.port, seeder.torrent.port].map { port in
                let link = try link(to: seeder, peer(port))
                return Task { try await torrents.add(link).id }
            }
            for _ in 0..<1000 { await Task.yield() }
            stream.update { $0 = nil }
            for task in asking { #expect(try await task.value.description == seeder.torrent.info_hash_v1) }
        }
        withExtendedLifetime((seeder, other, silent)) {}
    }

    @Test("a torrent that is known and whose peers are gone is loaded from where a second link says")
    func known() async throws {
        var first: Seeder? = try await Seeder(Self.film)
        let content = try #require(try first?.content())
        try await withTorrents { torrents in
            let item = try await torrents.add(try #require(first?.torrent.magnet))
            try await torrents.passIdleTime(item.id)
            try await torrents.untilLoaded(false, item.id)
            await first?.end()
            first = nil
            let second = try await Seeder(Self.film)
            #expect(try await torrents.add(second.torrent.magnet).id == item.id)
            #expect(try await torrents.bytes(try #require(item.files.first)).elementsEqual(content))
            withExtendedLifetime(second) {}
        }
    }

    @Test("a reader whose peers have left goes on with the peer of a second link", arguments: Lead.allCases)
    func reading(lead: Lead) async throws {
        let tracker = try LoopbackListener()
        var first: Seeder? = try await Seeder(Self.film + ["--rate", "500000"])
        let content = try #require(try first?.content())
        try await withTorrents { torrents in
            let item = try await torrents.add(try #require(first?.torrent.magnet))
            let file = try #require(item.files.first)
            let stream = try await torrents.open(file).read(0..<file.size)
            var bytes = Array(try #require(try await stream.next()).readableBytesView)
            await first?.end()
            first = nil
            let second = try await Seeder(Self.film)
            let announcing = Task { if lead == .tracker { try await tracker.announce(second.torrent.port) } }
            try await torrents.add(
                link(to: second, lead == .peer ? peer(second.torrent.port) : "tr=\(tracker.announceURL)")
            )
            while let buffer = try await stream.next() { bytes += buffer.readableBytesView }
            #expect(bytes.elementsEqual(content))
            try await announcing.value
            withExtendedLifetime(second) {}
        }
    }

    @Test("a private torrent asks its own tracker, whatever a link says")
    func privacy() async throws {
        try await withTemporaryDirectory { directory in
            let (tracker, stranger) = (try LoopbackListener(), try LoopbackListener())
            let path = directory.path("film.torrent")
            let seeder = try await Seeder(
                Self.film + ["--private", "--tracker", tracker.announceURL, "--save-torrent", path]
            )
            let (content, torrent) = (try seeder.content(), try directory.bytes("film.torrent"))
            try await withTorrents(in: directory) { torrents in
                let item = try await torrents.upload(torrent)
                let link = try link(to: seeder, "\(peer(stranger.port))&tr=\(stranger.announceURL)")
                try await torrents.add(link)
                async let bytes = torrents.bytes(try #require(item.files.first))
                try await tracker.announce(seeder.torrent.port)
                #expect(try await bytes.elementsEqual(content))
                // In the session now.
                try await torrents.add(link)
                #expect(try await torrents.bytes(try #require(item.files.first)).elementsEqual(content))
                #expect(!stranger.hasConnection)
            }
            withExtendedLifetime(seeder) {}
        }
    }

    // MARK: - How many

    private func leads(_ peers: Range<UInt16>, trackers: Range<Int> = 0..<0) -> TorrentLeads {
        let policy = AddressPolicy(allowsPrivate: true)
        return TorrentLeads(
            peers: peers.compactMap { PeerAddress("127.0.0.1:\($0)") },
            trackers: trackers.compactMap { TrackerURL("http://tracker.example/\($0)".utf8, policy: policy) }
        )
    }

    @Test("of all links together only so many peers and trackers are used, each once")
    func bound() {
        let limits = TorrentLimits()
        var kept = leads(1000..<1040, trackers: 0..<15)
        #expect(kept.peers.count == 40)
        #expect(kept.merge(leads(1020..<1060, trackers: 10..<25)) == leads(1040..<1060, trackers: 15..<25))
        for start: UInt16 in stride(from: 2000, to: 9000, by: 50) {
            kept.merge(leads(start..<start + 50, trackers: Int(start)..<Int(start) + 20))
        }
        #expect(kept.peers.count == limits.linkedPeers)
        #expect(kept.trackers.count == limits.linkedTrackers)
        #expect(Set(kept.peers).count == limits.linkedPeers)
        #expect(kept.merge(leads(9000..<9050)).isEmpty)
    }

    @Test("what is kept for when a torrent is loaded is what was said last")
    func renewal() {
        let limits = TorrentLimits()
        var kept = leads(1000..<1100)
        kept.renew(leads(2000..<2010))
        #expect(kept.peers.count == limits.linkedPeers)
        #expect(Set(kept.peers).isSuperset(of: leads(2000..<2010).peers))
        #expect(Set(kept.peers).isSuperset(of: leads(1000..<1090).peers))
    }
}
