import CLibtorrent

/// What libtorrent is given of a torrent. All of it has been vetted.
struct NewTorrent: Sendable {
    /// At least one, unless there is a file.
    var infoHashes: InfoHashes
    /// The whole .torrent, made from what was kept; `nil` if its metadata has to be asked for.
    var file: [UInt8]?
    var resumeData: [UInt8]?
    /// Whether of the resume data the peers are all that is used.
    var usesPeersOnly = false
    /// Absolute.
    var directory: String
    var trackers: [String] = []
    var peers: [clt_endpoint] = []
    /// Pieces from the first on that are wanted at once.
    var wantedHead: UInt32 = 0
    var maxConnections: Int32 = -1
    var maxUploads: Int32 = -1

    /// Lends it in C's terms.
    func withC(number: UInt64, _ body: (UnsafePointer<clt_new_torrent>) -> clt_code) -> clt_code {
        withOptionalBytes(infoHashes.v1?.bytes) { v1, _ in
            withOptionalBytes(infoHashes.v2?.bytes) { v2, _ in
                withOptionalBytes(file) { file, fileCount in
                    withOptionalBytes(resumeData) { resume, resumeCount in
                        withCStrings(trackers) { trackers in
                            peers.withUnsafeBufferPointer { peers in
                                directory.withCString { directory in
                                    var torrent = clt_new_torrent()
                                    torrent.torrent = number
                                    torrent.info_hash_v1 = v1
                                    torrent.info_hash_v2 = v2
                                    torrent.torrent_file = file
                                    torrent.torrent_file_count = fileCount
                                    torrent.resume_data = resume
                                    torrent.resume_data_count = resumeCount
                                    torrent.resumes_peers_only = usesPeersOnly ? 1 : 0
                                    torrent.directory = directory
                                    torrent.trackers = trackers.baseAddress
                                    torrent.tracker_count = trackers.count
                                    torrent.peers = peers.baseAddress
                                    torrent.peer_count = peers.count
                                    torrent.wanted_head = wantedHead
                                    torrent.max_connections = maxConnections
                                    torrent.max_uploads = maxUploads
                                    return body(&torrent)
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
    _ body: (UnsafePointer<UInt8>?, Int) -> Value
) -> Value {
    guard let bytes else { return body(nil, 0) }
    return bytes.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
}

private func withCStrings<Value>(
    _ strings: [String],
    _ body: (UnsafeBufferPointer<UnsafePointer<CChar>?>) -> Value
) -> Value {
    // One block of memory for all, each ended by a NUL; pointers into it.
    let bytes = strings.flatMap { Array($0.utf8CString) }
    return bytes.withUnsafeBufferPointer { block in
        var start = 0
        let pointers = strings.map { string in
            defer { start += string.utf8.count + 1 }
            return block.baseAddress.map { $0 + start }
        }
        return pointers.withUnsafeBufferPointer(body)
    }
}
