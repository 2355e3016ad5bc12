import NIOCore
import Synchronization

/// Buffers for copies, used in turn: a fresh one costs a page fault for every 4 KiB of it.
///
/// The one that was lent longest ago is the likeliest to be nobody's by now. If it is still somebody's,
/// `ByteBuffer.clear()` leaves the storage to them and takes a new one, which makes sharing safe.
final class CopyBuffers: Sendable {
    /// Bytes of a copy, and of one while many are held.
    static let (long, short) = (1 << 20, 64 << 10)

    private static let kept = max(MemoryLimit.part(oneOf: 32, atMost: 16 << 20) / long, 1)
    /// Bytes that may be held before copies are short.
    private static let plenty = MemoryLimit.part(oneOf: 16, atMost: 64 << 20)

    private let buffers = Mutex<[ByteBuffer]>([])
    private let heldBytes = Atomic(0)

    /// How long a copy may be now.
    var length: Int { heldBytes.load(ordering: .relaxed) < Self.plenty ? Self.long : Self.short }

    /// - Returns: what `fill` made of an empty buffer; `nil` if that has no bytes.
    func copy(length: Int, _ fill: (inout ByteBuffer) -> Void) -> ByteBuffer? {
        var buffer = ByteBuffer()
        if length > Self.short {
            buffer = buffers.withLock { $0.count < Self.kept ? nil : $0.removeFirst() } ?? buffer
            buffer.clear(minimumCapacity: Self.long)
        }
        fill(&buffer)
        if length > Self.short {
            let spare = buffers.withLock { buffers in
                buffers.append(buffer)
                return buffers.count > Self.kept ? buffers.removeFirst() : nil
            }
            withExtendedLifetime(spare) {}
        }
        return buffer.readableBytes > 0 ? buffer : nil
    }

    /// Notes that a copy is to be made, and held by a connection, or with a negative number that it no longer is.
    func noteHeld(_ bytes: Int) { heldBytes.wrappingAdd(bytes, ordering: .relaxed) }

    func removeAll() { buffers.withLock { $0 = [] } }
}
