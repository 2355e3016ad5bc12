/// Writes one JSON object on one line into a buffer.
///
/// A log line is written for each request, those answered from memory too, where `JSONEncoder` would cost more than
/// the answer. Strings are escaped as RFC 8259 §7 demands, and so is whatever moves a terminal's cursor or turns the
/// direction of text, so that nobody can forge a line.
package struct JSONLine {
    package enum Key: ExpressibleByStringLiteral {
        /// Of our own code, without anything that has to be escaped.
        case literal(StaticString)
        case text(String)

        package init(stringLiteral text: StaticString) {
            self = .literal(text)
        }
    }

    private var bytes: [UInt8] = []
    private var isFirst = true
    /// Elements have no keys.
    private var isInArray = false

    /// Appends to `buffer` the object whose fields `fill` writes, without a line feed.
    ///
    /// - Parameter fill: gives no key twice.
    package static func append(to buffer: inout [UInt8], _ fill: (inout JSONLine) -> Void) {
        var line = JSONLine()
        // The buffer moves in and out; it is not copied.
        swap(&line.bytes, &buffer)
        line.bytes.append(UInt8(ascii: "{"))
        fill(&line)
        line.bytes.append(UInt8(ascii: "}"))
        swap(&line.bytes, &buffer)
    }

    /// - Parameter limit: bytes of UTF-8 after which the value is cut, and ends in an ellipsis.
    package mutating func field(_ key: Key, _ value: String, limit: Int = .max) {
        begin(key)
        bytes.append(UInt8(ascii: "\""))
        EscapedText.append(value, limit: limit, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    package mutating func field(_ key: Key, _ value: Int64) {
        begin(key)
        Digits.append(value, to: &bytes)
    }

    package mutating func field(_ key: Key, _ value: Bool) {
        begin(key)
        bytes.append(contentsOf: (value ? "true" : "false").utf8)
    }

    /// - Parameter value: JSON has no infinity and no NaN; they become strings.
    package mutating func field(_ key: Key, _ value: Double) {
        guard value.isFinite else { return field(key, "\(value)") }
        begin(key)
        bytes.append(contentsOf: "\(value)".utf8)
    }

    /// A time in milliseconds with three decimals.
    package mutating func field(_ key: Key, milliseconds value: Duration) {
        begin(key)
        Digits.append(milliseconds: value, to: &bytes)
    }

    /// A string that `append` writes, of bytes that need no escape.
    mutating func field(_ key: Key, plain append: (inout [UInt8]) -> Void) {
        begin(key)
        bytes.append(UInt8(ascii: "\""))
        append(&bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    package mutating func object(_ key: Key, _ fill: (inout JSONLine) -> Void) {
        begin(key)
        Self.append(to: &bytes, fill)
    }

    /// An array of `elements`, each written by `write` as the one field of its own, under no key.
    package mutating func array<Element>(
        _ key: Key,
        _ elements: [Element],
        _ write: (inout JSONLine, Element) -> Void
    ) {
        begin(key)
        bytes.append(UInt8(ascii: "["))
        let outer = (isFirst, isInArray)
        isFirst = true
        isInArray = true
        for element in elements { write(&self, element) }
        (isFirst, isInArray) = outer
        bytes.append(UInt8(ascii: "]"))
    }

    private mutating func begin(_ key: Key) {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        isFirst = false
        if isInArray { return }
        bytes.append(UInt8(ascii: "\""))
        switch key {
        case .literal(let text): bytes.append(contentsOf: text.utf8Bytes)
        case .text(let text): EscapedText.append(text, to: &bytes)
        }
        bytes.append(contentsOf: ("\":" as StaticString).utf8Bytes)
    }
}

extension StaticString {
    fileprivate var utf8Bytes: UnsafeBufferPointer<UInt8> {
        UnsafeBufferPointer(start: utf8Start, count: utf8CodeUnitCount)
    }
}
