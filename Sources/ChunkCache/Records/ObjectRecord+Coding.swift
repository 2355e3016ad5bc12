import CChecksum
package import NIOCore

/// The stored form: `MGOB`, format, flags, the fixed fields, the optional ones that the flags announce, the texts with
/// their lengths in front, and a CRC-32C over all of it. Numbers are big-endian.
extension ObjectRecord {
    private static let magic: UInt32 = 0x4D47_4F42
    private static let format: UInt8 = 1
    /// Far above any real record; keeps a damaged length from asking for much memory.
    package static let maxEncodedSize = 64 << 10

    private struct Flags: OptionSet {
        let rawValue: UInt8

        static let immutable = Flags(rawValue: 1)
        static let lastModified = Flags(rawValue: 2)
        static let mediaType = Flags(rawValue: 4)
        static let attributes = Flags(rawValue: 8)
        static let all: Flags = [.immutable, .lastModified, .mediaType, .attributes]
    }

    /// Whether ``encoded()`` has a result: the record is not longer than ``maxEncodedSize``, nor its size negative.
    package var isEncodable: Bool { size >= 0 && encodedSize <= Self.maxEncodedSize }

    /// How long ``encoded()`` is.
    package var encodedSize: Int {
        let texts = [source.utf8.count, path.count, variant.utf8.count, revision.utf8.count, mediaType?.utf8.count]
        let lengths = texts + [attributes.isEmpty ? nil : attributes.count]
        // The fixed fields and the checksum, and a length in front of each text.
        return lengths.reduce(34 + (lastModified == nil ? 0 : 8)) { $0 + ($1.map { 2 + $0 } ?? 0) }
    }

    /// - Returns: `nil` unless ``isEncodable``.
    package func encoded() -> ByteBuffer? {
        guard isEncodable else { return nil }
        var flags: Flags = isImmutable ? [.immutable] : []
        if lastModified != nil { flags.insert(.lastModified) }
        if mediaType != nil { flags.insert(.mediaType) }
        if !attributes.isEmpty { flags.insert(.attributes) }

        var buffer = ByteBuffer()
        buffer.writeMultipleIntegers(Self.magic, Self.format, flags.rawValue, number, size, created)
        if let lastModified { buffer.writeInteger(lastModified) }
        for text in [Array(source.utf8), path, Array(variant.utf8), Array(revision.utf8)] {
            guard buffer.writeText(text) else { return nil }
        }
        if let mediaType, !buffer.writeText(Array(mediaType.utf8)) { return nil }
        if !attributes.isEmpty, !buffer.writeText(attributes) { return nil }
        buffer.writeInteger(buffer.crc32c)
        return buffer
    }

    /// - Returns: `nil` unless `value` is, to the last byte, what ``encoded()`` makes of a record.
    package init?(encoded value: RawSpan) {
        guard value.byteCount <= Self.maxEncodedSize else { return nil }
        self.init(encoded: value.withUnsafeBytes { ByteBuffer(bytes: $0) })
    }

    private init?(encoded value: ByteBuffer) {
        guard var buffer = value.getSlice(at: value.readerIndex, length: max(value.readableBytes - 4, 0)),
            value.getInteger(at: buffer.readableBytes, as: UInt32.self) == buffer.crc32c,
            let (magic, format, rawFlags, number, size, created) = buffer.readMultipleIntegers(
                as: (UInt32, UInt8, UInt8, UInt64, Int64, Int64).self
            ),
            magic == Self.magic, format == Self.format, size >= 0
        else { return nil }
        let flags = Flags(rawValue: rawFlags)
        guard flags.isSubset(of: .all) else { return nil }

        var lastModified: Int64?
        if flags.contains(.lastModified) {
            guard let read = buffer.readInteger(as: Int64.self) else { return nil }
            lastModified = read
        }
        guard let source = buffer.readText(), let path = buffer.readTextBytes(), let variant = buffer.readText(),
            let revision = buffer.readText()
        else { return nil }
        var mediaType: String?
        if flags.contains(.mediaType) {
            guard let read = buffer.readText() else { return nil }
            mediaType = read
        }
        var attributes: [UInt8] = []
        if flags.contains(.attributes) {
            guard let read = buffer.readTextBytes() else { return nil }
            attributes = read
        }
        guard buffer.readableBytes == 0 else { return nil }
        self.init(
            number: number,
            source: source,
            path: path,
            variant: variant,
            size: size,
            revision: revision,
            lastModified: lastModified,
            mediaType: mediaType,
            isImmutable: flags.contains(.immutable),
            created: created,
            attributes: attributes
        )
    }
}

extension ByteBuffer {
    fileprivate var crc32c: UInt32 {
        withUnsafeReadableBytes { checksum_crc32c(0, $0.baseAddress, $0.count) }
    }

    /// - Returns: `false`, and writes nothing, if the text is too long for its length field.
    fileprivate mutating func writeText(_ text: [UInt8]) -> Bool {
        guard let length = UInt16(exactly: text.count) else { return false }
        writeInteger(length)
        writeBytes(text)
        return true
    }

    fileprivate mutating func readTextBytes() -> [UInt8]? {
        guard let length = readInteger(as: UInt16.self) else { return nil }
        return readBytes(length: Int(length))
    }

    /// - Returns: `nil` if it is not UTF-8 as well.
    fileprivate mutating func readText() -> String? {
        readTextBytes().flatMap { String(validating: $0, as: UTF8.self) }
    }
}
