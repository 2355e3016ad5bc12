import SourcePlugins

/// An entity tag (RFC 9110 §8.8.3) as a client sends it.
package struct EntityTag: Sendable, Hashable {
    package let isWeak: Bool
    package let opaque: Substring

    /// The tag at the start of `text`, and what follows it; `nil` if there is none.
    static func parsePrefix(of text: Substring) -> (tag: EntityTag, rest: Substring)? {
        let isWeak = text.hasPrefix("W/")
        let quoted = isWeak ? text.dropFirst(2) : text
        guard quoted.first == "\"" else { return nil }
        let body = quoted.dropFirst()
        guard let end = body.firstIndex(of: "\"") else { return nil }
        let opaque = body[..<end]
        guard opaque.utf8.allSatisfy({ $0 == 0x21 || (0x23...0x7E).contains($0) || $0 >= 0x80 }) else { return nil }
        return (EntityTag(isWeak: isWeak, opaque: opaque), body[body.index(after: end)...])
    }

    /// RFC 9110 §8.8.3.2. A ``Revision`` is always strong.
    func matchesStrongly(_ revision: Revision) -> Bool { !isWeak && opaque == revision.opaque }
    func matchesWeakly(_ revision: Revision) -> Bool { opaque == revision.opaque }
}

/// The value of `If-Match` or `If-None-Match`.
package enum EntityTagList: Sendable, Hashable {
    case any
    case tags([EntityTag])

    /// Parses a field value; elements that are no entity tags match nothing.
    package init(field: String) {
        let text = field.drop(while: { $0 == " " || $0 == "\t" })
        if text == "*" {
            self = .any
            return
        }
        var tags: [EntityTag] = []
        var rest = text
        while !rest.isEmpty {
            if let (tag, remainder) = EntityTag.parsePrefix(of: rest) {
                tags.append(tag)
                rest = remainder
            } else {
                rest = rest.dropFirst()
            }
            rest = rest.drop(while: { $0 == " " || $0 == "\t" || $0 == "," })
        }
        self = .tags(tags)
    }

    func contains(_ revision: Revision?, where matches: (EntityTag, Revision) -> Bool) -> Bool {
        switch self {
        case .any: true
        case .tags(let tags): revision.map { revision in tags.contains { matches($0, revision) } } ?? false
        }
    }
}
