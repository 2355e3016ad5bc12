package import NIOCore

/// Reads the plain heads that players send, straight from the bytes.
///
/// It accepts a strict subset of RFC 9112: GET, HEAD or OPTIONS, origin-form, HTTP/1.0 or 1.1, CR LF line ends, no body
/// and nothing that changes the framing of the message. Whatever is not in that subset, malformed or just rare, is
/// `unusual` and goes to llhttp, which decides. What it accepts means the same to llhttp; a test compares the two.
package struct HeadScanner: Sendable {
    package enum Outcome: Sendable {
        /// The head is not complete.
        case needMoreBytes
        /// The head, which took this many bytes.
        case head(RequestHead, length: Int)
        case unusual
        case tooLong(TooLong)
    }

    package enum TooLong: Sendable, Hashable {
        case target
        case fields
    }

    package struct Limits: Sendable {
        /// Bytes of the request target. The old routes carry whole magnet links.
        package var target = 8192
        /// Bytes of one field.
        package var field = 8192
        /// Bytes of the whole head.
        package var head = 32_768
        package var fieldCount = 100

        package init() {}
    }

    private let limits: Limits
    /// Whether heads have all their fields, and not only those the gateway acts on.
    private let keepsFields: Bool
    /// Where the search for the end of the head goes on, so that a head that drips in costs linear time.
    private var searched = 0

    package init(limits: Limits = Limits(), keepsFields: Bool = false) {
        self.limits = limits
        self.keepsFields = keepsFields
    }

    /// Looks at the readable bytes, without consuming them.
    package mutating func scan(_ buffer: ByteBuffer) -> Outcome {
        let bytes = buffer.readableBytesUInt8Span
        guard bytes.count > 0 else { return .needMoreBytes }
        // No request begins like this; a TLS handshake does.
        guard isTokenByte(bytes[0]) else { return .unusual }
        guard let end = endOfHead(bytes) else {
            return bytes.count > limits.head ? .tooLong(overflow(bytes)) : earlyVerdict(bytes)
        }
        searched = 0
        guard end <= limits.head else { return .tooLong(overflow(bytes)) }
        return parse(bytes, end: end)
    }

    /// The index after CR LF CR LF.
    private mutating func endOfHead(_ bytes: Span<UInt8>) -> Int? {
        var index = max(searched - 3, 0)
        while index + 3 < bytes.count {
            // Most bytes are no line feed: look at the fourth first, and skip as far as it allows.
            let byte = bytes[index + 3]
            if byte == lineFeed {
                if bytes[index + 1] == lineFeed, bytes[index] == carriageReturn, bytes[index + 2] == carriageReturn {
                    return index + 4
                }
                index += 2
            } else {
                index += byte == carriageReturn ? 1 : 4
            }
        }
        searched = bytes.count
        return nil
    }

    /// A head that can no longer become a plain one need not be waited for.
    private func earlyVerdict(_ bytes: Span<UInt8>) -> Outcome {
        var index = 0
        while index < bytes.count, bytes[index] != carriageReturn, bytes[index] != lineFeed { index += 1 }
        guard index < bytes.count else { return index > limits.target + 32 ? .tooLong(.target) : .needMoreBytes }
        // A bare line feed, HTTP/0.9, another version: llhttp has the word, at the end of the first line.
        guard let line = requestLine(bytes, upTo: index) else { return .unusual }
        if line.target.count > limits.target { return .tooLong(.target) }
        return bytes[index] == lineFeed ? .unusual : .needMoreBytes
    }

    private func overflow(_ bytes: Span<UInt8>) -> TooLong {
        var index = 0
        while index < bytes.count, bytes[index] != lineFeed { index += 1 }
        return index > limits.target ? .target : .fields
    }

    private struct RequestLine {
        var method: RequestHead.Method
        var target: Range<Int>
        var minorVersion: Int
    }

    private func requestLine(_ bytes: Span<UInt8>, upTo end: Int) -> RequestLine? {
        let method: RequestHead.Method
        let start: Int
        if bytes.hasPrefix("GET /") {
            (method, start) = (.get, 4)
        } else if bytes.hasPrefix("HEAD /") {
            (method, start) = (.head, 5)
        } else if bytes.hasPrefix("OPTIONS /") {
            (method, start) = (.options, 8)
        } else {
            return nil
        }
        var index = start
        // RFC 3986 characters but for a few that llhttp and others disagree on.
        while index < end, isPlainTargetByte(bytes[index]) { index += 1 }
        guard end - index == 9, bytes.hasPrefix(" HTTP/1.", at: index) else { return nil }
        let minor = bytes[index + 8]
        guard minor == UInt8(ascii: "0") || minor == UInt8(ascii: "1") else { return nil }
        return RequestLine(method: method, target: start..<index, minorVersion: minor == UInt8(ascii: "1") ? 1 : 0)
    }

    private func parse(_ bytes: Span<UInt8>, end: Int) -> Outcome {
        var lineEnd = 0
        while bytes[lineEnd] != carriageReturn { lineEnd += 1 }
        guard let line = requestLine(bytes, upTo: lineEnd), bytes[lineEnd + 1] == lineFeed else {
            return lineEnd > limits.target + 32 ? .tooLong(.target) : .unusual
        }
        guard line.target.count <= limits.target else { return .tooLong(.target) }
        var known = KnownFields()
        var count = 0
        var index = lineEnd + 2
        // The head ends in an empty line, two bytes before `end`.
        while index < end - 2 {
            count += 1
            guard count <= limits.fieldCount else { return .tooLong(.fields) }
            guard let field = fieldLine(bytes, from: index, end: end) else { return .unusual }
            guard field.next - index <= limits.field else { return .tooLong(.fields) }
            switch Self.role(of: bytes, field.name) {
            case .framing: return .unusual
            case .known(let name): known.add(name, value: bytes.string(field.value))
            case .other: break
            }
            index = field.next
        }
        guard index == end - 2 else { return .unusual }
        let head = RequestHead(
            method: line.method,
            target: bytes.string(line.target),
            minorVersion: line.minorVersion,
            known: known,
            fieldLines: keepsFields ? bytes.buffer(lineEnd + 2..<end - 2) : nil
        )
        return .head(head, length: end)
    }

    private func fieldLine(
        _ bytes: Span<UInt8>,
        from start: Int,
        end: Int
    ) -> (name: Range<Int>, value: Range<Int>, next: Int)? {
        var index = start
        while index < end, isTokenByte(bytes[index]) { index += 1 }
        guard index > start, index < end, bytes[index] == UInt8(ascii: ":") else { return nil }
        let name = start..<index
        index += 1
        while index < end, isBlank(bytes[index]) { index += 1 }
        let valueStart = index
        while index < end, isValueByte(bytes[index]) { index += 1 }
        guard index + 1 < end, bytes[index] == carriageReturn, bytes[index + 1] == lineFeed else { return nil }
        var valueEnd = index
        while valueEnd > valueStart, isBlank(bytes[valueEnd - 1]) { valueEnd -= 1 }
        return (name, valueStart..<valueEnd, index + 2)
    }

    private enum Role {
        case known(KnownField)
        /// Changes where the message ends, or what follows it.
        case framing
        case other
    }

    /// By length first, so that most names are settled by one comparison.
    private static func role(of bytes: Span<UInt8>, _ name: Range<Int>) -> Role {
        for field in fieldsByLength[min(name.count, fieldsByLength.count - 1)] {
            guard bytes.equalsIgnoringCase(field.name, in: name) else { continue }
            return field.known.map(Role.known) ?? .framing
        }
        return .other
    }

    private static let fieldsByLength: [[(name: [UInt8], known: KnownField?)]] = {
        let framing = ["content-length", "transfer-encoding", "upgrade", "trailer", "expect", "te"]
        var byLength = [[(name: [UInt8], known: KnownField?)]](repeating: [], count: 48)
        for name in framing {
            byLength[name.utf8.count].append((Array(name.utf8), nil))
        }
        for field in KnownField.allCases where !framing.contains(field.rawValue) {
            byLength[field.rawValue.utf8.count].append((Array(field.rawValue.utf8), field))
        }
        return byLength
    }()
}

