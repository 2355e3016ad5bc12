/// What tells whether two answers are of the same bytes of an object.
package struct ObjectVersion: Sendable, Hashable {
    package let size: Int64?
    /// The entity tag as it was sent, weak or strong.
    package let tag: String?
    /// `Last-Modified` as it was sent.
    package let modified: String?

    package init(size: Int64?, tag: String?, modified: String?) {
        self.size = size
        self.tag = tag
        self.modified = modified
    }

    init(_ head: OriginHead, size: Int64?) {
        self.init(size: size, tag: head.single("etag"), modified: head.single("last-modified"))
    }

    /// The entity tag if it is a strong one: what makes it safe to join parts of two answers.
    package var validator: String? {
        guard let tag, let opaque = Self.opaque(tag), !FieldSyntax.isRepaired(opaque) else { return nil }
        return tag
    }

    /// A revision that is equal for equal strong tags and lengths, on every node.
    ///
    /// - Returns: `nil` without a strong tag or a length. A date alone is never one: two versions can share it.
    package var revision: Revision? {
        guard let validator, let opaque = Self.opaque(validator), let size else { return nil }
        return Revision("\(opaque)-\(size)") ?? Revision("\(Self.digest(opaque))-\(size)")
    }

    /// Whether an answer with these fields can be of this version.
    func matches(_ head: OriginHead) -> Bool {
        let other = ObjectVersion(head, size: size)
        guard Self.isSame(tag, other.tag) else { return false }
        return validator != nil || modified == nil || other.modified == nil || modified == other.modified
    }

    private static func isSame(_ left: String?, _ right: String?) -> Bool {
        guard let left, let right else { return left == nil && right == nil }
        return FieldSyntax.isSame(left, right)
    }

    /// What stands between the quotes of a strong tag (RFC 9110 §8.8.3).
    ///
    /// - Returns: `nil` for a weak one, and for what is none.
    private static func opaque(_ tag: String) -> String? {
        let bytes = Array(tag.utf8)
        guard bytes.count >= 2, bytes.first == 0x22, bytes.last == 0x22 else { return nil }
        let opaque = bytes[1..<(bytes.count - 1)]
        guard opaque.allSatisfy({ $0 == 0x21 || $0 >= 0x23 && $0 != 0x7F }) else { return nil }
        return String(decoding: opaque, as: UTF8.self)
    }

    /// FNV-1a in 128 bits, for tags that are too long for a revision or hold what it may not.
    private static func digest(_ opaque: String) -> String {
        let hash = opaque.utf8.reduce(0x6C62_272E_07BB_0142_62B8_2175_6295_C58D as UInt128) { hash, byte in
            (hash ^ UInt128(byte)) &* (1 << 88 | 0x13B)
        }
        let digits = String(hash, radix: 16)
        return "~" + String(repeating: "0", count: 32 - digits.utf8.count) + digits
    }
}
