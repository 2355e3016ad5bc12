import ChunkCache
import Testing

/// Chunks that are not to be evicted.
struct HeldChunksTests {
    @Test("what is held is not evicted, from its share neither, until it is released", arguments: CachePolicy.allCases)
    func held(_ policy: CachePolicy) {
        var eviction = Eviction(policy, size: 100, shares: ["a": 100], chunkBytes: 10, holdLimit: 30)
        for index in 0..<10 { eviction.insert(chunk(index), of: "a") }
        for index in 3..<6 { #expect(eviction.hold(chunk(index), of: "a", bytes: 10) == true) }
        #expect(eviction.heldBytes == 30)
        #expect(eviction.hold(chunk(7), of: "a", bytes: 1) == false, "there is no room")
        #expect(eviction.hold(chunk(4), of: "a", bytes: 10) == true, "it is held already")
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
        var eviction = Eviction(.s3FIFO, size: 100, chunkBytes: 10, holdLimit: 10)
        #expect(eviction.hold(chunk(1), of: "a", bytes: 10) == true, "one that was not tracked can be held too")
        eviction.remove(chunk(1))
        #expect(eviction.heldBytes == 0)
        #expect(eviction.hold(chunk(2), of: "a", bytes: 10) == true)
        #expect(eviction.evict() == nil)
    }

    @Test(
        "beside what is held, what is read once passes through a tenth of the rest, and leaves what is asked for again",
        arguments: [CachePolicy.s3FIFO, .viewers],
        [nil, "a"] as [String?]
    )
    func scan(_ policy: CachePolicy, of source: String?) {
        var eviction = Eviction(policy, size: 100, shares: ["a": 100], chunkBytes: 1, holdLimit: 90)
        for index in 0..<90 { #expect(eviction.hold(chunk(index), of: "a", bytes: 1) == true) }
        eviction.fitPolicies()
        let popular = (100..<109).map { chunk(0, of: $0) }
        for one in popular {
            eviction.insert(one, of: "a")
            for _ in 0..<2 { eviction.touch(one, of: "a") }
        }
        eviction.insert(chunk(0, of: 999), of: "a")
        for number in UInt64(1000)..<1050 {
            eviction.insert(chunk(0, of: number), of: "a")
            #expect(eviction.evict(of: source).map { !popular.contains($0) } == true)
        }
        #expect((eviction.count, eviction.count(of: "a")) == (10, 10))
    }

    @Test("what is held no more counts for the policies again")
    func released() {
        var eviction = Eviction(.s3FIFO, size: 100, chunkBytes: 1, holdLimit: 90)
        for index in 0..<90 { #expect(eviction.hold(chunk(index), of: "a", bytes: 1) == true) }
        eviction.fitPolicies()
        for index in 0..<90 { eviction.release(chunk(index), of: "a") }
        eviction.fitPolicies()
        for index in 0..<9 { eviction.insert(chunk(index, of: 2), of: "a") }
        #expect(eviction.evict() == chunk(0), "new chunks have a tenth of the whole")
    }
}
