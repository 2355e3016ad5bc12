/// How a torrent's bytes are cut into pieces.
package struct PieceLayout: Sendable, Hashable {
    package let pieceLength: Int64
    package let totalLength: Int64

    /// - Returns: `nil` if there is no byte, or more than any torrent has: pieces of 1 TiB, 64 PiB in all, 2³¹ − 1
    /// pieces.
    package init?(pieceLength: Int64, totalLength: Int64) {
        guard (1...1 << 40).contains(pieceLength), (1...1 << 56).contains(totalLength),
            (totalLength - 1) / pieceLength < Int64(Int32.max)
        else { return nil }
        self.pieceLength = pieceLength
        self.totalLength = totalLength
    }

    package var pieceCount: Int { Int((totalLength - 1) / pieceLength) + 1 }

    /// The pieces that have a byte of `bytes`. Bytes that the torrent does not have are in no piece.
    package func pieces(of bytes: Range<Int64>) -> Range<Int> {
        let bytes = bytes.clamped(to: 0..<totalLength)
        guard !bytes.isEmpty else { return 0..<0 }
        return Int(bytes.lowerBound / pieceLength)..<Int((bytes.upperBound - 1) / pieceLength) + 1
    }

    /// The bytes of a piece; none if there is no such piece.
    package func bytes(of piece: Int) -> Range<Int64> {
        guard (0..<pieceCount).contains(piece) else { return 0..<0 }
        let start = Int64(piece) * pieceLength
        return start..<start + min(pieceLength, totalLength - start)
    }
}
