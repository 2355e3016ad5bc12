import Glibc
import NIOCore
import SourcePlugins
import Synchronization

/// Part of a file, sent with `sendfile(2)`.
final class FileBody: DirectBody {
    /// How far ahead the kernel is asked whether it has the bytes in memory.
    private static let stride: Int64 = 1 << 20
    /// For how long its answer is believed.
    private static let memory = TimeAmount.seconds(1)

    private struct AtHand {
        var range: Range<Int64> = 0..<0
        var asked = NIODeadline.uptimeNanoseconds(0)
    }

    private let object: any FileBackedObject
    private let atHand = Mutex(AtHand())

    /// - Returns: `nil` unless the kernel may send the object by itself.
    init?(_ object: any MediaObject) {
        guard let file = object as? any FileBackedObject, file.maySendFile else { return nil }
        self.object = file
    }

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

    /// As much of the start of `range` as can be sent at once without waiting for the disk.
    private func part(of range: Range<Int64>) -> Range<Int64> {
        let now = NIODeadline.now()
        return atHand.withLock { atHand in
            if !atHand.range.contains(range.lowerBound) || now - atHand.asked > Self.memory {
                let next = range.lowerBound..<min(range.upperBound, range.lowerBound + Self.stride)
                atHand = AtHand(range: object.isAtHand(next) ? next : 0..<0, asked: now)
            }
            let end = min(range.upperBound, atHand.range.upperBound)
            return range.lowerBound..<max(end, range.lowerBound)
        }
    }

    private static let headFlags = Int32(MSG_NOSIGNAL | MSG_DONTWAIT | MSG_MORE)

    /// What it means that a system call took less than it was given.
    private static func shortfall(_ count: Int, after sent: Int) -> DirectSendResult {
        if count >= 0 { return .full(sent + count) }
        return errno == EAGAIN || errno == EINTR ? .full(sent) : .failed(errno)
    }
}
