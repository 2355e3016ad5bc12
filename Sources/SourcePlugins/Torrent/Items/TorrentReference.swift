/// What a request says of a torrent, vetted.
struct TorrentReference: Sendable {
    var hashes: InfoHashes
    var trackers: [TrackerURL] = []
    var peers: [PeerAddress] = []
    /// All of it, if it was sent.
    var torrent: StoredTorrent?
}
