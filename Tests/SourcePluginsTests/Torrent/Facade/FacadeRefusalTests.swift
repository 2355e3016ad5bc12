import CLibtorrent
import Foundation
import SourceContract
import Testing

@Suite("libtorrent's façade: what is refused", .serialized, .timeLimit(.minutes(1)))
struct FacadeRefusalTests {
    @Test("the library is the one that this was compiled for")
    func version() {
        #expect(clt_is_compatible() != 0)
        #expect(String(cString: clt_version()).hasPrefix("2.0."))
    }

    @Test("a setting that does not exist or has another type is told")
    func settings() throws {
        var settings: OpaquePointer?
        try check(clt_settings_new(&settings))
        defer { clt_settings_free(settings) }
        #expect(clt_settings_set_int(settings, "connection_sped", 1) == CLT_UNKNOWN_SETTING)
        #expect(clt_settings_set_bool(settings, "", 1) == CLT_UNKNOWN_SETTING)
        #expect(clt_settings_set_string(settings, "connection_speed", "1") == CLT_WRONG_TYPE)
        #expect(clt_settings_set_bool(settings, "connection_speed", 1) == CLT_WRONG_TYPE)
        #expect(clt_settings_set_int(settings, "enable_dht", 1) == CLT_WRONG_TYPE)
        #expect(clt_settings_set_int(settings, "connection_speed", 1) == CLT_OK)
        #expect(clt_settings_set_bool(settings, "enable_dht", 0) == CLT_OK)
        #expect(clt_settings_set_string(settings, "user_agent", "test") == CLT_OK)
        #expect(clt_settings_set_string(settings, nil, "test") == CLT_INVALID)
        #expect(clt_settings_set_string(settings, "user_agent", nil) == CLT_INVALID)
    }

    @Test("a session without settings of its own listens on nothing")
    func nothingListens() throws {
        let session = try FacadeSession { clt_settings_set_string($0, "listen_interfaces", "") }
        session.close()
        #expect(session.count(CLT_EVENT_LISTENING, 0) == 0)
    }

    @Test("a session tells where it listens, and where it cannot")
    func listening() async throws {
        let taken = try LoopbackListener()
        let session = try FacadeSession {
            clt_settings_set_string($0, "listen_interfaces", "127.0.0.1:0,127.0.0.1:\(taken.port)")
            clt_settings_set_int($0, "max_retry_port_bind", 0)
            clt_settings_set_bool($0, "listen_system_port_fallback", 0)
        }
        #expect(try await session.event(CLT_EVENT_LISTENING).port != 0)
        let failed = try await session.event(CLT_EVENT_LISTEN_FAILED)
        #expect(failed.error == EADDRINUSE && failed.port == taken.port)
    }

    @Test("arguments that make no sense add nothing")
    func arguments() async throws {
        let session = try FacadeSession()
        let hash = [UInt8](repeating: 7, count: 20)
        var torrents: [NewTorrent] = []
        var torrent = NewTorrent(directory: "/none")
        torrents.append(torrent)
        torrent.infoHashV1 = [UInt8](repeating: 0, count: 20)
        torrents.append(torrent)
        torrent.infoHashV1 = hash
        torrent.number = 0
        torrents.append(torrent)
        torrent.number = 1
        torrent.directory = "relative"
        torrents.append(torrent)
        torrent.directory = "/none"
        for bytes in ["", "d4:infode", "le", "d4:infod6:lengthi1e4:name1:x12:piece lengthi0e6:pieces0:ee", "d4:info"] {
            torrent.file = [UInt8](bytes.utf8)
            torrents.append(torrent)
        }
        for torrent in torrents {
            #expect(torrent.add(to: session) == CLT_INVALID)
        }
        #expect(clt_add(session.pointer, nil) == CLT_INVALID)
        #expect(clt_remove(session.pointer, 1, 0) == CLT_NO_TORRENT)
    }

