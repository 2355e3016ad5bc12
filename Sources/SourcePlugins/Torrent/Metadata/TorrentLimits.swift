/// What a stranger's torrent may cost. Anything beyond is refused: before libtorrent sees it, or, if peers sent it, when
/// libtorrent has read it within limits of its own (`session_defaults.cpp`).
package struct TorrentLimits: Sendable, Hashable {
    /// Bytes of an info dictionary.
    package var infoBytes = 8 << 20
    /// Bytes of a .torrent file.
    package var uploadBytes = 10 << 20
    /// Bytes of a magnet link, before anything in it is decoded.
    package var magnetBytes = 64 << 10
    /// libtorrent reads a piece at a time into memory, and asks for blocks of 16 KiB.
    package var pieceLength: ClosedRange<Int64> = (16 << 10)...(32 << 20)
    /// As many as the longest list of piece priorities that the engine keeps.
    package var pieces = 65_536
    /// Files, pad files not counted; and as many pad files again.
    package var files = 10_000
    package var totalSize: Int64 = 64 << 40
    /// Bytes of all pad files together, those that libtorrent adds itself among them.
    package var padBytes: Int64 = 1 << 30
    /// Names in one path.
    package var pathDepth = 32
    /// Bytes of one path, slashes included.
    package var pathBytes = 4096
    /// Bytes of one name, as file systems have it.
    package var nameBytes = 255
    /// Trackers that are looked at, of all that are given.
    package var trackersRead = 200
    /// Trackers that are kept, of those looked at.
    package var trackersKept = 20
    /// Peers that a magnet link may name.
    package var peers = 50
    /// Peers that are kept of all links to a torrent together.
    package var linkedPeers = 100
    /// Trackers that are kept of all links to a torrent together.
    package var linkedTrackers = 40

    package init() {}

    var infoBencode: Bencode.Limits { Bencode.Limits(bytes: infoBytes, tokens: 500_000, depth: 64) }
    var uploadBencode: Bencode.Limits { Bencode.Limits(bytes: uploadBytes, tokens: 600_000, depth: 66) }
}
