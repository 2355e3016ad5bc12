import ChunkCache
import Glibc
import NIOCore
import SourcePlugins

/// Part of a file, sent with `sendfile(2)`.
final class FileBody: DirectBody {
    /// The kernel is asked for so much of a file at a time whether it has it in memory.
    private static let window: Int64 = 1 << 20
    /// What the kernel said of whole windows, to all requests: it has one page cache.
    private static let residents = ResidencyMemory(trust: 8)

    private let object: any FileBackedObject

    /// - Returns: `nil` unless the kernel may send the object by itself.
    init?(_ object: any MediaObject) {
        guard let file = object as? any FileBackedObject, file.maySendFile else { return nil }
        self.object = file
    }

    /// The kernel moves pages of the file, and copies none.
    let bytesPerTurn: Int64 = 4 << 20

    /// Whether the first bytes of `range` are to be had without waiting.
    func isAtHand(_ range: Range<Int64>) -> Bool { !part(of: range).isEmpty }

    func send(_ range: Range<Int64>, after head: ByteBuffer, to socket: Int32) -> DirectSendResult {
        let part = part(of: range)
        guard !part.isEmpty else { return .unavailable }
        let result = object.withFile(upTo: part.upperBound) { file -> DirectSendResult in
            var sent = 0
            if head.readableBytes > 0 {
                sent = head.withUnsafeReadableBytes { bytes in
                    Glibc.send(socket, bytes.baseAddress, bytes.count, Self.headFlags)
                }
                guard sent == head.readableBytes else { return Self.shortfall(sent, after: 0) }
            }
            var offset = off_t(part.lowerBound)
            let count = sendfile(socket, file, &offset, part.count)
            if count == part.count { return .sent(sent + count) }
            // The end of a file that was cut short looks like nothing to send.
            if count == 0 { return sent > 0 ? .sent(sent) : .unavailable }
            return Self.shortfall(count, after: sent)
        }
        return result ?? .unavailable
    }

    func copy(_ range: Range<Int64>) -> ByteBuffer? {
        var buffer = ByteBuffer()
        return (try? object.readCached(range, into: &buffer)) == true ? buffer : nil
    }

    /// As much of the start of `range` as can be sent at once without waiting for the disk, found window by window.
    private func part(of range: Range<Int64>) -> Range<Int64> {
        let size = object.info.size ?? 0
        let limit = min(range.upperBound, size, range.lowerBound + min(Int64(range.count), bytesPerTurn))
        var end = range.lowerBound
        while end < limit {
            let number = end / Self.window
            let start = number * Self.window
            // Of a file's last window there is less.
            let whole = start..<min(start + Self.window, size)
            let part = end..<min(whole.upperBound, limit)
            guard isResident(number, whole, part) else { break }
            // What the kernel says may be wrong before it has sent it: what is read is not sent in its place.
            guard !Self.residents.isMemoryShort else { break }
            end = part.upperBound
        }
        return range.lowerBound..<end
    }

    private func isResident(_ number: Int64, _ whole: Range<Int64>, _ part: Range<Int64>) -> Bool {
        let index = UInt64(number)
        if !Self.residents.isMemoryShort, Self.residents.contains(object.fileNumber, index) { return true }
        // For a small part the kernel need not look at the whole window.
        guard part.count >= whole.count / 8 else { return object.isAtHand(part) }
        guard object.isAtHand(whole) else {
            Self.residents.noteAbsent(object.fileNumber, index)
            return part != whole && object.isAtHand(part)
        }
        Self.residents.insert(object.fileNumber, index)
        return true
    }

    private static let headFlags = Int32(MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE)

    /// What it means that a system call took less than it was given.
    private static func shortfall(_ count: Int, after sent: Int) -> DirectSendResult {
        if count >= 0 { return .full(sent + count) }
        return errno == EAGAIN || errno == EINTR ? .full(sent) : .failed(errno)
    }
}
