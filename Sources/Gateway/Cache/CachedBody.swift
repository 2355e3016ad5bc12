package import ChunkCache
import Glibc
package import NIOCore
import Synchronization

/// Part of an object in the chunk cache, sent straight from the database's map: the kernel copies it in the call, so
/// nothing of the database is held any longer than that.
package final class CachedBody: DirectBody {
    private let cache: ChunkStore
    private let object: CachedObject
    /// Where the answer ends.
    private let end: Int64
    private let progress = Mutex(Progress())

    private struct Progress {
        /// The chunk that was last told to the eviction policy as used.
        var used: UInt64?
        /// Whether that one was read from the source for this answer, or ahead of it, and is sent for the first time.
        var isFetched = false
        /// What went out of such chunks.
        var fetchedBytes: Int64 = 0
    }

    package init(_ cache: ChunkStore, _ object: CachedObject, upTo end: Int64) {
        self.cache = cache
        self.object = object
        self.end = end
        object.beginReading()
    }

    deinit { object.endReading() }

    /// Bytes of this chunk went out as they came from the source: it is no hit if the rest of it is sent from the cache.
    func noteFetched(_ id: ChunkID) { progress.withLock { ($0.used, $0.isFetched) = (id.index, true) } }

    package func takeFetchedBytes() -> Int64 {
        progress.withLock { progress in
            defer { progress.fetchedBytes = 0 }
            return progress.fetchedBytes
        }
    }

    package let bytesPerTurn: Int64 = 2 << 20

    package func send(_ range: Range<Int64>, after head: ByteBuffer, to socket: Int32) -> DirectSendResult {
        guard !cache.isMemoryShort else { return .unavailable }
        let result = cache.withBytes(of: object, at: range) { parts in Self.send(head, parts, to: socket) }
        let sent =
            switch result {
            case .sent(let count), .full(let count): Int64(count - head.readableBytes)
            case .unavailable, .failed, nil: Int64(0)
            }
        // The socket may have taken less than the head.
        noteUse(of: range.lowerBound..<range.lowerBound + max(sent, 0))
        return result ?? .unavailable
    }

    package func copy(_ range: Range<Int64>) -> ByteBuffer? {
        guard !cache.isMemoryShort else { return nil }
        let copied = cache.withBytes(of: object, at: range) { parts in
            var buffer = ByteBuffer()
            for part in parts { buffer.writeBytes(part) }
            return buffer
        }
        if let copied { noteUse(of: range.lowerBound..<range.lowerBound + Int64(copied.readableBytes)) }
        return copied
    }

    /// Sends the first bytes in `range` by way of a copy, for which this may wait: where memory is short the map is not for
    /// an event loop.
    ///
    /// - Returns: how many; none if they cannot be had from the cache.
    func sendCopy(_ range: Range<Int64>, to exchange: Exchange) async throws -> Int64 {
        let id = object.chunk(at: range.lowerBound)
        let sent = try await cache.withCopy(of: id, object.part(of: id, in: range)) { copy in
            noteUse(of: range.lowerBound..<range.lowerBound + Int64(copy.readableBytes))
            try await exchange.write(copy, from: takeFetchedBytes() > 0 ? .source : .cache)
            return Int64(copy.readableBytes)
        }
        return sent ?? 0
    }

    /// Bytes in `range` went out: each chunk of theirs is used now, unless the body was in it before.
    private func noteUse(of range: Range<Int64>) {
        guard !range.isEmpty else { return }
        let last = object.chunk(at: range.upperBound - 1)
        var id = object.chunk(at: range.lowerBound)
        var (used, isFetched) = progress.withLock { ($0.used, $0.isFetched) }
        let old = used
        var fetchedBytes: Int64 = 0
        while true {
            if used != id.index { (used, isFetched) = (id.index, cache.use(id, of: object) == .first) }
            if isFetched { fetchedBytes += Int64(range.clamped(to: object.range(of: id)).count) }
            guard id.index < last.index else { break }
            id = ChunkID(object: id.object, index: id.index + 1)
        }
        progress.withLock { progress in
            (progress.used, progress.isFetched) = (used, isFetched)
            progress.fetchedBytes += fetchedBytes
        }
        if old != last.index { cache.prefetch(behind: last, of: object, upTo: end) }
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
