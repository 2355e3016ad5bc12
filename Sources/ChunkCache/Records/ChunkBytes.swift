import CChecksum
package import NIOCore

/// Bytes of a chunk, in the pieces they came in, and their checksum: it is made piece by piece, which costs least while
/// the bytes are new.
package struct ChunkBytes: Sendable {
    package private(set) var pieces: [ByteBuffer] = []
    /// Where each of the pieces but the first begins.
    private var starts: [Int] = []
    package private(set) var count = 0
    /// CRC-32C of all bytes.
    package private(set) var checksum: UInt32 = 0

    package init() {}

    package init(_ piece: ByteBuffer) {
        pieces = [piece]
        count = piece.readableBytes
        checksum = piece.withUnsafeReadableBytes { checksum_crc32c(0, $0.baseAddress, $0.count) }
    }

    /// Small pieces become one, so that there are not too many: a source may give bytes by the handful. Of others it does not
    /// look at the bytes.
    package mutating func append(_ other: ChunkBytes) {
        for piece in other.pieces {
            if let last = pieces.last, last.readableBytes + piece.readableBytes <= Self.smallPiece {
                pieces[pieces.count - 1].writeImmutableBuffer(piece)
            } else {
                if !pieces.isEmpty { starts.append(count) }
                pieces.append(piece)
            }
            count += piece.readableBytes
        }
        checksum = checksum_crc32c_combine(checksum, other.checksum, UInt64(other.count))
    }

    private static let smallPiece = 16 << 10

    /// The bytes from `offset` on, up to the end of a piece and at most `limit`; `nil` if there are none.
    func slice(at offset: Int, limit: Int) -> ByteBuffer? {
        guard offset >= 0, offset < count, limit > 0 else { return nil }
        // How many pieces begin at it or before, without the first.
        var (low, high) = (0, starts.count)
        while low < high {
            let middle = low + (high - low) / 2
            if starts[middle] <= offset { low = middle + 1 } else { high = middle }
        }
        let (piece, skipped) = (pieces[low], low == 0 ? offset : offset - starts[low - 1])
        return piece.getSlice(at: piece.readerIndex + skipped, length: min(piece.readableBytes - skipped, limit))
    }
}
