/// Where an object comes from. Revisions are not part of it: a new one takes the place of the one before.
package struct ObjectKey: Sendable, Hashable {
    /// The source's name.
    package var source: String
    /// The path within the source, in its bytes.
    package var path: [UInt8]
    /// Which of several representations under one path; empty where there is one. Those that are looked for together have
    /// the same first line.
    package var variant: String

    package init(source: String, path: [UInt8], variant: String = "") {
        self.source = source
        self.path = path
        self.variant = variant
    }

    /// The key of all that are looked for together with this; `nil` where there is one representation.
    var family: ObjectKey? {
        guard !variant.isEmpty else { return nil }
        return ObjectKey(source: source, path: path, variant: String(variant.prefix { $0 != "\n" }))
    }
}

/// The key of an object's record in the database: its number.
struct ObjectNumber: LMDBKey {
    let value: UInt64

    init(value: UInt64) {
        self.value = value
    }

    /// - Returns: `nil` if `key` has not the size of a number.
    init?(key: RawSpan) {
        guard key.byteCount == 8 else { return nil }
        value = UInt64(bigEndian: key.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
    }

    func withKeyBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withUnsafeBytes(of: value.bigEndian, body)
    }
}
