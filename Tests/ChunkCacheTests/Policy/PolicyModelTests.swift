import ChunkCache
import Testing

struct PolicyModelTests {
    private static let seeds = Array(UInt64(1)...24)

    @Test("whatever is done to it, LRU does as a plain array of chunks would", arguments: seeds)
    func lru(_ seed: UInt64) throws {
        try compare(LRU(capacity: 20), NaiveLRU(capacity: 20), seed: seed)
    }

    @Test("whatever is done to it, S3-FIFO does as the paper writes it down", arguments: seeds)
    func s3FIFO(_ seed: UInt64) throws {
        try compare(S3FIFO(capacity: 20), NaiveS3FIFO(capacity: 20), seed: seed) { policy, model in
            try #require(policy.ghostCount == model.ghostCount)
            try #require(policy.ghostCount <= max(0, policy.capacity - max(1, policy.capacity / 10)))
        }
    }

    /// Does the same to a policy and its model, and checks after each step that they agree and that what holds of
    /// every policy holds.
    private func compare<Policy: EvictionPolicy, Model: EvictionPolicy>(
        _ policy: Policy,
        _ model: Model,
        seed: UInt64,
        _ check: (Policy, Model) throws -> Void = { _, _ in }
    ) throws {
        var (policy, model, random) = (policy, model, TraceRandom(state: seed))
        var evictions = 0
        for _ in 0..<3000 {
            let chunk = chunk(Int.random(in: 0..<12, using: &random), of: UInt64.random(in: 0..<6, using: &random))
            let count = policy.count
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<40:
                if policy.count >= policy.capacity {
                    evictions += 1
                    try #require(policy.evict() == model.evict())
                }
                policy.insert(chunk)
                model.insert(chunk)
            case 40..<80:
                policy.touch(chunk)
                model.touch(chunk)
                try #require(policy.count == count)
            case 80..<85:
                policy.remove(chunk)
                model.remove(chunk)
                try #require(!policy.chunksInOrder.contains(chunk))
            case 85..<90:
                policy.restore(chunk)
                model.restore(chunk)
            case 90..<99:
                let tracked = policy.chunksInOrder
                let victim = policy.evict()
                try #require(victim == model.evict())
                try #require(victim.map(tracked.contains) ?? tracked.isEmpty)
                try #require(policy.count == max(0, count - 1))
            default:
                let capacity = Int.random(in: 0...40, using: &random)
                policy.capacity = capacity
                model.capacity = capacity
            }
            let chunks = policy.chunksInOrder
            try #require(chunks == model.chunksInOrder)
            try #require(Set(chunks).count == chunks.count)
            try #require(policy.count == chunks.count)
            try check(policy, model)
        }
        #expect(evictions > 100)
    }
}
