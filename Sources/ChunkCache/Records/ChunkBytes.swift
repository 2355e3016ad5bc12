import CChecksum
package import NIOCore

/// Bytes of a chunk, in the pieces they came in, and their checksum: it is made piece by piece, which costs least while
/// the bytes are new.
package struct ChunkBytes: Sendable {
    package private(set) var pieces: [ByteBuffer] = []
    package private(set) var count = 0
    /// CRC-32C of all bytes.
    private(set) var checksum: UInt32 = 0

    package init() {}

    package init(_ piece: ByteBuffer) {
        pieces = [piece]
        count = piece.readableBytes
        checksum = piece.withUnsafeReadableBytes { checksum_crc32c(0, $0.baseAddress, $0.count) }
    }

    /// Does not look at the bytes.
    package mutating func append(_ other: ChunkBytes) {
        pieces += other.pieces
        count += other.count
        checksum = checksum_crc32c_combine(checksum, other.checksum, UInt64(other.count))
    }
}
