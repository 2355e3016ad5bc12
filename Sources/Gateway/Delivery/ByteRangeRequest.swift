/// What one `Range` field asks of an object (RFC 9110 §14.1.2, §14.2).
///
/// A value that asks for nothing we answer with a part — another unit, bad syntax, several ranges — is `nil` when
/// parsed, and the request then gets the whole object: RFC 9110 §14.2 lets a server ignore the field, and a player
/// that receives 200 still plays.
package enum ByteRangeRequest: Sendable, Hashable {
    /// `first-`, an offset.
    case from(Int64)
    /// `first-last`, both inclusive, `first` at most `last`.
    case bounded(first: Int64, last: Int64)
    /// `-length`: this many bytes from the end.
    case suffix(Int64)

    /// Parses a field value. Numbers beyond `Int64` count as `Int64.max`, which no object reaches.
    package init?(field: some StringProtocol) {
        if let plain = Self(plain: String(field).utf8Span.span) {
            self = plain
            return
        }
        let bytes = field.utf8
        guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        // A range unit is case-insensitive.
        guard field[..<equals].lowercased() == "bytes" else { return nil }
        let set = Substring(field[bytes.index(after: equals)...]).utf8
        // The list syntax allows empty elements and blanks around commas (RFC 9110 §5.6.1.2), not blanks before the
        // first element; what counts is that one range is left.
        let elements = set.split(separator: UInt8(ascii: ",")).map(Self.trimmed).filter { !$0.isEmpty }
        guard elements.count == 1, let only = elements.first, set.first.map(Self.isBlank) != true else { return nil }
        self.init(specification: only)
    }

    /// The length of the longest plain value.
    static let plainLength = 43

    /// What players send, `bytes=first-` and `bytes=first-last` in numbers of up to 18 digits, read in one pass.
    init?(plain bytes: Span<UInt8>) {
        let unit: StaticString = "bytes="
        guard bytes.count > unit.utf8CodeUnitCount, bytes.count <= Self.plainLength else { return nil }
        for index in 0..<unit.utf8CodeUnitCount where bytes[index] != unit.utf8Start[index] { return nil }
        var index = unit.utf8CodeUnitCount
        guard let first = Self.number(bytes, from: &index), index < bytes.count, bytes[index] == UInt8(ascii: "-")
        else {
            return nil
        }
        index += 1
        if index == bytes.count {
            self = .from(first)
            return
        }
        guard let last = Self.number(bytes, from: &index), index == bytes.count, first <= last else { return nil }
        self = .bounded(first: first, last: last)
    }

    private static func number(_ bytes: Span<UInt8>, from index: inout Int) -> Int64? {
        let start = index
        var value: Int64 = 0
        while index < bytes.count, (0x30...0x39).contains(bytes[index]) {
            guard index - start < 18 else { return nil }
            value = value * 10 + Int64(bytes[index] - 0x30)
            index += 1
        }
        return index > start ? value : nil
    }

    private init?(specification: Substring.UTF8View) {
        guard let dash = specification.firstIndex(of: UInt8(ascii: "-")) else { return nil }
        let firstText = specification[..<dash]
        let lastText = specification[specification.index(after: dash)...]
        switch (firstText.isEmpty, lastText.isEmpty) {
        case (true, true):
            return nil
        case (true, false):
            guard let length = Self.number(lastText) else { return nil }
            self = .suffix(length)
        case (false, true):
            guard let first = Self.number(firstText) else { return nil }
            self = .from(first)
        case (false, false):
            guard let first = Self.number(firstText), let last = Self.number(lastText), first <= last else {
                return nil
            }
            self = .bounded(first: first, last: last)
        }
    }

    /// The part of an object of `size` bytes, clamped to its end; `nil` if no byte of it exists, which is 416.
    package func resolve(size: Int64) -> Range<Int64>? {
        switch self {
        case .from(let first):
            return first < size ? first..<size : nil
        case .bounded(let first, let last):
            guard first < size else { return nil }
            // `last` is at most `size - 1` after the clamp, so adding one cannot overflow.
            return first..<(min(last, size - 1) + 1)
        case .suffix(let length):
            guard length > 0, size > 0 else { return nil }
            return (size - min(length, size))..<size
        }
    }

    private static func number(_ digits: Substring.UTF8View) -> Int64? {
        var value: Int64 = 0
        for byte in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = scaled.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
            value = overflow || carry ? .max : sum
        }
        return value
    }

    private static func trimmed(_ text: Substring.UTF8View) -> Substring.UTF8View {
        var text = text.drop(while: isBlank)
        while let last = text.last, isBlank(last) { text.removeLast() }
        return text
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t")
    }
}
