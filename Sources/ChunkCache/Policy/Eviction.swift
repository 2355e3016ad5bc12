/// Decides which chunk leaves a cache some of whose sources have a limit of their own: one policy over all chunks, and
/// one for each such source over its own.
///
/// A chunk of such a source is tracked twice, so that each limit is kept by what it was least worth to keep under it. A
/// chunk that is held is tracked by none, and is not evicted. A pure value, like ``EvictionPolicy``.
package struct Eviction: Sendable {
    /// The whole cache, or what a source may have of it.
    private struct Part: Sendable {
        /// In bytes.
        var size: Int64
        /// What of that is held, in bytes.
        var heldBytes: Int64 = 0
        /// What may be.
        let holdLimit: Int64
        var policy: any EvictionPolicy

        init(_ policy: CachePolicy, size: Int64, chunkBytes: Int64, holdLimit: Int64) {
            self.size = size
            self.holdLimit = holdLimit
            self.policy = policy.makePolicy(capacity: Eviction.capacity(size, chunkBytes))
        }

        func hasRoomToHold(_ bytes: Int64) -> Bool { heldBytes + bytes <= holdLimit }

        /// Has the policy divide what is not held, and no places that its chunks cannot have.
        mutating func fitPolicy(chunkBytes: Int64) {
            let capacity = Eviction.capacity(size - heldBytes, chunkBytes)
            // A policy may take linear time for it: steps that are too small to matter wait for others.
            if abs(capacity - policy.capacity) > policy.capacity / 64 { policy.capacity = capacity }
        }
    }

    private struct Held: Sendable {
        /// What it takes.
        let bytes: Int64
        /// Which of the shares it is in.
        let share: Int?
    }

    private var whole: Part
    private var shares: [Part]
    private let shareOfSource: [String: Int]
    private var held: [ChunkID: Held] = [:]
    private let chunkBytes: Int64

    /// - Parameters:
    ///   - size: how large the cache is meant to be, in bytes.
    ///   - shares: what of that sources may have, in bytes, for those that have a limit.
    ///   - chunkBytes: what a chunk takes, above 0.
    ///   - holdLimit: what chunks that are held may take, in bytes; of a share, nine tenths besides, and no more than leaves
    ///     room for a chunk.
    package init(
        _ policy: CachePolicy,
        size: Int64,
        shares: [String: Int64] = [:],
        chunkBytes: Int64,
        holdLimit: Int64 = 0
    ) {
        self.chunkBytes = chunkBytes
        whole = Part(policy, size: size, chunkBytes: chunkBytes, holdLimit: holdLimit)
        let sources = shares.sorted { $0.key < $1.key }
        self.shares = sources.map { _, size in
            let holdLimit = max(min(size / 10 * 9, size - chunkBytes), 0)
            return Part(policy, size: size, chunkBytes: chunkBytes, holdLimit: holdLimit)
        }
        shareOfSource = Dictionary(uniqueKeysWithValues: sources.enumerated().map { ($0.element.key, $0.offset) })
    }

    /// How many chunks fit `bytes`; at least one.
    private static func capacity(_ bytes: Int64, _ chunkBytes: Int64) -> Int {
        max(Int(clamping: bytes / chunkBytes), 1)
    }

    /// How large the cache is meant to be, in bytes. It may change at any time.
    package var size: Int64 {
        get { whole.size }
        set {
            whole.size = newValue
            whole.fitPolicy(chunkBytes: chunkBytes)
        }
    }

    /// How many chunks are tracked, and may be evicted.
    package var count: Int { whole.policy.count }

    /// How many chunks of `source` are tracked; 0 if it has no limit.
    package func count(of source: String) -> Int { shareOfSource[source].map { shares[$0].policy.count } ?? 0 }

    /// As ``EvictionPolicy/insert(_:)``. One that is held stays so.
    package mutating func insert(_ chunk: ChunkID, of source: String) {
        guard held[chunk] == nil else { return }
        whole.policy.insert(chunk)
        if let index = shareOfSource[source] { shares[index].policy.insert(chunk) }
    }

    /// As ``EvictionPolicy/restore(_:)``. One that is held stays so.
    package mutating func restore(_ chunk: ChunkID, of source: String) {
        guard held[chunk] == nil else { return }
        whole.policy.restore(chunk)
        if let index = shareOfSource[source] { shares[index].policy.restore(chunk) }
    }

    /// As ``EvictionPolicy/touch(_:)``.
    package mutating func touch(_ chunk: ChunkID, of source: String) {
        whole.policy.touch(chunk)
        if let index = shareOfSource[source] { shares[index].policy.touch(chunk) }
    }

    /// Forgets a chunk that has been deleted, tracked or held.
    package mutating func remove(_ chunk: ChunkID) {
        guard !forgetHeld(chunk) else { return }
        whole.policy.remove(chunk)
        removeFromShares(chunk)
    }

    /// Chooses a chunk to delete and forgets it.
    ///
    /// - Parameter source: one with a limit, whose chunks alone are chosen from; `nil` for any.
    /// - Returns: `nil` only if none of those is tracked.
    package mutating func evict(of source: String? = nil) -> ChunkID? {
        if let source {
            guard let index = shareOfSource[source], let chunk = shares[index].policy.evict() else { return nil }
            whole.policy.remove(chunk)
            return chunk
        }
        guard let chunk = whole.policy.evict() else { return nil }
        removeFromShares(chunk)
        return chunk
    }

    private mutating func removeFromShares(_ chunk: ChunkID) {
        // There are few, and no other than the chunk's own tracks it.
        for index in shares.indices { shares[index].policy.remove(chunk) }
    }

    // MARK: Held chunks

    /// What chunks that are held take, in bytes.
    package var heldBytes: Int64 { whole.heldBytes }

    /// The same of `source`, and what that may be; `nil` if it has no limit.
    package func held(of source: String) -> (bytes: Int64, limit: Int64)? {
        shareOfSource[source].map { (shares[$0].heldBytes, shares[$0].holdLimit) }
    }

    /// Whether another chunk of `source` that takes so many bytes can be held.
    package func hasRoomToHold(_ bytes: Int64, of source: String) -> Bool {
        whole.hasRoomToHold(bytes) && shareOfSource[source].map { shares[$0].hasRoomToHold(bytes) } ?? true
    }

    /// In no order.
    package var heldChunks: [ChunkID] { Array(held.keys) }

    /// Keeps a chunk, tracked before or not, from being evicted until it is released or removed.
    ///
    /// - Parameter bytes: what it takes.
    /// - Returns: `false` if that is more than there is room for; then nothing has changed.
    package mutating func hold(_ chunk: ChunkID, of source: String, bytes: Int64) -> Bool {
        if held[chunk] != nil { return true }
        guard hasRoomToHold(bytes, of: source) else { return false }
        let share = shareOfSource[source]
        held[chunk] = Held(bytes: bytes, share: share)
        whole.heldBytes += bytes
        whole.policy.remove(chunk)
        if let share {
            shares[share].heldBytes += bytes
            shares[share].policy.remove(chunk)
        }
        return true
    }

    /// Has a chunk that is held tracked again. It counts as one that was there before, and is not taken for new.
    package mutating func release(_ chunk: ChunkID, of source: String) {
        if forgetHeld(chunk) { restore(chunk, of: source) }
    }

    /// Has each policy divide among the chunks it tracks what is not held. Comes after chunks were held, released or
    /// removed; several of those need it once.
    package mutating func fitPolicies() {
        whole.fitPolicy(chunkBytes: chunkBytes)
        for index in shares.indices { shares[index].fitPolicy(chunkBytes: chunkBytes) }
    }

    /// - Returns: whether the chunk was held.
    private mutating func forgetHeld(_ chunk: ChunkID) -> Bool {
        guard let known = held.removeValue(forKey: chunk) else { return false }
        whole.heldBytes -= known.bytes
        if let share = known.share { shares[share].heldBytes -= known.bytes }
        return true
    }
}
