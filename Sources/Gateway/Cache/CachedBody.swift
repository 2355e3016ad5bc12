import ChunkCache
import Glibc
import NIOCore
import Synchronization

/// Part of an object in the chunk cache, sent straight from the database's map: the kernel copies it in the call, so
/// nothing of the database is held any longer than that.
final class CachedBody: DirectBody {
    private let cache: ChunkStore
    private let object: CachedObject
    /// Where the answer ends.
    private let end: Int64
    /// The chunk that was last told to the eviction policy as used.
    private let used = Mutex<UInt64?>(nil)

    init(_ cache: ChunkStore, _ object: CachedObject, upTo end: Int64) {
        self.cache = cache
        self.object = object
        self.end = end
        object.beginReading()
    }

    deinit { object.endReading() }

    /// Bytes of this chunk went out as they came from the source: it is no hit if the rest of it is sent from the cache.
    func noteFetched(_ id: ChunkID) { used.withLock { $0 = id.index } }

    let bytesPerTurn: Int64 = 2 << 20

    func send(_ range: Range<Int64>, after head: ByteBuffer, to socket: Int32) -> DirectSendResult {
        guard begin(at: range.lowerBound) else { return .unavailable }
        let result = cache.withBytes(of: object, at: range) { parts in Self.send(head, parts, to: socket) }
        let sent =
            switch result {
            case .sent(let count), .full(let count): Int64(count - head.readableBytes)
            case .unavailable, .failed, nil: Int64(0)
            }
        // It ends in a chunk that is used now, if not with it.
        if sent > 0 { noteUse(through: object.chunk(at: range.lowerBound + sent - 1).index) }
        return result ?? .unavailable
    }

    func copy(_ range: Range<Int64>) -> ByteBuffer? {
        guard begin(at: range.lowerBound) else { return nil }
        let copied = cache.withBytes(of: object, at: range) { parts in
            var buffer = ByteBuffer()
            for part in parts { buffer.writeBytes(part) }
            return buffer
        }
        if let copied { noteUse(through: object.chunk(at: range.lowerBound + Int64(copied.readableBytes) - 1).index) }
        return copied
    }

    /// Whether the chunk at `position` is ready, which counts as a use of it if the body was in another one before.
    private func begin(at position: Int64) -> Bool {
        let id = object.chunk(at: position)
        if used.withLock({ $0 == id.index }) { return true }
        guard cache.use(id, of: object) else { return false }
        used.withLock { $0 = id.index }
        cache.prefetch(behind: id, of: object, upTo: end)
        return true
    }

    /// The chunks behind the one that was begun, up to the one with this index, were sent too.
    private func noteUse(through index: UInt64) {
        let first = used.withLock { used in
            defer { used = index }
            return used.map { $0 + 1 } ?? index
        }
        guard first <= index else { return }
        for index in first...index { _ = cache.use(ChunkID(object: object.number, index: index), of: object) }
        cache.prefetch(behind: ChunkID(object: object.number, index: index), of: object, upTo: end)
    }

    private static let flags = Int32(MSG_NOSIGNAL | MSG_DONTWAIT)

    private static func send(
        _ head: ByteBuffer,
        _ parts: UnsafeBufferPointer<UnsafeRawBufferPointer>,
        to socket: Int32
    ) -> DirectSendResult {
        let offered = parts.reduce(head.readableBytes) { $0 + $1.count }
        let sent = head.withUnsafeReadableBytes { head in
            withUnsafeTemporaryAllocation(of: iovec.self, capacity: parts.count + 1) { vectors in
                // The kernel passes over an empty one.
                vectors.initializeElement(at: 0, to: iovec(head))
                for (index, part) in parts.enumerated() { vectors.initializeElement(at: index + 1, to: iovec(part)) }
                var message = msghdr()
                message.msg_iov = vectors.baseAddress
                message.msg_iovlen = parts.count + 1
                return sendmsg(socket, &message, flags)
            }
        }
        if sent == offered { return .sent(sent) }
        if sent >= 0 { return .full(sent) }
        return errno == EAGAIN || errno == EINTR ? .full(0) : .failed(errno)
    }
}

extension iovec {
    /// For the kernel to read.
    fileprivate init(_ bytes: UnsafeRawBufferPointer) {
        self.init(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
    }
}
