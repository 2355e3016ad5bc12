/// Where a range of a file lies among the pieces of its torrent.
package struct PieceSpan: Sendable, Hashable {
    /// The pieces that hold the range; at least one.
    package let pieces: Range<Int>
    /// Where the range starts within the first of them.
    package let offset: Int64
    /// The length of the range.
    package let length: Int64

    package init(pieces: Range<Int>, offset: Int64, length: Int64) {
        self.pieces = pieces
        self.offset = offset
        self.length = length
    }
}

extension TorrentMetadata {
    /// - Returns: `nil` if `range` is empty or not within the file, or the file is not of this torrent.
    package func pieces(of file: TorrentFile, _ range: Range<Int64>) -> PieceSpan? {
        guard files.indices.contains(file.index), files[file.index] == file else { return nil }
        guard !range.isEmpty, range.lowerBound >= 0, range.upperBound <= file.size else { return nil }
        // Offset and size were added up without overflow when the torrent was read.
        let start = file.offset + range.lowerBound
        let last = file.offset + range.upperBound - 1
        return PieceSpan(
            pieces: Int(start / pieceLength)..<Int(last / pieceLength) + 1,
            offset: start % pieceLength,
            length: range.upperBound - range.lowerBound
        )
    }

    /// The bytes of `file` that `piece` holds; `nil` if there are none.
    package func range(of file: TorrentFile, in piece: Int) -> Range<Int64>? {
        guard files.indices.contains(file.index), files[file.index] == file, let size = pieceSize(piece) else {
            return nil
        }
        let start = Int64(piece) * pieceLength
        let lower = max(start, file.offset)
        let upper = min(start + size, file.offset + file.size)
        return lower < upper ? lower - file.offset..<upper - file.offset : nil
    }

    /// The length of a piece: the last may be shorter than the others.
    ///
    /// - Returns: `nil` if there is no such piece.
    package func pieceSize(_ piece: Int) -> Int64? {
        guard (0..<pieceCount).contains(piece) else { return nil }
        return min(pieceLength, totalSize - Int64(piece) * pieceLength)
    }
}
