/// Decides whether a chunk that was fetched is worth a place in the cache.
///
/// A pure value, like ``EvictionPolicy``.
package struct Admission: Sendable {
    /// What was sighted last; `nil` if everything is admitted.
    private var sightings: RecentChunks?

    /// Admits everything.
    package static let always = Admission(sightings: nil)

    /// Admits a chunk that is among the last `sightings` that were asked about before. An object's first and last
    /// chunks are admitted at once: a player needs both before it can start.
    package static func secondHit(remembering sightings: Int) -> Admission {
        Admission(sightings: RecentChunks(capacity: sightings))
    }

    /// How many sightings are remembered; 0 if everything is admitted. A change of what admits everything has no
    /// effect.
    package var memory: Int {
        get { sightings?.capacity ?? 0 }
        set { sightings?.capacity = newValue }
    }

    /// Takes note of a chunk that was not in the cache.
    ///
    /// - Parameter lastIndex: the index of the last chunk of its object.
    /// - Returns: whether to put it there.
    package mutating func admit(_ chunk: ChunkID, lastIndex: UInt64) -> Bool {
        guard chunk.index != 0, chunk.index < lastIndex, let isKnown = sightings?.contains(chunk) else { return true }
        sightings?.insert(chunk)
        return isKnown
    }
}
