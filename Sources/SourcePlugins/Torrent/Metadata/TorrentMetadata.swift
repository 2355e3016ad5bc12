/// What an info dictionary says (BEP 3, BEP 52), vetted: names that are safe, sizes that add up.
///
/// Files have the numbers that libtorrent 2.0 gives them, and pieces likewise.
package struct TorrentMetadata: Sendable {
    package let hashes: InfoHashes
    package let name: MediaPath.Component
    package let pieceLength: Int64
    package let pieceCount: Int
    /// Pad files included.
    package let totalSize: Int64
    /// Peers come from its trackers alone (BEP 27).
    package let isPrivate: Bool
    /// All of them, in order: a file's index is its place here. Each starts where the one before ends.
    package let files: [TorrentFile]
    /// By file index, the roots of the hash trees of version 2; empty for version 1.
    let pieceRoots: [Int: [UInt8]]

    /// Reads an info dictionary as peers send it.
    ///
    /// - Parameter info: the dictionary, exactly as it is hashed.
    /// - Throws: ``SourceError`` that says what is wrong and where: `badReference` if it is not a torrent, `refused` if it
    ///   is beyond `limits` or of a kind that is not served.
    package init(info: [UInt8], limits: TorrentLimits = TorrentLimits()) throws {
        let document = try Bencode(info, limits: limits.infoBencode)
        let contents = try InfoReader(document, limits: limits).read()
        guard
            let hashes = InfoHashes(
                v1: contents.hasV1 ? .v1(of: info) : nil,
                v2: contents.hasV2 ? .v2(of: info) : nil
            )
        else { throw SourceError(.badReference, "the torrent is of no known version") }
        self.hashes = hashes
        name = contents.name
        pieceLength = contents.layout.pieceLength
        pieceCount = contents.layout.pieceCount
        totalSize = contents.layout.totalSize
        isPrivate = contents.isPrivate
        files = contents.layout.files
        pieceRoots = contents.layout.pieceRoots
    }

    /// - Returns: `nil` if there is no file of that number, or it is not servable.
    package func file(at index: Int) -> TorrentFile? {
        files.indices.contains(index) && files[index].isServable ? files[index] : nil
    }

    /// The first servable file whose path has exactly these bytes; the torrent's name is part of the path.
    package func file(at path: MediaPath) -> TorrentFile? {
        let components = path.components
        return files.first { $0.isServable && $0.path == components }
    }
}
