/// The characters of a subtitle file, whose encoding nothing names.
enum SubtitleText {
    /// UTF-16 if a byte order mark says so, else UTF-8 if it is valid or marked, else Windows-1252, which most older
    /// subtitles of western languages are in.
    static func utf8(of bytes: [UInt8]) -> [UInt8] {
        if bytes.starts(with: [0xFF, 0xFE]) { return fromUTF16(bytes.dropFirst(2), isBigEndian: false) }
        if bytes.starts(with: [0xFE, 0xFF]) { return fromUTF16(bytes.dropFirst(2), isBigEndian: true) }
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            return Array(String(decoding: bytes.dropFirst(3), as: UTF8.self).utf8)
        }
        return String(validating: bytes, as: UTF8.self) == nil ? fromWindows1252(bytes) : bytes
    }

    /// A byte too many at the end is dropped; halves of a pair become replacement characters.
    private static func fromUTF16(_ bytes: ArraySlice<UInt8>, isBigEndian: Bool) -> [UInt8] {
        var units: [UInt16] = []
        units.reserveCapacity(bytes.count / 2)
        var iterator = bytes.makeIterator()
        while let first = iterator.next(), let second = iterator.next() {
            units.append(isBigEndian ? UInt16(first) << 8 | UInt16(second) : UInt16(second) << 8 | UInt16(first))
        }
        return Array(String(decoding: units, as: UTF16.self).utf8)
    }

    private static func fromWindows1252(_ bytes: [UInt8]) -> [UInt8] {
        var scalars = String.UnicodeScalarView()
        for byte in bytes {
            scalars.append((0x80..<0xA0).contains(byte) ? windows1252[Int(byte) - 0x80] : Unicode.Scalar(byte))
        }
        return Array(String(scalars).utf8)
    }

    /// 0x80 to 0x9F; the five that are not assigned are replaced.
    private static let windows1252 = Array(
        ("\u{20AC}\u{FFFD}\u{201A}\u{0192}\u{201E}\u{2026}\u{2020}\u{2021}"
            + "\u{02C6}\u{2030}\u{0160}\u{2039}\u{0152}\u{FFFD}\u{017D}\u{FFFD}"
            + "\u{FFFD}\u{2018}\u{2019}\u{201C}\u{201D}\u{2022}\u{2013}\u{2014}"
            + "\u{02DC}\u{2122}\u{0161}\u{203A}\u{0153}\u{FFFD}\u{017E}\u{0178}").unicodeScalars
    )
}
