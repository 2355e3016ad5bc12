/// Where one value of a bencoded document is.
struct BencodeToken: Sendable {
    enum Kind: UInt8 {
        case integer
        case string
        case list
        case dictionary
    }

    let kind: Kind
    private let start: UInt32
    private let contentStart: UInt32
    private var end: UInt32
    private var nextToken: UInt32 = 0

    init(_ kind: Kind, start: Int, contentStart: Int, end: Int) {
        self.kind = kind
        self.start = UInt32(truncatingIfNeeded: start)
        self.contentStart = UInt32(truncatingIfNeeded: contentStart)
        self.end = UInt32(truncatingIfNeeded: end)
    }

    /// All of it.
    var range: Range<Int> { Int(start)..<Int(end) }

    /// The bytes of a string, or the digits of an integer.
    var content: Range<Int> { Int(contentStart)..<Int(end) - (kind == .string ? 0 : 1) }

    /// The token after this one and all within it.
    var next: Int { Int(nextToken) }

    mutating func close(end: Int, next: Int) {
        self.end = UInt32(truncatingIfNeeded: end)
        nextToken = UInt32(truncatingIfNeeded: next)
    }
}

/// Turns a document into a flat list of tokens, in the order they stand. Does not recurse.
///
/// Offsets and indices fit 32 bits, because ``Bencode/Limits`` are no larger than that.
struct BencodeParser {
    private let bytes: [UInt8]
    private let limits: Bencode.Limits
    private var position = 0
    private var open: [Container] = []
    private(set) var tokens: [BencodeToken] = []
    private(set) var isCanonical = true

    private struct Container {
        let token: Int
        let isDictionary: Bool
        /// In a dictionary, whether a key is to come.
        var expectsKey: Bool
        var lastKey: Int?
        var isSorted = true
    }

    /// A dictionary out of order with more keys than this is not searched for doubles, but refused.
    private static let largestUnsorted = 4096

    init(bytes: [UInt8], limits: Bencode.Limits) {
        self.bytes = bytes
        self.limits = limits
    }

    mutating func parse() throws {
        repeat {
            guard position < bytes.count else { throw failure("the data ends where a value or an e is due") }
            try step(bytes[position])
        } while !open.isEmpty
        guard position == bytes.count else { throw failure("something follows the end of the data") }
    }

    private mutating func step(_ byte: UInt8) throws {
        let expectsKey = open.last?.expectsKey ?? false
        switch byte {
        case UInt8(ascii: "e") where !open.isEmpty:
            try closeContainer()
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            try readString()
        case _ where expectsKey:
            throw failure("a dictionary has a key that is not a string")
        case UInt8(ascii: "i"):
            try readInteger()
        case UInt8(ascii: "l"), UInt8(ascii: "d"):
            try openContainer(isDictionary: byte == UInt8(ascii: "d"))
        default:
            throw failure("byte \(byte) starts no value")
        }
    }

    private mutating func openContainer(isDictionary: Bool) throws {
        guard open.count < limits.depth else {
            throw SourceError(.refused, "lists and dictionaries are nested more than \(limits.depth) deep")
        }
        try append(BencodeToken(isDictionary ? .dictionary : .list, start: position, contentStart: position, end: 0))
        open.append(Container(token: tokens.count - 1, isDictionary: isDictionary, expectsKey: isDictionary))
        position += 1
    }

    private mutating func closeContainer() throws {
        guard let container = open.popLast() else { return }
        guard !container.isDictionary || container.expectsKey else { throw failure("a key has no value") }
        position += 1
        tokens[container.token].close(end: position, next: tokens.count)
        if !container.isSorted { try checkUnsorted(container.token) }
        finishValue()
    }

    private mutating func readString() throws {
        let start = position
        var length = 0
        while position < bytes.count, let digit = Self.digit(bytes[position]) {
            guard length < 1 << 40 else { throw failure("a string is longer than the data") }
            length = length * 10 + digit
            position += 1
        }
        guard position < bytes.count, bytes[position] == UInt8(ascii: ":") else {
            throw failure("a string's length is not followed by a colon")
        }
        guard bytes[start] != UInt8(ascii: "0") || position - start == 1 else {
            throw failure("a string's length starts with a zero")
        }
        position += 1
        guard length <= bytes.count - position else { throw failure("a string is longer than the data") }
        try append(BencodeToken(.string, start: start, contentStart: position, end: position + length))
        if let last = open.indices.last, open[last].expectsKey {
            try checkOrder(of: tokens.count - 1, in: last)
        }
        position += length
        tokens[tokens.count - 1].close(end: position, next: tokens.count)
        finishValue()
    }

    private mutating func readInteger() throws {
        let start = position
        position += 1
        guard let end = bytes[position...].prefix(21).firstIndex(of: UInt8(ascii: "e")) else {
            throw failure("a number has no end, or more digits than 64 bits hold")
        }
        guard Self.integer(bytes[position..<end]) != nil else {
            throw failure("a number is not a whole number of 64 bits without zeros before it")
        }
        try append(BencodeToken(.integer, start: start, contentStart: position, end: end + 1))
        position = end + 1
        tokens[tokens.count - 1].close(end: position, next: tokens.count)
        finishValue()
    }

    private mutating func append(_ token: BencodeToken) throws {
        guard tokens.count < limits.tokens else {
            throw SourceError(.refused, "the data holds more than \(limits.tokens) values")
        }
        tokens.append(token)
    }

    /// After a key comes a value, after that a key.
    private mutating func finishValue() {
        guard let last = open.indices.last, open[last].isDictionary else { return }
        open[last].expectsKey.toggle()
    }

    private mutating func checkOrder(of key: Int, in container: Int) throws {
        defer { open[container].lastKey = key }
        guard let previous = open[container].lastKey else { return }
        let old = bytes[tokens[previous].content]
        let new = bytes[tokens[key].content]
        if old.lexicographicallyPrecedes(new) { return }
        guard new.lexicographicallyPrecedes(old) else { throw failure("a dictionary has the same key twice") }
        open[container].isSorted = false
        isCanonical = false
    }

    private func checkUnsorted(_ container: Int) throws {
        var keys: [Int] = []
        var index = container + 1
        while index < tokens[container].next {
            keys.append(index)
            guard keys.count <= Self.largestUnsorted else {
                throw failure("a dictionary of more than \(Self.largestUnsorted) keys is not in order")
            }
            index = tokens[tokens[index].next].next
        }
        let sorted = keys.map { bytes[tokens[$0].content] }.sorted { $0.lexicographicallyPrecedes($1) }
        for (left, right) in zip(sorted, sorted.dropFirst()) where left == right {
            throw failure("a dictionary has the same key twice")
        }
    }

    private func failure(_ what: String) -> SourceError {
        SourceError(.badReference, "this is not bencoded data: \(what), at byte \(position)")
    }

    private static func digit(_ byte: UInt8) -> Int? {
        (0x30...0x39).contains(byte) ? Int(byte) - 0x30 : nil
    }

    /// A decimal number with at most a minus before it; `nil` for anything else, `-0` and `01` among it.
    static func integer(_ text: ArraySlice<UInt8>) -> Int64? {
        let isNegative = text.first == UInt8(ascii: "-")
        let digits = isNegative ? text.dropFirst() : text
        guard let first = digits.first else { return nil }
        guard first != UInt8(ascii: "0") || (digits.count == 1 && !isNegative) else { return nil }
        var value: Int64 = 0
        for byte in digits {
            guard let digit = digit(byte) else { return nil }
            let (scaled, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = scaled.addingReportingOverflow(Int64(isNegative ? -digit : digit))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        return value
    }
}
