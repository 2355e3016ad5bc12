/// What a request says of a torrent, vetted.
struct TorrentReference: Sendable {
    var hashes: InfoHashes
    var leads = TorrentLeads()
    /// All of it, if it was sent.
    var torrent: StoredTorrent?
}
