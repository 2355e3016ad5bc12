import CLibtorrent
import Foundation

/// What a test adds to a session.
struct NewTorrent {
    var number: UInt64 = 1
    var infoHashV1: [UInt8]?
    var infoHashV2: [UInt8]?
    var file: [UInt8]?
    var resumeData: [UInt8]?
    var directory: String
    var trackers: [String] = []
    var peers: [clt_endpoint] = []
    var wantedHead: UInt32 = 0

    init(directory: String) {
        self.directory = directory
    }

    /// As a magnet link that names the seeder.
    init(magnetOf seeder: Seeder, directory: String) {
        self.init(directory: directory)
        infoHashV1 = seeder.infoHashV1
        infoHashV2 = seeder.infoHashV2
        peers = [.loopback(seeder.torrent.port)]
    }

    /// As the .torrent that the seeder wrote.
    init(fileOf seeder: Seeder, directory: String) throws {
        self.init(directory: directory)
        file = try seeder.torrent.torrent.map { try Array(Data(contentsOf: URL(filePath: $0))) }
        peers = [.loopback(seeder.torrent.port)]
    }

    func add(to session: FacadeSession) -> clt_code {
        var torrent = clt_new_torrent()
        torrent.torrent = number
        torrent.wanted_head = wantedHead
        torrent.max_connections = -1
        torrent.max_uploads = -1
        let urls = trackers.map { strdup($0) }
        defer { for url in urls { free(url) } }
        let trackers = urls.map { UnsafePointer<CChar>($0) }
        return withOptionalBytes(infoHashV1) { v1 in
            withOptionalBytes(infoHashV2) { v2 in
                withOptionalBytes(file) { file in
                    withOptionalBytes(resumeData) { resume in
                        directory.withCString { directory in
                            peers.withUnsafeBufferPointer { peers in
                                trackers.withUnsafeBufferPointer { trackers in
                                    torrent.info_hash_v1 = v1?.baseAddress
                                    torrent.info_hash_v2 = v2?.baseAddress
                                    torrent.torrent_file = file?.baseAddress
                                    torrent.torrent_file_count = file?.count ?? 0
                                    torrent.resume_data = resume?.baseAddress
                                    torrent.resume_data_count = resume?.count ?? 0
                                    torrent.directory = directory
                                    torrent.trackers = trackers.baseAddress
                                    torrent.tracker_count = trackers.count
                                    torrent.peers = peers.baseAddress
                                    torrent.peer_count = peers.count
                                    return clt_add(session.pointer, &torrent)
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

private func withOptionalBytes<Value>(
    _ bytes: [UInt8]?,
    _ body: (UnsafeBufferPointer<UInt8>?) -> Value
) -> Value {
    guard let bytes else { return body(nil) }
    return bytes.withUnsafeBufferPointer { body($0) }
}

extension clt_endpoint {
    /// 127.0.0.`last`
    static func loopback(_ port: UInt16, last: UInt8 = 1) -> clt_endpoint {
        var endpoint = clt_endpoint()
        (endpoint.address.0, endpoint.address.3) = (127, last)
        endpoint.port = port
        return endpoint
    }
}

extension FacadeSession {
    /// Waits until the torrent is there and its files have been looked at.
    func added(_ torrent: NewTorrent) async throws -> Event {
        try check(torrent.add(to: self))
        let added = try await event(CLT_EVENT_ADDED, torrent.number)
        guard added.error == 0 else { throw FacadeFailure(code: CLT_INVALID) }
        return try await event(CLT_EVENT_CHECKED, torrent.number)
    }

    func setPriority(_ priority: UInt8, _ pieces: Range<Int32>, _ torrent: UInt64 = 1) throws {
        let list = pieces.map { clt_piece_priority(piece: $0, priority: priority) }
        try check(clt_set_priorities(pointer, torrent, list, list.count))
    }

    /// Downloads pieces, in any order.
    func download(_ pieces: Range<Int32>, _ torrent: UInt64 = 1) async throws {
        try setPriority(7, pieces, torrent)
        for piece in pieces {
            try await event(CLT_EVENT_PIECE_FINISHED, torrent) { $0.piece == piece }
            try await untilOnDisk(piece, torrent)
        }
    }

    /// Until all of a piece is in the files, which comes after it was said to be finished.
    func untilOnDisk(_ piece: Int32, _ torrent: UInt64 = 1) async throws {
        while clt_is_on_disk(pointer, torrent, piece) != CLT_OK {
            try Task.checkCancellation()
            await Task.yield()
        }
    }

    func read(_ piece: Int32, _ torrent: UInt64 = 1) async throws -> [UInt8] {
        try check(clt_read_piece(pointer, torrent, piece))
        return try await event(CLT_EVENT_PIECE_DATA, torrent) { $0.piece == piece }.bytes
    }

    func resumeData(_ torrent: UInt64 = 1) async throws -> [UInt8] {
        try check(clt_save_resume(pointer, torrent, 0))
        return try await event(CLT_EVENT_RESUME_DATA, torrent).bytes
    }

    func remove(_ torrent: UInt64 = 1, deletesFiles: Bool = false) async throws {
        try check(clt_remove(pointer, torrent, deletesFiles ? 1 : 0))
        try await event(CLT_EVENT_REMOVED, torrent)
    }
}
