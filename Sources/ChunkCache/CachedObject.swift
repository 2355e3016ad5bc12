import Synchronization

/// One revision of one object, as the cache knows it. All its chunks are found by its number.
package final class CachedObject: Sendable {
    /// Without the attributes, which may change.
    package let record: ObjectRecord
    package let key: ObjectKey
    /// The grid: chunk `n` begins at `n * chunkSize`, and only the last one is shorter.
    package let chunkSize: Int64
    /// Those of its source.
    let lookups: CacheCounters.Lookups
    private let retired = Atomic(false)
    private let stored = Atomic(0)
    private let storedSize = Atomic<Int64>(0)
    private let pinned: Atomic<Bool>
    private let sent = Atomic(0)
    private let cooled = Mutex(Cooled())
    /// How many are sending it; far below 0 once its chunks are being deleted.
    private let readers = Atomic(0)
    private static let erased = Int.min / 2
    /// What its record is counted for in the file.
    private let recordBytes = Atomic(0)
    private let currentAttributes: Mutex<(bytes: [UInt8], version: Int)>

    /// - Precondition: `chunkSize` is above 0, and the record's size not negative.
    init(
        _ record: ObjectRecord,
        key: ObjectKey,
        chunkSize: Int64,
        lookups: CacheCounters.Lookups,
        isPinned: Bool = false
    ) {
        currentAttributes = Mutex((record.attributes, 0))
        var record = record
        record.attributes = []
        self.record = record
        self.key = key
        self.chunkSize = chunkSize
        self.lookups = lookups
        pinned = Atomic(isPinned)
    }

    /// What whoever stores the object wants to know of it, as it is now.
    package var attributes: [UInt8] { currentAttributes.withLock { $0.bytes } }

    /// The same, and a number that is another one after each change.
    package var versionedAttributes: ([UInt8], Int) { currentAttributes.withLock { $0 } }

    func set(attributes: [UInt8]) { currentAttributes.withLock { $0 = (attributes, $0.version + 1) } }

    /// ``record`` as it is to be stored now.
    var currentRecord: ObjectRecord {
        var result = record
        result.attributes = attributes
        return result
    }

    package var number: UInt64 { record.number }
    package var size: Int64 { record.size }

    /// Whether the object was replaced or purged: what is being sent of it may go on, but nothing more is stored.
    package var isRetired: Bool { retired.load(ordering: .relaxed) }

    func retire() { retired.store(true, ordering: .relaxed) }

    /// Keeps the chunks of an object that is forgotten from being deleted until ``endReading()``, which always follows.
    /// They may be evicted all the same.
    ///
    /// - Returns: `false` if that comes too late: the object was forgotten before, and its chunks are leaving.
    @discardableResult
    package func beginReading() -> Bool { readers.wrappingAdd(1, ordering: .relaxed).newValue > 0 }

    package func endReading() { readers.wrappingSubtract(1, ordering: .relaxed) }

    /// Comes before the chunks of an object that is forgotten are deleted.
    ///
    /// - Returns: `false` if somebody is sending it. If not, whoever begins from now on is told.
    func beginErasing() -> Bool {
        let (isFirst, readers) = readers.compareExchange(expected: 0, desired: Self.erased, ordering: .relaxed)
        return isFirst || readers < 0
    }

    /// - Returns: what it was before.
    func countRecord(_ bytes: Int) -> Int { recordBytes.exchange(bytes, ordering: .relaxed) }

    /// How many of its chunks are in the cache.
    package var storedChunks: Int { stored.load(ordering: .relaxed) }

    /// What those take of the file, in bytes.
    package var storedBytes: Int64 { storedSize.load(ordering: .relaxed) }

    func countStored(_ change: Int, bytes: Int64) {
        stored.wrappingAdd(change, ordering: .relaxed)
        storedSize.wrappingAdd(bytes, ordering: .relaxed)
    }

    /// How many of its chunks were sent from the cache since it was opened. Roughly how often the object was: an answer with
    /// several counts several times, one that ends within a chunk once.
    package var hits: Int { sent.load(ordering: .relaxed) }

    func countHit() { sent.wrappingAdd(1, ordering: .relaxed) }

    /// How much it was asked for lately: ``hits``, each of which counts half as much after an hour, a quarter after two.
    package var heat: Double { cooled.withLock { $0.heat(after: hits) } }

    /// Has the hits until now count for a part of what they did.
    func cool(to part: Double) {
        cooled.withLock { cooled in
            let hits = hits
            cooled = Cooled(heat: cooled.heat(after: hits) * part, hits: hits)
        }
    }

    private struct Cooled {
        var heat = 0.0
        /// Those that are in it.
        var hits = 0

        func heat(after hits: Int) -> Double { heat + Double(hits - self.hits) }
    }

    /// Whether a pin names it, so that it is not to be evicted as long as there is room for what is pinned.
    package var isPinned: Bool { pinned.load(ordering: .relaxed) }

    func set(isPinned: Bool) { pinned.store(isPinned, ordering: .relaxed) }

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

    /// What of `chunk` lies in `range`, as offsets in the chunk.
    package func part(of chunk: ChunkID, in range: Range<Int64>) -> Range<Int> {
        let whole = self.range(of: chunk)
        let part = range.clamped(to: whole)
        return Int(part.lowerBound - whole.lowerBound)..<Int(part.upperBound - whole.lowerBound)
    }
}
