/// What the grammars of fields share (RFC 9110 §5.6). Text is looked at byte by byte: a letter with an accent is one
/// `Character` with the comma before it.
enum FieldSyntax {
    static let comma = UInt8(ascii: ",")
    static let quote = UInt8(ascii: "\"")

    static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    static func isLowercaseLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }

    static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    /// In lower case as far as US-ASCII goes.
    static func lowercased(_ text: some StringProtocol) -> String {
        String(decoding: text.utf8.map { lowercased($0) }, as: UTF8.self)
    }

    static func isSameName(_ left: some StringProtocol, _ right: some StringProtocol) -> Bool {
        left.utf8.elementsEqual(right.utf8) { lowercased($0) == lowercased($1) }
    }

    /// Whether two values have the same bytes. Strings are equal to Swift when they only look the same: a letter with its
    /// accent, in one or in two.
    static func isSame(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count && left.utf8.elementsEqual(right.utf8)
    }

    /// Whether the text may be another than what was sent: bytes that are no UTF-8 are U+FFFD by the time that they are
    /// here, whatever they were.
    static func isRepaired(_ text: String) -> Bool { text.unicodeScalars.contains("\u{FFFD}") }

    static func trimmed(_ text: Substring) -> Substring {
        let bytes = text.utf8
        guard let start = bytes.firstIndex(where: { !isBlank($0) }), let last = bytes.lastIndex(where: { !isBlank($0) })
        else { return text[text.endIndex...] }
        return text[start..<bytes.index(after: last)]
    }

    /// RFC 9110 §5.6.2.
    static func isToken(_ text: Substring) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy(isTokenByte)
    }

    static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
            true
        default:
            isDigit(byte) || isLowercaseLetter(lowercased(byte))
        }
    }

    /// The members of a list without the blanks around them; a comma in a quoted string divides nothing.
    ///
    /// A quoted string that never ends is none: what follows its first quote is divided like the rest, so that a
    /// directive cannot be hidden behind a stray quote.
    static func elements(of value: String, keepingEmpty: Bool = false) -> [Substring] {
        var result: [Substring] = []
        let bytes = value.utf8
        var (start, index) = (bytes.startIndex, bytes.startIndex)
        // Once one has no end, those after it have none either.
        var quotedStringsEnd = true
        // A quoted string is a whole member or the argument of one.
        var mayOpen = true
        func add(upTo end: String.Index) {
            let element = trimmed(value[start..<end])
            if keepingEmpty || !element.isEmpty { result.append(element) }
        }
        while index < bytes.endIndex {
            let byte = bytes[index]
            if byte == comma {
                add(upTo: index)
                start = bytes.index(after: index)
            } else if byte == quote, mayOpen, quotedStringsEnd {
                if let end = endOfQuotedString(bytes[index...]) {
                    index = end
                    mayOpen = false
                    continue
                }
                quotedStringsEnd = false
            }
            if !isBlank(byte) { mayOpen = byte == comma || byte == UInt8(ascii: "=") }
            index = bytes.index(after: index)
        }
        add(upTo: bytes.endIndex)
        return result
    }

    /// What a quoted string says (RFC 9110 §5.6.4); `nil` if `text` is not exactly one.
    static func unquoted(_ text: Substring) -> String? {
        guard endOfQuotedString(text.utf8) == text.endIndex else { return nil }
        var content: [UInt8] = []
        var isEscaped = false
        for byte in text.utf8.dropFirst().dropLast() {
            if !isEscaped, byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else {
                content.append(byte)
                isEscaped = false
            }
        }
        return String(decoding: content, as: UTF8.self)
    }

    /// The index after the quoted string at the start of `bytes`; `nil` if there is none, or it has no end.
    private static func endOfQuotedString(_ bytes: Substring.UTF8View) -> String.Index? {
        guard bytes.first == quote else { return nil }
        var isEscaped = false
        for index in bytes.indices.dropFirst() {
            if isEscaped {
                isEscaped = false
            } else if bytes[index] == UInt8(ascii: "\\") {
                isEscaped = true
            } else if bytes[index] == quote {
                return bytes.index(after: index)
            }
        }
        return nil
    }
}

/// delta-seconds (RFC 9111 §1.2.2).
enum DeltaSeconds {
    /// What greater numbers count as.
    static let limit = Duration.seconds(2_147_483_648)

    /// - Returns: `nil` unless `text` is digits alone.
    static func parse(_ text: some StringProtocol) -> Duration? {
        guard !text.isEmpty, text.utf8.allSatisfy(FieldSyntax.isDigit) else { return nil }
        // Only digits that do not fit make this fail.
        return Int64(text).map { min(.seconds($0), limit) } ?? limit
    }
}
