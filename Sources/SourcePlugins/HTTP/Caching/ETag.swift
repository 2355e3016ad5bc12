/// An entity tag (RFC 9110 §8.8.3) of an origin or a client, of which every byte is known.
package struct ETag: Sendable, Hashable, CustomStringConvertible {
    package let isWeak: Bool
    package let opaque: String

    /// - Returns: `nil` unless `text` is an entity tag and nothing else. One with U+FFFD is none: it stands for bytes that
    ///   may be others each time.
    package init?(_ text: String) {
        guard let (tag, rest) = Self.prefix(of: text[...]), rest.isEmpty, !FieldSyntax.isRepaired(text) else {
            return nil
        }
        self = tag
    }

    private init(isWeak: Bool, opaque: Substring) {
        self.isWeak = isWeak
        self.opaque = String(opaque)
    }

    package static func == (left: ETag, right: ETag) -> Bool {
        left.isWeak == right.isWeak && left.matchesWeakly(right)
    }

    /// RFC 9110 §8.8.3.2.
    package func matchesStrongly(_ other: ETag) -> Bool { !isWeak && !other.isWeak && matchesWeakly(other) }
    package func matchesWeakly(_ other: ETag) -> Bool { FieldSyntax.isSame(opaque, other.opaque) }

    /// As it stands in a field.
    package var description: String { (isWeak ? "W/\"" : "\"") + opaque + "\"" }

    /// The tag at the start of `text`, and what follows it.
    fileprivate static func prefix(of text: Substring) -> (tag: ETag, rest: Substring)? {
        let bytes = text.utf8
        let isWeak = bytes.starts(with: "W/".utf8)
        let quoted = isWeak ? bytes.dropFirst(2) : bytes
        guard quoted.first == FieldSyntax.quote else { return nil }
        let body = quoted.dropFirst()
        guard let end = body.firstIndex(of: FieldSyntax.quote) else { return nil }
        guard body[..<end].allSatisfy({ $0 == 0x21 || $0 > 0x22 && $0 != 0x7F }) else { return nil }
        return (ETag(isWeak: isWeak, opaque: text[body.startIndex..<end]), text[body.index(after: end)...])
    }
}

/// The value of `If-None-Match`.
package enum ETagCondition: Sendable, Hashable {
    case any
    case tags([ETag])

    /// Reads all lines of the field; members that are no entity tag match nothing.
    ///
    /// - Returns: `nil` if there is no such field.
    package init?(_ fields: HeaderFields) {
        let lines = fields.values("if-none-match")
        guard !lines.isEmpty else { return nil }
        self = lines == ["*"] ? .any : .tags(lines.flatMap { Self.tags(in: $0[...]) })
    }

    package var tags: [ETag] {
        switch self {
        case .any: []
        case .tags(let tags): tags
        }
    }

    // Not as lists elsewhere: a backslash in a tag is a character like others.
    private static func tags(in line: Substring) -> [ETag] {
        var tags: [ETag] = []
        var rest = line
        while !rest.isEmpty {
            if let (tag, remainder) = ETag.prefix(of: rest) {
                let next = FieldSyntax.trimmed(remainder)
                let isLast = next.isEmpty || next.utf8.first == FieldSyntax.comma
                if isLast, !FieldSyntax.isRepaired(tag.opaque) { tags.append(tag) }
                rest = remainder
            }
            let comma = rest.utf8.firstIndex(of: FieldSyntax.comma)
            rest = FieldSyntax.trimmed(comma.map { rest[rest.utf8.index(after: $0)...] } ?? rest[rest.endIndex...])
        }
        return tags
    }
}
