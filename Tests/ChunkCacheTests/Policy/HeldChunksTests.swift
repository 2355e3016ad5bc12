import ChunkCache
import Testing

/// Chunks that are not to be evicted.
struct HeldChunksTests {
    @Test("what is held is not evicted, from its share neither, until it is released", arguments: CachePolicy.allCases)
    func held(_ policy: CachePolicy) {
        var eviction = Eviction(policy, capacity: 10, shares: ["a": 10], holdLimit: 30)
        for index in 0..<10 { eviction.insert(chunk(index), of: "a") }
        for index in 3..<6 { #expect(eviction.hold(chunk(index), bytes: 10) == true) }
        #expect(eviction.heldBytes == 30)
        #expect(eviction.hold(chunk(7), bytes: 1) == false, "there is no room")
        #expect(eviction.hold(chunk(4), bytes: 10) == true, "it is held already")
        #expect((eviction.count, eviction.count(of: "a")) == (7, 7))
        eviction.touch(chunk(3), of: "a")
        eviction.insert(chunk(4), of: "a")
        eviction.restore(chunk(5), of: "a")
        var evicted: Set<ChunkID> = []
        while let victim = eviction.evict(of: evicted.count < 3 ? "a" : nil) { evicted.insert(victim) }
        #expect(evicted == Set((0..<10).filter { !(3..<6).contains($0) }.map { chunk($0) }))
        eviction.release(chunk(4), of: "a")
        #expect((eviction.heldBytes, eviction.count, eviction.count(of: "a")) == (20, 1, 1))
        eviction.release(chunk(4), of: "a")
        #expect(eviction.evict() == chunk(4))
        #expect(Set(eviction.heldChunks) == [chunk(3), chunk(5)])
    }

    @Test("what is removed is held no more, and gives its room back")
    func removed() {
        var eviction = Eviction(.s3FIFO, capacity: 10, holdLimit: 10)
        #expect(eviction.hold(chunk(1), bytes: 10) == true, "one that was not tracked can be held too")
        eviction.remove(chunk(1))
        #expect(eviction.heldBytes == 0)
        #expect(eviction.hold(chunk(2), bytes: 10) == true)
        #expect(eviction.evict() == nil)
    }
}