    @Test("a torrent file that is not of the info-hash given is refused", .enabled(if: Seeder.isAvailable))
    func mismatch() async throws {
        try await withTemporaryDirectory { directory in
            let seeder = try await Seeder("--file", "film.mkv:100000", "--save-torrent", directory.path("t.torrent"))
            let session = try FacadeSession()
            var torrent = try NewTorrent(fileOf: seeder, directory: directory.path("files"))
            torrent.infoHashV1 = [UInt8](repeating: 7, count: 20)
            #expect(torrent.add(to: session) == CLT_INVALID)
            torrent.infoHashV1 = seeder.infoHashV1
            #expect(torrent.add(to: session) == CLT_OK)
        }
    }

    @Test("one piece too many is refused, in a file and from the swarm", .enabled(if: Seeder.isAvailable))
    func tooManyPieces() async throws {
        try await withTemporaryDirectory { directory in
            let most = try await Seeder(
                "--file",
                "film.mkv:\(16 * CLT_MAX_PIECES)",
                "--piece-size",
                "16",
                "--save-torrent",
                directory.path("m.torrent")
            )
            let over = try await Seeder(
                "--file",
                "film.mkv:\(16 * CLT_MAX_PIECES + 1)",
                "--piece-size",
                "16",
                "--save-torrent",
                directory.path("o.torrent")
            )
            let session = try FacadeSession()
            var torrent = try NewTorrent(fileOf: over, directory: directory.path("over"))
            #expect(torrent.add(to: session) == CLT_INVALID)
            torrent = NewTorrent(magnetOf: over, directory: directory.path("over"))
            try check(torrent.add(to: session))
            #expect(try await session.event(CLT_EVENT_ERROR, 1).message.contains("pieces"))
            try await session.event(CLT_EVENT_REMOVED, 1)
            #expect(session.count(CLT_EVENT_METADATA, 1) == 0)
            torrent = NewTorrent(magnetOf: most, directory: directory.path("most"))
            torrent.number = 2
            _ = try await session.added(torrent)
            try await session.download(65_535..<65_536, 2)
            #expect(try await session.read(65_535, 2) == most.piece(65_535))
        }
    }

    @Test("no peer and no tracker in a blocked range is connected to", .enabled(if: Seeder.isAvailable))
    func blockedRange() async throws {
        let seeder = try await Seeder("--file", "film.mkv:100000")
        try await withTemporaryDirectory { directory in
            let canary = try LoopbackListener(last: 2)
            var range = clt_address_range()
            (range.first.0, range.first.3) = (127, 2)
            (range.last.0, range.last.3) = (127, 2)
            let session = try FacadeSession(blocked: [range])
            var torrent = NewTorrent(magnetOf: seeder, directory: directory.path("files"))
            torrent.peers.append(.loopback(canary.port, last: 2))
            torrent.trackers = ["http://127.0.0.2:\(canary.port)/announce"]
            _ = try await session.added(torrent)
            #expect(try await session.event(CLT_EVENT_PEER_REFUSED, 1).port == canary.port)
            try await session.event(CLT_EVENT_TRACKER_ERROR, 1)
            var peer = clt_endpoint.loopback(canary.port, last: 2)
            try check(clt_connect_peer(session.pointer, 1, &peer))
            try await session.event(CLT_EVENT_PEER_REFUSED, 1)
            try await session.download(0..<2)
            #expect(!canary.hasConnection)
        }
    }

    @Test("the same peer and tracker are connected to if the range is not blocked", .enabled(if: Seeder.isAvailable))
    func openRange() async throws {
        try await withTemporaryDirectory { directory in
            let canary = try LoopbackListener(last: 2)
            let session = try FacadeSession()
            var torrent = NewTorrent(directory: directory.path("files"))
            torrent.infoHashV1 = [UInt8](repeating: 9, count: 20)
            torrent.trackers = ["http://127.0.0.2:\(canary.port)/announce"]
            try check(torrent.add(to: session))
            try await canary.answerOnce([])
        }
    }

    @Test("a range whose end is before its start is no range")
    func senselessRange() throws {
        var range = clt_address_range()
        (range.first.0, range.last.0) = (10, 9)
        #expect(throws: FacadeFailure.self) { try FacadeSession(blocked: [range]) }
    }
}
