import CChecksum

/// How a value stands in the database.
///
/// | offset | what |
/// |---|---|
/// | 0 | `MGR1` |
/// | 4 | CRC-32C over the key and the value, 32 bits, little-endian |
/// | 8 | the value |
enum RecordCoding {
    static let headerSize = 8

    private static let magic = UInt32(littleEndian: 0x3152_474D)

    /// - Returns: `nil` unless `record` is what ``write(_:key:into:)`` wrote for `key`.
    static func value(of record: RawSpan, key: [UInt8]) -> [UInt8]? {
        guard record.byteCount >= headerSize else { return nil }
        return record.withUnsafeBytes { bytes in
            let value = UnsafeRawBufferPointer(rebasing: bytes[headerSize...])
            guard bytes.loadUnaligned(as: UInt32.self) == magic,
                UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)) == checksum(key, value)
            else { return nil }
            return Array(value)
        }
    }

    /// - Precondition: `record` has ``headerSize`` bytes more than `value`.
    static func write(_ value: [UInt8], key: [UInt8], into record: inout MutableRawSpan) {
        precondition(record.byteCount == headerSize + value.count, "the record must have the size of its value")
        record.withUnsafeMutableBytes { record in
            value.withUnsafeBytes { value in
                record.storeBytes(of: magic, as: UInt32.self)
                record.storeBytes(of: checksum(key, value).littleEndian, toByteOffset: 4, as: UInt32.self)
                UnsafeMutableRawBufferPointer(rebasing: record[headerSize...]).copyMemory(from: value)
            }
        }
    }

    private static func checksum(_ key: [UInt8], _ value: UnsafeRawBufferPointer) -> UInt32 {
        let begun = key.withUnsafeBytes { checksum_crc32c(0, $0.baseAddress, $0.count) }
        return checksum_crc32c(begun, value.baseAddress, value.count)
    }
}
