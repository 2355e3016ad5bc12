import Synchronization

/// One revision of one object, as the cache knows it. All its chunks are found by its number.
package final class CachedObject: Sendable {
    package let record: ObjectRecord
    package let key: ObjectKey
    /// The grid: chunk `n` begins at `n * chunkSize`, and only the last one is shorter.
    package let chunkSize: Int64
    private let retired = Atomic(false)
    private let stored = Atomic(0)

    /// - Precondition: `chunkSize` is above 0, and the record's size not negative.
    init(_ record: ObjectRecord, key: ObjectKey, chunkSize: Int64) {
        self.record = record
        self.key = key
        self.chunkSize = chunkSize
    }

    package var number: UInt64 { record.number }
    package var size: Int64 { record.size }

    /// Whether the object was replaced or purged: what is being sent of it may go on, but nothing more is stored.
    var isRetired: Bool { retired.load(ordering: .relaxed) }

    func retire() { retired.store(true, ordering: .relaxed) }

    /// How many of its chunks are in the cache.
    package var storedChunks: Int { stored.load(ordering: .relaxed) }

    func countStored(_ change: Int) -> Int { stored.wrappingAdd(change, ordering: .relaxed).newValue }

    package var chunkCount: Int64 { size / chunkSize + (size % chunkSize == 0 ? 0 : 1) }

    var lastIndex: UInt64 { UInt64(max(chunkCount - 1, 0)) }

    /// The chunk that holds the byte at `position`, which is not negative.
    package func chunk(at position: Int64) -> ChunkID {
        ChunkID(object: number, index: UInt64(position / chunkSize))
    }

    /// The bytes of `chunk`, as positions in the object; empty behind its end.
    package func range(of chunk: ChunkID) -> Range<Int64> {
        guard let index = Int64(exactly: chunk.index), index < chunkCount else { return size..<size }
        let start = index * chunkSize
        return start..<start + min(chunkSize, size - start)
    }
}
