/// Decides which chunk leaves a cache of equal-sized chunks. It decides only: whoever owns it deletes what it names.
///
/// A policy is a pure value without I/O, clock or randomness: the same calls have the same outcome. It never evicts by
/// itself, so that ``count`` may be above ``capacity`` until its owner has called ``evict()`` often enough.
package protocol EvictionPolicy: Sendable {
    /// How many chunks the cache is meant to hold. It may change at any time.
    var capacity: Int { get set }

    /// How many chunks are tracked.
    var count: Int { get }

    /// Tracks a chunk that has been written. One that is tracked already counts as touched.
    mutating func insert(_ chunk: ChunkID)

    /// Tracks a chunk that a scan at start has found. Those restored first leave first; one that is tracked already
    /// stays where it is.
    ///
    /// What was there before the start has no history, but is not taken for new either: where a policy has new chunks
    /// prove themselves first, these have done so.
    mutating func restore(_ chunk: ChunkID)

    /// Notes a hit. A chunk that is not tracked is ignored: it may have left since.
    mutating func touch(_ chunk: ChunkID)

    /// Forgets a chunk that has been deleted for another reason than ``evict()``. One that is not tracked is ignored.
    mutating func remove(_ chunk: ChunkID)

    /// Chooses a chunk to delete and forgets it. `nil` only if none is tracked.
    mutating func evict() -> ChunkID?

    /// Every tracked chunk, in the order in which another policy should ``restore(_:)`` them. Takes linear time.
    var chunksInOrder: [ChunkID] { get }
}
