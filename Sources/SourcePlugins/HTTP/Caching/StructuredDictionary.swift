/// A dictionary of structured fields (RFC 8941 §3.2). Parameters are checked and dropped.
package struct StructuredDictionary: Sendable, Hashable {
    package enum Value: Sendable, Hashable {
        case boolean(Bool)
        case integer(Int64)
        case string(String)
        /// A decimal, a token, bytes or an inner list: nothing that a directive takes.
        case other
    }

    /// Of a key that comes twice, the last value.
    package private(set) var members: [String: Value] = [:]

    /// - Parameter text: all lines of the field, joined by commas.
    /// - Returns: `nil` at the first fault.
    package init?(_ text: String) {
        var parser = StructuredFieldParser(text)
        parser.skipSpaces()
        while !parser.isAtEnd {
            guard let key = parser.key() else { return nil }
            guard let value = parser.skip("=") ? parser.memberValue() : .boolean(true), parser.parameters() else {
                return nil
            }
            members[key] = value
            parser.skipBlanks()
            if parser.isAtEnd { return }
            guard parser.skip(",") else { return nil }
            parser.skipBlanks()
            // A comma with nothing after it.
            if parser.isAtEnd { return nil }
        }
    }
}

/// Takes a structured field apart from its start (RFC 8941 §4.2). `nil` and `false` are faults.
private struct StructuredFieldParser {
    private var rest: ArraySlice<UInt8>

    init(_ text: String) {
        rest = Array(text.utf8)[...]
        while rest.last == UInt8(ascii: " ") { rest.removeLast() }
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard rest.first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    mutating func skipSpaces() {
        rest = rest.drop { $0 == UInt8(ascii: " ") }
    }

    mutating func skipBlanks() {
        rest = rest.drop(while: FieldSyntax.isBlank)
    }

    mutating func key() -> String? {
        guard let first = rest.first, FieldSyntax.isLowercaseLetter(first) || first == UInt8(ascii: "*") else {
            return nil
        }
        return text { (byte) in
            FieldSyntax.isLowercaseLetter(byte) || FieldSyntax.isDigit(byte) || "_-.*".utf8.contains(byte)
        }
    }

    /// An item without its parameters, or an inner list.
    mutating func memberValue() -> StructuredDictionary.Value? {
        guard skip("(") else { return bareItem() }
        while true {
            skipSpaces()
            if skip(")") { return .other }
            guard bareItem() != nil, parameters() else { return nil }
            guard rest.first == UInt8(ascii: " ") || rest.first == UInt8(ascii: ")") else { return nil }
        }
    }

    mutating func parameters() -> Bool {
        while skip(";") {
            skipSpaces()
            guard key() != nil else { return false }
            if skip("="), bareItem() == nil { return false }
        }
        return true
    }

    private mutating func bareItem() -> StructuredDictionary.Value? {
        guard let first = rest.first else { return nil }
        switch first {
        case UInt8(ascii: "?"): return boolean()
        case UInt8(ascii: "\""): return string().map { .string($0) }
        case UInt8(ascii: ":"): return byteSequence()
        case UInt8(ascii: "-"): return number()
        default:
            if FieldSyntax.isDigit(first) { return number() }
            guard FieldSyntax.isLowercaseLetter(FieldSyntax.lowercased(first)) || first == UInt8(ascii: "*") else {
                return nil
            }
            _ = text { FieldSyntax.isTokenByte($0) || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "/") }
            return .other
        }
    }

    private mutating func boolean() -> StructuredDictionary.Value? {
        guard skip("?") else { return nil }
        return skip("1") ? .boolean(true) : skip("0") ? .boolean(false) : nil
    }

    /// An integer of at most 15 digits, or a decimal of at most 12 and 3.
    private mutating func number() -> StructuredDictionary.Value? {
        let isNegative = skip("-")
        let digits = text(of: FieldSyntax.isDigit)
        guard (1...15).contains(digits.utf8.count), let magnitude = Int64(digits) else { return nil }
        guard skip(".") else { return .integer(isNegative ? -magnitude : magnitude) }
        let fraction = text(of: FieldSyntax.isDigit)
        return digits.utf8.count <= 12 && (1...3).contains(fraction.utf8.count) ? .other : nil
    }

    private mutating func string() -> String? {
        guard skip("\"") else { return nil }
        var content: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""):
                return String(decoding: content, as: UTF8.self)
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst(), escaped == UInt8(ascii: "\"") || escaped == UInt8(ascii: "\\")
                else { return nil }
                content.append(escaped)
            case 0x20...0x7E:
                content.append(byte)
            default:
                return nil
            }
        }
        return nil
    }

    private mutating func byteSequence() -> StructuredDictionary.Value? {
        guard skip(":") else { return nil }
        _ = text { FieldSyntax.isTokenByte($0) && $0 != UInt8(ascii: ":") || "/=".utf8.contains($0) }
        return skip(":") ? .other : nil
    }

    /// The bytes from here on that are of a kind; empty if there is none.
    private mutating func text(of isIncluded: (UInt8) -> Bool) -> String {
        let text = rest.prefix(while: isIncluded)
        rest = rest.dropFirst(text.count)
        return String(decoding: text, as: UTF8.self)
    }
}
