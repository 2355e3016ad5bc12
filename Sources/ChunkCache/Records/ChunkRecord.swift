import CChecksum
import NIOCore

/// The sixteen bytes in front of a chunk's own: what tells a whole and right chunk from anything else.
///
/// | offset | what | |
/// |---|---|---|
/// | 0 | `MGCH` | |
/// | 4 | length of the chunk | 32 bits |
/// | 8 | CRC-32C over the chunk's key, length, format and flags as they stand here, and its bytes | 32 bits |
/// | 12 | format, now 1 | 16 bits |
/// | 14 | flags, now 0 | 16 bits |
///
/// Numbers are little-endian. The key is in the sum, so that a chunk under another one's key is found out.
package struct ChunkRecord: Sendable, Hashable {
    package static let headerSize = 16
    /// More than any chunk size that can be configured, and far less than what a value of the database can hold.
    package static let maxLength = 1 << 30

    private static let magic = UInt32(littleEndian: 0x4843_474D)
    private static let format: UInt16 = 1

    /// Length of the chunk in bytes.
    package let length: Int
    private let checksum: UInt32

    /// Reads the header of `value` alone, which costs the same for every length.
    ///
    /// The length that ``length`` gives afterwards is that of `value` without its header.
    package init(header value: RawSpan) throws(ChunkRecordFault) {
        guard value.byteCount >= Self.headerSize else { throw .tooShort }
        let (magic, length, checksum, format, flags) = value.withUnsafeBytes { bytes in
            (
                bytes.loadUnaligned(as: UInt32.self),
                UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)),
                UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)),
                UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 12, as: UInt16.self)),
                UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 14, as: UInt16.self))
            )
        }
        guard magic == Self.magic else { throw .wrongMagic }
        guard format == Self.format, flags == 0 else { throw .unknownFormat }
        guard Int(length) == value.byteCount - Self.headerSize else { throw .wrongLength }
        self.length = Int(length)
        self.checksum = checksum
    }

    /// Reads the header of `value` and sums up all of it, which costs about 0.15 ms a mebibyte.
    ///
    /// - Throws: ``ChunkRecordFault`` unless `value` is what was written for `id`.
    @discardableResult
    package static func verify(_ value: RawSpan, id: ChunkID) throws(ChunkRecordFault) -> ChunkRecord {
        let record = try ChunkRecord(header: value)
        let checksum = value.withUnsafeBytes { bytes in
            let begun = Self.checksum(of: id, header: bytes)
            let chunk = UnsafeRawBufferPointer(rebasing: bytes.dropFirst(Self.headerSize))
            return checksum_crc32c(begun, chunk.baseAddress, chunk.count)
        }
        guard checksum == record.checksum else { throw .wrongChecksum }
        return record
    }

    /// Why `value` is not what was written for `id`; `nil` if it is.
    static func fault(of value: RawSpan, id: ChunkID) -> ChunkRecordFault? {
        // A bad place of the disk would end the process.
        guard value.withUnsafeBytes({ Residency.load($0) }) else { return .unreadable }
        do throws(ChunkRecordFault) {
            try verify(value, id: id)
        } catch {
            return error
        }
        return nil
    }

    /// Size of the value for a chunk of these bytes; `nil` if that is more than a chunk may have.
    package static func valueSize(of bytes: ChunkBytes) -> Int? {
        bytes.count <= maxLength ? headerSize + bytes.count : nil
    }

    /// Writes the header and the chunk straight into `value`.
    ///
    /// - Precondition: `value` has the size that ``valueSize(of:)`` gives.
    package static func write(_ bytes: ChunkBytes, id: ChunkID, into value: inout MutableRawSpan) {
        precondition(valueSize(of: bytes) == value.byteCount, "the value must have the size of the chunk's record")
        value.withUnsafeMutableBytes { value in
            value.storeBytes(of: magic, as: UInt32.self)
            value.storeBytes(of: UInt32(value.count - headerSize).littleEndian, toByteOffset: 4, as: UInt32.self)
            value.storeBytes(of: format.littleEndian, toByteOffset: 12, as: UInt16.self)
            value.storeBytes(of: 0, toByteOffset: 14, as: UInt16.self)
            var end = headerSize
            for piece in bytes.pieces {
                piece.withUnsafeReadableBytes { piece in
                    UnsafeMutableRawBufferPointer(rebasing: value[end...]).copyMemory(from: piece)
                    end += piece.count
                }
            }
            let begun = checksum(of: id, header: UnsafeRawBufferPointer(value))
            let checksum = checksum_crc32c_combine(begun, bytes.checksum, UInt64(bytes.count))
            value.storeBytes(of: checksum.littleEndian, toByteOffset: 8, as: UInt32.self)
        }
    }

    /// The sum as far as it does not depend on the chunk's bytes.
    private static func checksum(of id: ChunkID, header: UnsafeRawBufferPointer) -> UInt32 {
        var checksum = id.withKeyBytes { checksum_crc32c(0, $0.baseAddress, $0.count) }
        for field in [4..<8, 12..<16] {
            checksum = checksum_crc32c(checksum, header.baseAddress.map { $0 + field.lowerBound }, field.count)
        }
        return checksum
    }
}

/// Why a value is not the chunk it should be.
package enum ChunkRecordFault: String, Error, Sendable, CaseIterable {
    case tooShort = "too_short"
    case wrongMagic = "wrong_magic"
    case unknownFormat = "unknown_format"
    case wrongLength = "wrong_length"
    case wrongChecksum = "wrong_checksum"
    /// The disk does not give its bytes.
    case unreadable
}