private let carriageReturn = UInt8(ascii: "\r")
private let lineFeed = UInt8(ascii: "\n")

private func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

/// RFC 9110 §5.5: visible characters, blanks, and bytes above ASCII.
private func isValueByte(_ byte: UInt8) -> Bool { byte >= 0x20 ? byte != 0x7F : byte == UInt8(ascii: "\t") }

private func isPlainTargetByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "#"), UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\\"),
        UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"):
        false
    default: byte > 0x20 && byte < 0x7F
    }
}

/// RFC 9110 §5.6.2.
func isTokenByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"):
        true
    case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
        UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
        UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
        true
    default: false
    }
}

extension Span<UInt8> {
    fileprivate func hasPrefix(_ text: StaticString, at start: Int = 0) -> Bool {
        guard text.utf8CodeUnitCount <= count - start else { return false }
        for index in 0..<text.utf8CodeUnitCount where self[start + index] != text.utf8Start[index] { return false }
        return true
    }

    fileprivate func equalsIgnoringCase(_ lowercased: [UInt8], in range: Range<Int>) -> Bool {
        guard range.count == lowercased.count else { return false }
        for index in 0..<lowercased.count {
            let byte = self[range.lowerBound + index]
            let lower = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
            if lower != lowercased[index] { return false }
        }
        return true
    }

    fileprivate func buffer(_ range: Range<Int>) -> ByteBuffer {
        extracting(range).withUnsafeBufferPointer { ByteBuffer(bytes: $0) }
    }

    fileprivate func string(_ range: Range<Int>) -> String {
        extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }
}
