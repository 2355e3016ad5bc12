/// Which chunk of which object: the key of a chunk in the cache.
///
/// The order is that of the keys in the database, so that the chunks of one object lie side by side.
package struct ChunkID: Sendable, Hashable, Comparable {
    /// The number of the object's record, which is never given to another object or to another revision.
    package var object: UInt64
    /// The chunk's place in the object, counted from 0.
    package var index: UInt64

    package init(object: UInt64, index: UInt64) {
        self.object = object
        self.index = index
    }

    package static func < (left: ChunkID, right: ChunkID) -> Bool {
        left.object == right.object ? left.index < right.index : left.object < right.object
    }

    /// Before which there is none.
    static let first = ChunkID(object: 0, index: 0)

    /// In the order of keys; `nil` behind the last there can be.
    var next: ChunkID? {
        if index < .max { return ChunkID(object: object, index: index + 1) }
        return object < .max ? ChunkID(object: object + 1, index: 0) : nil
    }
}

extension ChunkID: LMDBKey {
    static let keySize = 16

    /// The chunk that `key` names; `nil` if it has not the size of a chunk's key.
    package init?(key: RawSpan) {
        guard key.byteCount == Self.keySize else { return nil }
        let (object, index) = key.withUnsafeBytes {
            ($0.loadUnaligned(as: UInt64.self), $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        }
        self.init(object: UInt64(bigEndian: object), index: UInt64(bigEndian: index))
    }

    /// Object, then index, both big-endian: the database orders keys byte by byte.
    package func withKeyBytes<Result>(
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        try withUnsafeBytes(of: (object.bigEndian, index.bigEndian), body)
    }
}
