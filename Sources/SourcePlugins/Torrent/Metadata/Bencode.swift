/// A bencoded document (BEP 3) that was checked whole: nothing in it can fail or overflow later.
///
/// Keys may stand in any order, since old torrents have them so; no key may stand twice, no number may start with a
/// needless zero, and nothing may follow the end.
package struct Bencode: Sendable {
    /// What a document may cost.
    package struct Limits: Sendable, Hashable {
        /// Of the whole document, at most 2³¹.
        package var bytes: Int
        /// Values and keys in it.
        package var tokens: Int
        /// Lists and dictionaries within each other.
        package var depth: Int

        package init(bytes: Int, tokens: Int, depth: Int) {
            self.bytes = min(bytes, 1 << 31)
            self.tokens = min(tokens, 1 << 31)
            self.depth = depth
        }
    }

    /// Whether the keys of every dictionary are in ascending order, which BEP 52 demands.
    package let isCanonical: Bool
    private let document: Document

    /// - Throws: ``SourceError`` `badReference` that says what is wrong at which byte; `refused` beyond `limits`.
    package init(_ bytes: [UInt8], limits: Limits) throws {
        guard bytes.count <= limits.bytes else {
            throw SourceError(.refused, "\(bytes.count) bytes are more than the \(limits.bytes) that are read")
        }
        var parser = BencodeParser(bytes: bytes, limits: limits)
        try parser.parse()
        document = Document(bytes: bytes, tokens: parser.tokens)
        isCanonical = parser.isCanonical
    }

    package var root: Value { Value(document: document, index: 0) }
}

/// Immutable; shared by all values of one document.
private final class Document: Sendable {
    let bytes: [UInt8]
    let tokens: [BencodeToken]

    init(bytes: [UInt8], tokens: [BencodeToken]) {
        self.bytes = bytes
        self.tokens = tokens
    }
}

extension Bencode {
    /// One value, with all that is in it. Holds the document.
    package struct Value: Sendable {
        fileprivate let document: Document
        fileprivate let index: Int

        private var token: BencodeToken { document.tokens[index] }

        /// Where the value stands in the document, its delimiters included.
        package var range: Range<Int> { token.range }

        /// The value exactly as it was written.
        package var raw: ArraySlice<UInt8> { document.bytes[token.range] }

        package var string: ArraySlice<UInt8>? {
            token.kind == .string ? document.bytes[token.content] : nil
        }

        package var integer: Int64? {
            token.kind == .integer ? BencodeParser.integer(document.bytes[token.content]) : nil
        }

        package var list: List? {
            token.kind == .list ? List(document: document, index: index) : nil
        }

        package var dictionary: Entries? {
            token.kind == .dictionary ? Entries(document: document, index: index) : nil
        }
    }

    /// The values of a list, in order.
    package struct List: Sendable, Sequence {
        fileprivate let document: Document
        fileprivate let index: Int

        package func makeIterator() -> AnyIterator<Value> {
            var cursor = Cursor(document: document, container: index)
            return AnyIterator { cursor.next() }
        }
    }

    /// The keys and values of a dictionary, in the order they were written.
    package struct Entries: Sendable, Sequence {
        fileprivate let document: Document
        fileprivate let index: Int

        package func makeIterator() -> AnyIterator<(key: ArraySlice<UInt8>, value: Value)> {
            var cursor = Cursor(document: document, container: index)
            return AnyIterator {
                guard let key = cursor.next()?.string, let value = cursor.next() else { return nil }
                return (key, value)
            }
        }

        package subscript(key: String) -> Value? {
            var cursor = Cursor(document: document, container: index)
            while let found = cursor.next()?.string, let value = cursor.next() {
                if found.elementsEqual(key.utf8) { return value }
            }
            return nil
        }
    }

    private struct Cursor {
        private let document: Document
        private let end: Int
        private var index: Int

        init(document: Document, container: Int) {
            self.document = document
            end = document.tokens[container].next
            index = container + 1
        }

        mutating func next() -> Value? {
            guard index < end else { return nil }
            defer { index = document.tokens[index].next }
            return Value(document: document, index: index)
        }
    }
}
