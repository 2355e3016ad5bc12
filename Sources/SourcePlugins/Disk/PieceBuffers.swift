import NIOCore
import Synchronization

/// Buffers of one piece each, used again and again.
///
/// A fresh buffer of this size costs a page fault for every 4 KiB of it. So each read has one buffer, fills it anew for
/// each piece, and leaves it here for the next read. If the last piece is still held by whoever got it,
/// `ByteBuffer.clear()` leaves that storage to its holder and takes a new one, which makes sharing safe.
final class PieceBuffers: Sendable {
    static let capacity = 256 << 10

    /// What is kept without a read that uses it.
    private static let idleLimit = 16

    private let idle = Mutex<[ByteBuffer]>([])

    /// The buffer that was put back last, which is the likeliest to be in the processor's cache.
    func take() -> ByteBuffer {
        idle.withLock { $0.popLast() } ?? ByteBuffer()
    }

    func putBack(_ buffer: ByteBuffer) {
        guard buffer.capacity >= Self.capacity else { return }
        idle.withLock { idle in
            if idle.count < Self.idleLimit { idle.append(buffer) }
        }
    }
}
