/// Decides which chunk leaves a cache some of whose sources have a limit of their own: one policy over all chunks, and
/// one for each such source over its own.
///
/// A chunk of such a source is tracked twice, so that each limit is kept by what it was least worth to keep under it. A
/// chunk that is held is tracked by none, and is not evicted. A pure value, like ``EvictionPolicy``.
package struct Eviction: Sendable {
    private struct Share: Sendable {
        var policy: any EvictionPolicy
    }

    private var whole: any EvictionPolicy
    private var shares: [Share]
    private let shareOfSource: [String: Int]
    /// What each chunk that is held takes, in bytes.
    private var held: [ChunkID: Int64] = [:]
    /// What they take together, in bytes.
    package private(set) var heldBytes: Int64 = 0
    private let holdLimit: Int64

    /// - Parameters:
    ///   - capacity: how many chunks the cache is meant to hold.
    ///   - shares: how many of them sources may have, for those that have a limit.
    ///   - holdLimit: what chunks that are held may take, in bytes.
    package init(_ policy: CachePolicy, capacity: Int, shares: [String: Int] = [:], holdLimit: Int64 = 0) {
        self.holdLimit = holdLimit
        whole = policy.makePolicy(capacity: capacity)
        let sources = shares.sorted { $0.key < $1.key }
        self.shares = sources.map { Share(policy: policy.makePolicy(capacity: $0.value)) }
        shareOfSource = Dictionary(uniqueKeysWithValues: sources.enumerated().map { ($0.element.key, $0.offset) })
    }

    /// How many chunks the cache is meant to hold.
    package var capacity: Int {
        get { whole.capacity }
        set { whole.capacity = newValue }
    }

    /// How many chunks are tracked, and may be evicted.
    package var count: Int { whole.count }

    /// How many chunks of `source` are tracked; 0 if it has no limit.
    package func count(of source: String) -> Int { shareOfSource[source].map { shares[$0].policy.count } ?? 0 }

    /// As ``EvictionPolicy/insert(_:)``. One that is held stays so.
    package mutating func insert(_ chunk: ChunkID, of source: String) {
        guard held[chunk] == nil else { return }
        whole.insert(chunk)
        if let index = shareOfSource[source] { shares[index].policy.insert(chunk) }
    }

    /// As ``EvictionPolicy/restore(_:)``. One that is held stays so.
    package mutating func restore(_ chunk: ChunkID, of source: String) {
        guard held[chunk] == nil else { return }
        whole.restore(chunk)
        if let index = shareOfSource[source] { shares[index].policy.restore(chunk) }
    }

    /// As ``EvictionPolicy/touch(_:)``.
    package mutating func touch(_ chunk: ChunkID, of source: String) {
        whole.touch(chunk)
        if let index = shareOfSource[source] { shares[index].policy.touch(chunk) }
    }

    /// Forgets a chunk that has been deleted, tracked or held.
    package mutating func remove(_ chunk: ChunkID) {
        if let bytes = held.removeValue(forKey: chunk) {
            heldBytes -= bytes
            return
        }
        whole.remove(chunk)
        removeFromShares(chunk)
    }

    /// Chooses a chunk to delete and forgets it.
    ///
    /// - Parameter source: one with a limit, whose chunks alone are chosen from; `nil` for any.
    /// - Returns: `nil` only if none of those is tracked.
    package mutating func evict(of source: String? = nil) -> ChunkID? {
        if let source {
            guard let index = shareOfSource[source], let chunk = shares[index].policy.evict() else { return nil }
            whole.remove(chunk)
            return chunk
        }
        guard let chunk = whole.evict() else { return nil }
        removeFromShares(chunk)
        return chunk
    }

    /// Keeps a chunk, tracked before or not, from being evicted until it is released or removed.
    ///
    /// - Parameter bytes: what it takes.
    /// - Returns: `false` if that is more than there is room for; then nothing has changed.
    package mutating func hold(_ chunk: ChunkID, bytes: Int64) -> Bool {
        if held[chunk] != nil { return true }
        guard heldBytes + bytes <= holdLimit else { return false }
        held[chunk] = bytes
        heldBytes += bytes
        whole.remove(chunk)
        removeFromShares(chunk)
        return true
    }

    /// Has a chunk that is held tracked again. It counts as one that was there before, and is not taken for new.
    package mutating func release(_ chunk: ChunkID, of source: String) {
        guard let bytes = held.removeValue(forKey: chunk) else { return }
        heldBytes -= bytes
        restore(chunk, of: source)
    }

    /// In no order.
    package var heldChunks: [ChunkID] { Array(held.keys) }

    private mutating func removeFromShares(_ chunk: ChunkID) {
        // There are few, and no other than the chunk's own tracks it.
        for index in shares.indices { shares[index].policy.remove(chunk) }
    }
}
