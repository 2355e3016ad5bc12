import CLinux
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// An open file.
///
/// The descriptor stays with the file that was opened: one that is renamed over or deleted is read on to its end.
///
/// A file that is written to while it is open is no longer the revision that was opened. After each piece the file is
/// looked at again, and if anything moved the piece is dropped and the read fails with `changed`.
///
/// One that was written to within 2 s before it was opened is likely to be written to again: a recording, a download.
/// It is an object of the size it had at that moment and has no revision, so no bytes of it are ever joined with those
/// of another read. Its reads ask only that the file has not been written to but by growing, which lets the part that
/// is there be played meanwhile. A writer that pauses for longer makes such a file an ordinary one, whose reads fail
/// when it goes on; the next `open` then finds a growing file.
final class DiskObject: FileBackedObject {
    let info: ObjectInfo
    let maySendFile: Bool
    let pool: NIOThreadPool
    let buffers: PieceBuffers
    private let descriptor: Int32
    private let opened: FileState
    /// Of a file without a revision: how it was when it was last looked at.
    private let grown: Mutex<FileState>
    /// Whether nothing but the blocks of the file can make a call wait.
    private let isLocal: Bool

    /// - Parameters:
    ///   - fileSystem: where the file is.
    ///   - sendsFiles: whether the file is said never to change in place.
    /// - Throws: ``SourceError`` `notFound` if `descriptor` is not of a regular file with content of its own.
    init(
        _ descriptor: consuming Descriptor,
        on fileSystem: FileSystem,
        sendsFiles: Bool,
        now: Timestamp,
        pool: NIOThreadPool,
        buffers: PieceBuffers
    ) throws {
        do throws(SystemCallFailure) {
            opened = try FileState(of: descriptor.rawValue)
        } catch {
            throw SourceError(error)
        }
        guard opened.isRegularFile, fileSystem != .kernel else {
            throw SourceError(.notFound, "there is no such file")
        }
        grown = Mutex(opened)
        isLocal = fileSystem == .local
        info = ObjectInfo(
            size: opened.size,
            revision: opened.isSettled(at: now) ? opened.revision : nil,
            lastModified: opened.modified,
            validity: .recheck(after: .seconds(1)),
            localRevision: "\(opened.device)-\(opened.inode)"
        )
        // To others than the owner the kernel does not tell what is in the page cache.
        maySendFile = sendsFiles && isLocal && info.revision != nil && opened.isOwnedByThisProcess
        self.pool = pool
        self.buffers = buffers
        self.descriptor = descriptor.release()
    }

    /// The last close of a deleted file gives its blocks back, which takes long for a large file, and on a network
    /// file system it may wait for the server. Such files are closed on the pool, since the last reference may go on an
    /// event loop.
    deinit {
        if isLocal, let state = try? FileState(of: descriptor), state.links > 0 {
            close(descriptor)
        } else {
            pool.submit { [descriptor] _ in close(descriptor) }
        }
    }

    func read(_ range: Range<Int64>) async throws -> ByteStream {
        precondition(range.lowerBound >= 0 && range.upperBound <= opened.size, "the range lies outside the object")
        let reader = DiskReader(self, range)
        try await reader.prepare()
        return ByteStream { try await reader.next() }
    }

    var fileNumber: UInt64 { opened.inode ^ opened.device.byteSwapped }

    func isAtHand(_ range: Range<Int64>) -> Bool {
        maySendFile && clinux_is_cached(descriptor, range.lowerBound, UInt64(range.count)) == 1
    }

    func withFile<Value>(upTo end: Int64, _ body: (_ descriptor: Int32) -> Value) -> Value? {
        guard (try? checkUnchanged(upTo: end)) != nil else { return nil }
        return body(descriptor)
    }

    func readCached(_ range: Range<Int64>, into buffer: inout ByteBuffer) throws -> Bool {
        guard isLocal else { return false }
        let length = Int(range.upperBound - range.lowerBound)
        let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: length) { bytes in
            max(Int(clinux_pread_cached(descriptor, bytes.baseAddress, UInt64(length), range.lowerBound)), 0)
        }
        guard count == length else { return false }
        // Of a write that has only begun the end may be waited for, but not here.
        if info.revision == nil { return try hasOnlyGrown(state(), upTo: range.upperBound) }
        try checkUnchanged(upTo: range.upperBound)
        return true
    }

    /// Reads what `buffer` lacks of `range`. Blocks.
    ///
    /// - Throws: ``SourceError``.
    func readRest(of range: Range<Int64>, into buffer: inout ByteBuffer) throws {
        do {
            while buffer.readableBytes < range.upperBound - range.lowerBound {
                let offset = range.lowerBound + Int64(buffer.readableBytes)
                let rest = Int(range.upperBound - offset)
                let count = try buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: rest) { bytes in
                    try retryingInterrupts("pread") { pread(descriptor, bytes.baseAddress, rest, off_t(offset)) }
                }
                guard count > 0 else { throw changed }
            }
            // A write that makes the file longer may be under way: it gets a moment to end. This runs on the pool for calls
            // that block, like the reads above, and waits 10 ms at most, for a file that is being written alone.
            for _ in 0..<Self.looks where info.revision == nil {
                if hasOnlyGrown(try state(), upTo: range.upperBound) { return }
                usleep(Self.pauseMicroseconds)
            }
        } catch let failure as SystemCallFailure {
            throw SourceError(failure)
        }
        try checkUnchanged(upTo: range.upperBound)
    }

    private func checkUnchanged(upTo end: Int64) throws {
        let current = try state()
        guard info.revision == nil ? hasOnlyGrown(current, upTo: end) : current.hasContent(of: opened) else {
            throw changed
        }
    }

    private func state() throws -> FileState {
        do throws(SystemCallFailure) {
            return try FileState(of: descriptor)
        } catch {
            throw SourceError(error)
        }
    }

    /// Whether every write that is known of made the file longer. One that has only begun has a new time and the old size.
    private func hasOnlyGrown(_ current: FileState, upTo end: Int64) -> Bool {
        grown.withLock { last in
            guard current.isSameFile(as: opened), current.size >= end, current.size >= last.size,
                current.size > last.size || current.modified == last.modified
            else { return false }
            last = current
            return true
        }
    }

    private static let looks = 5
    private static let pauseMicroseconds: UInt32 = 2000

    private var changed: SourceError {
        SourceError(.changed, "the file changed while it was read")
    }
}
