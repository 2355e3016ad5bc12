/// Text of strangers as it may stand on a log line, between quotes or bare.
enum EscapedText {
    /// - Parameter limit: bytes of UTF-8 after which `text` is cut, and ends in an ellipsis.
    static func append(_ text: String, limit: Int = .max, to bytes: inout [UInt8]) {
        guard text.utf8.count <= limit else {
            append(scalars: prefix(of: text, limit: limit), to: &bytes)
            bytes.append(contentsOf: "…".utf8)
            return
        }
        if isPlain(text, from: 0x20) {
            text.utf8Span.span.withUnsafeBufferPointer { bytes.append(contentsOf: $0) }
        } else {
            append(scalars: text.unicodeScalars[...], to: &bytes)
        }
    }

    /// Between quotes if it is empty or holds what could be taken for the end of it.
    static func appendBare(_ text: String, limit: Int = .max, to bytes: inout [UInt8]) {
        let isBare = !text.isEmpty && isPlain(text, from: 0x21)
        if !isBare { bytes.append(UInt8(ascii: "\"")) }
        append(text, limit: limit, to: &bytes)
        if !isBare { bytes.append(UInt8(ascii: "\"")) }
    }

    /// Whether `text` is US-ASCII from `first` to the tilde, without quotes and backslashes.
    private static func isPlain(_ text: String, from first: UInt8) -> Bool {
        let bytes = text.utf8Span.span
        for index in bytes.indices {
            let byte = bytes[index]
            if byte < first || byte > 0x7E || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") { return false }
        }
        return true
    }

    private static func prefix(of text: String, limit: Int) -> Substring.UnicodeScalarView {
        var end = text.utf8.index(text.startIndex, offsetBy: max(limit, 0), limitedBy: text.endIndex) ?? text.endIndex
        while end > text.startIndex, end.samePosition(in: text.unicodeScalars) == nil {
            end = text.utf8.index(before: end)
        }
        return text.unicodeScalars[..<end]
    }

    private static func append(scalars: Substring.UnicodeScalarView, to bytes: inout [UInt8]) {
        for scalar in scalars {
            switch scalar {
            case "\"", "\\":
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            case "\n": bytes.append(contentsOf: "\\n".utf8)
            case "\r": bytes.append(contentsOf: "\\r".utf8)
            case "\t": bytes.append(contentsOf: "\\t".utf8)
            // Controls of ASCII and Latin-1, line and paragraph separators, directional marks.
            case "\0"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{200E}"..."\u{200F}", "\u{2028}"..."\u{202E}",
                "\u{2066}"..."\u{2069}":
                appendEscape(scalar.value, to: &bytes)
            default: bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            }
        }
    }

    /// `\u` and four hexadecimal digits.
    private static func appendEscape(_ value: UInt32, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: "\\u".utf8)
        for shift: UInt32 in [12, 8, 4, 0] { bytes.append(Digits.hexadecimal(value >> shift)) }
    }
}

/// Numbers as US-ASCII.
enum Digits {
    static func append(_ value: Int64, to bytes: inout [UInt8]) {
        if value < 0 { bytes.append(UInt8(ascii: "-")) }
        append(value.magnitude, width: 1, to: &bytes)
    }

    /// `value`, which is not negative, with zeros in front up to `width` digits.
    static func append(_ value: Int64, width: Int, to bytes: inout [UInt8]) {
        append(value.magnitude, width: width, to: &bytes)
    }

    private static func append(_ value: UInt64, width: Int, to bytes: inout [UInt8]) {
        withDigits(of: value, width: width) { bytes.append(contentsOf: $0) }
    }

    /// Lends the digits of `value` to `body`, with zeros in front up to `width` of them.
    static func withDigits(of value: UInt64, width: Int = 1, _ body: (UnsafeBufferPointer<UInt8>) -> Void) {
        // The longest number has twenty digits.
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var start = digits.count
            var rest = value
            repeat {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while start > 0 && (rest > 0 || digits.count - start < width)
            body(UnsafeBufferPointer(rebasing: digits[start...]))
        }
    }

    /// With `decimals` decimals, up to six, rounded down.
    static func append(milliseconds duration: Duration, decimals: Int = 3, to bytes: inout [UInt8]) {
        let nanoseconds = duration.wholeNanoseconds
        if nanoseconds < 0 { bytes.append(UInt8(ascii: "-")) }
        let magnitude = Int64(clamping: nanoseconds.magnitude)
        append(magnitude / 1_000_000, to: &bytes)
        bytes.append(UInt8(ascii: "."))
        let start = bytes.count
        append(magnitude % 1_000_000, width: 6, to: &bytes)
        bytes.removeLast(bytes.count - start - min(max(decimals, 1), 6))
    }

    /// All sixteen digits.
    static func append(hexadecimal value: UInt64, to bytes: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 16) { digits in
            for index in 0..<16 {
                digits[index] = hexadecimal(UInt32(truncatingIfNeeded: value >> UInt64(60 - 4 * index)))
            }
            bytes.append(contentsOf: UnsafeBufferPointer(digits))
        }
    }

    /// The digit of the lowest four bits.
    static func hexadecimal(_ value: UInt32) -> UInt8 {
        let nibble = UInt8(truncatingIfNeeded: value & 0xF)
        return nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
    }
}
