/// S3-FIFO whose new chunks go to the main queue at once if their title is popular: if more of its chunks were found in
/// the cache lately than not.
struct PopularTitles: S3FIFOVariant {
    /// How often a title's chunks were found, and how often not. Both are halved each time that as many chunks were
    /// asked for as the cache has room for.
    private struct Demand {
        var hits = 0.0
        var misses = 0.0
        var time = 0
    }

    private static let fewestHits = 8.0

    var chunks: S3FIFO
    private var demands: [UInt64: Demand] = [:]
    private var now = 0

    init(capacity: Int) {
        chunks = S3FIFO(capacity: capacity)
    }

    mutating func insert(_ chunk: ChunkID) {
        let demand = note(chunk) { $0.misses += 1 }
        if demand.hits > max(demand.misses, Self.fewestHits) { chunks.restore(chunk) } else { chunks.insert(chunk) }
    }

    mutating func touch(_ chunk: ChunkID) {
        note(chunk) { $0.hits += 1 }
        chunks.touch(chunk)
    }

    @discardableResult
    private mutating func note(_ chunk: ChunkID, _ change: (inout Demand) -> Void) -> Demand {
        now += 1
        var demand = demands[chunk.object] ?? Demand(time: now)
        for _ in 0..<min((now - demand.time) / max(capacity, 1), 64) {
            demand.hits /= 2
            demand.misses /= 2
            demand.time = now
        }
        change(&demand)
        demands[chunk.object] = demand
        return demand
    }
}
