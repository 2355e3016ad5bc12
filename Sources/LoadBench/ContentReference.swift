import CChecksum
import FoundationEssentials
import Glibc
package import NIOCore
import Synchronization

/// What the bytes of an object are compared with.
package enum ContentReference: Sendable {
    /// Nothing: bodies are what they are.
    case unknown
    /// A file that holds the same bytes.
    case file(ReferenceFile)
    /// What was there at the first time, from whatever server.
    case first(BlockLedger)
}

/// A local file, read as it is needed: a mapping would end the process if somebody made the file shorter.
package final class ReferenceFile: Sendable {
    package let size: Int64
    private let descriptor: Int32

    /// - Throws: ``LoadRefusal`` if there is no such file, or it cannot be read.
    package init(path: String) throws(LoadRefusal) {
        // Without waiting for somebody who writes, should it be a pipe.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw LoadRefusal("cannot read \(path): \(String(cString: strerror(errno)))", .failed)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw LoadRefusal("\(path) is not a file", .failed)
        }
        size = Int64(status.st_size)
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Whether the file has these bytes at `position`.
    package func holds(_ bytes: ByteBuffer, at position: Int64) -> Bool {
        bytes.withUnsafeReadableBytes { bytes in
            withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { scratch in
                var done = 0
                while done < bytes.count {
                    let wanted = min(scratch.count, bytes.count - done)
                    let count = pread(descriptor, scratch.baseAddress, wanted, off_t(position) + done)
                    if count < 0, errno == EINTR { continue }
                    guard count > 0, let scratch = scratch.baseAddress, let bytes = bytes.baseAddress,
                        memcmp(scratch, bytes + done, count) == 0
                    else { return false }
                    done += count
                }
                return true
            }
        }
    }
}

/// The checksums of an object's blocks as they were seen first.
///
/// A block is compared when an answer holds all of it. That tells whether answers agree with each other, not whether the
/// first one was right.
package final class BlockLedger: Sendable {
    package static let blockSize: Int64 = 16 << 10

    enum Verdict {
        case first
        case same
        case different
    }

    /// Of blocks that are remembered: 64 GiB of an object. Those that come when there are so many are not compared.
    private static let most = 4 << 20

    private let checksums = Mutex<[Int64: UInt32]>([:])

    package init() {}

    func compare(_ checksum: UInt32, block: Int64) -> Verdict {
        checksums.withLock { checksums in
            if let known = checksums[block] { return known == checksum ? .same : .different }
            if checksums.count < Self.most { checksums[block] = checksum }
            return .first
        }
    }
}

/// Compares one body, piece by piece, with what it should be.
package struct BodyCheck: Sendable {
    private let reference: ContentReference
    private let size: Int64?
    private var position: Int64
    /// Of the bytes of a block up to `position`; `nil` while its beginning is not there.
    private var checksum: UInt32?
    /// How many bytes were compared.
    package private(set) var compared: Int64 = 0

    /// - Parameters:
    ///   - position: where in the object the body begins.
    ///   - size: of the object, if it is known.
    package init(_ reference: ContentReference, position: Int64, size: Int64?) {
        self.reference = reference
        self.position = position
        self.size = size
    }

    /// - Throws: ``LoadFailure`` if the bytes are others.
    package mutating func take(_ bytes: ByteBuffer) throws(LoadFailure) {
        if case .file(let file) = reference, let size, size != file.size {
            throw LoadFailure(.wrongBytes, "an object of \(size) bytes; the file has \(file.size)")
        }
        let first = position
        guard matches(bytes) else {
            throw LoadFailure(
                .wrongBytes,
                "other bytes somewhere in \(first)-\(first + Int64(bytes.readableBytes) - 1)"
            )
        }
    }

    private mutating func matches(_ bytes: ByteBuffer) -> Bool {
        defer { position += Int64(bytes.readableBytes) }
        switch reference {
        case .unknown: return true
        case .file(let file):
            guard file.holds(bytes, at: position) else { return false }
            compared += Int64(bytes.readableBytes)
            return true
        case .first(let ledger): return agrees(bytes, ledger)
        }
    }

    private mutating func agrees(_ bytes: ByteBuffer, _ ledger: BlockLedger) -> Bool {
        bytes.withUnsafeReadableBytes { bytes in
            var (rest, place) = (bytes[...], position)
            while !rest.isEmpty {
                let block = place / BlockLedger.blockSize
                let blockEnd = min((block + 1) * BlockLedger.blockSize, size ?? .max)
                let part = rest.prefix(Int(clamping: max(blockEnd - place, 1)))
                if place % BlockLedger.blockSize == 0 { checksum = 0 }
                if let sum = checksum {
                    checksum = part.withUnsafeBytes { checksum_crc32c(sum, $0.baseAddress, $0.count) }
                }
                rest = rest.dropFirst(part.count)
                place += Int64(part.count)
                if place == blockEnd, let sum = checksum {
                    checksum = nil
                    switch ledger.compare(sum, block: block) {
                    case .first: break
                    case .same: compared += blockEnd - block * BlockLedger.blockSize
                    case .different: return false
                    }
                }
            }
            return true
        }
    }
}
