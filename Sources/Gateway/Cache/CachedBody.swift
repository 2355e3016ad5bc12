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

    func send(_ range: Range<Int64>, after head: ByteBuffer, to socket: Int32) -> DirectSendResult {
        withPart(of: range) { bytes in Self.send(head, bytes, to: socket) } ?? .unavailable
    }

    func copy(_ range: Range<Int64>) -> ByteBuffer? {
        withPart(of: range) { bytes in ByteBuffer(bytes: bytes) }
    }

    /// Lends the bytes at the start of `range`, up to its end or that of their chunk.
    private func withPart<Value>(of range: Range<Int64>, _ body: (UnsafeRawBufferPointer) -> Value) -> Value? {
        let id = object.chunk(at: range.lowerBound)
        if used.withLock({ $0 != id.index }) {
            guard cache.use(id) else { return nil }
            used.withLock { $0 = id.index }
            if object.range(of: id).upperBound < end { cache.prefetch(ChunkID(object: id.object, index: id.index + 1)) }
        }
        let start = object.range(of: id).lowerBound
        let count = min(range.upperBound - start, object.chunkSize)
        return cache.withBytes(of: id, Int(range.lowerBound - start)..<Int(count), body)
    }

    private static let flags = Int32(MSG_NOSIGNAL | MSG_DONTWAIT)

    private static func send(_ head: ByteBuffer, _ bytes: UnsafeRawBufferPointer, to socket: Int32) -> DirectSendResult
    {
        let offered = head.readableBytes + bytes.count
        let sent =
            head.readableBytes == 0
            ? Glibc.send(socket, bytes.baseAddress, bytes.count, flags)
            : head.withUnsafeReadableBytes { head in
                withUnsafeTemporaryAllocation(of: iovec.self, capacity: 2) { vectors in
                    vectors.initializeElement(at: 0, to: iovec(head))
                    vectors.initializeElement(at: 1, to: iovec(bytes))
                    var message = msghdr()
                    message.msg_iov = vectors.baseAddress
                    message.msg_iovlen = 2
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
