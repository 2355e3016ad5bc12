import ChunkCache

/// What the cache has to do with an answer, for `Cache-Status` (RFC 9211).
package enum CacheOutcome: String, Sendable, CaseIterable {
    /// Every chunk of the answer is in the cache.
    case hit
    /// Some are.
    case partial
    case miss
    /// The cache takes no part.
    case bypass

    /// How many chunks are looked at one by one.
    private static let chunkLimit: UInt64 = 256

    /// - Parameter range: of positions in `object`, not empty.
    init(_ range: Range<Int64>, of object: CachedObject, in cache: ChunkStore) {
        guard object.storedChunks > 0 else {
            self = .miss
            return
        }
        let (first, last) = (object.chunk(at: range.lowerBound), object.chunk(at: range.upperBound - 1))
        guard last.index - first.index < Self.chunkLimit else {
            self = Int64(object.storedChunks) >= object.chunkCount ? .hit : .partial
            return
        }
        var (stored, missing) = (false, false)
        for index in first.index...last.index {
            if cache.isStored(ChunkID(object: object.number, index: index)) { stored = true } else { missing = true }
        }
        self = !missing ? .hit : stored ? .partial : .miss
    }

    /// The parameters of the gateway's own member in `Cache-Status`.
    var parameters: String {
        switch self {
        case .hit: "hit"
        case .partial: "fwd=partial"
        case .miss: "fwd=miss"
        case .bypass: "fwd=bypass"
        }
    }
}
