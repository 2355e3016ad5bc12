import ChunkCache
import Testing

/// Eviction where some sources have a limit of their own.
struct SharedEvictionTests {
    @Test("what leaves a source's share is of that source, and gone from the whole", arguments: CachePolicy.allCases)
    func ofShare(_ policy: CachePolicy) {
        var eviction = Eviction(policy, size: 100, shares: ["a": 10, "b": 10], chunkBytes: 1)
        for index in 0..<20 {
            eviction.insert(chunk(index, of: 1), of: "a")
            eviction.insert(chunk(index, of: 2), of: "b")
            eviction.insert(chunk(index, of: 3), of: "c")
        }
        #expect(eviction.count == 60)
        #expect((eviction.count(of: "a"), eviction.count(of: "b"), eviction.count(of: "c")) == (20, 20, 0))
        var gone: Set<ChunkID> = []
        while let victim = eviction.evict(of: "a") {
            #expect(victim.object == 1)
            #expect(gone.insert(victim).inserted)
        }
        #expect(gone.count == 20)
        #expect((eviction.count, eviction.count(of: "a"), eviction.count(of: "b")) == (40, 0, 20))
        #expect(eviction.evict(of: "c") == nil, "it has no share")
        while let victim = eviction.evict() { #expect(gone.insert(victim).inserted) }
        #expect(gone.count == 60)
    }

    @Test("what leaves the whole, or is removed, is gone from its share", arguments: CachePolicy.allCases)
    func ofWhole(_ policy: CachePolicy) {
        var eviction = Eviction(policy, size: 10, shares: ["a": 10], chunkBytes: 1)
        for index in 0..<10 { eviction.insert(chunk(index), of: "a") }
        eviction.remove(chunk(4))
        var gone: Set<ChunkID> = []
        for _ in 0..<5 { if let victim = eviction.evict() { gone.insert(victim) } }
        #expect(eviction.count(of: "a") == 4)
        while let victim = eviction.evict(of: "a") { #expect(gone.insert(victim).inserted) }
        #expect(gone == Set((0..<10).filter { $0 != 4 }.map { chunk($0) }))
        #expect(eviction.count == 0)
    }

    @Test("a hit counts for the share too")
    func touched() {
        var eviction = Eviction(.lru, size: 10, shares: ["a": 10], chunkBytes: 1)
        for index in 0..<3 { eviction.restore(chunk(index), of: "a") }
        eviction.touch(chunk(0), of: "a")
        #expect(eviction.evict(of: "a") == chunk(1))
        #expect(eviction.evict() == chunk(2))
        #expect(eviction.evict(of: "a") == chunk(0))
    }
}
