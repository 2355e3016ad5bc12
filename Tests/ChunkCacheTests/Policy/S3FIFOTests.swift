import ChunkCache
import Testing

struct S3FIFOTests {
    /// A policy for 100 chunks whose main queue holds 0 to 89, without hits, and whose small queue holds 1000 to 1009.
    private func filled() -> S3FIFO {
        var policy = S3FIFO(capacity: 100)
        for index in 0..<90 { policy.restore(chunk(index)) }
        for index in 1000..<1010 { policy.insert(chunk(index)) }
        return policy
    }

    @Test("what is used once leaves by the small queue, in order, and the main queue stays")
    func oneHitWonders() {
        var policy = filled()
        for index in 1010..<5000 {
            #expect(policy.evict() == chunk(index - 10))
            policy.insert(chunk(index))
        }
        #expect(policy.chunksInOrder == (4990..<5000).map { chunk($0) } + (0..<90).map { chunk($0) })
    }

    @Test("one hit does not save a new chunk, two take it to the main queue")
    func promotion() {
        var policy = filled()
        policy.touch(chunk(1000))
        policy.touch(chunk(1001))
        policy.touch(chunk(1001))
        #expect(policy.evict() == chunk(1000))
        policy.insert(chunk(1010))
        #expect(policy.evict() == chunk(0), "the main queue is full when 1001 comes")
        #expect(policy.chunksInOrder.last == chunk(1001))
    }

    @Test("hits are forgotten on the way to the main queue")
    func clearedHits() {
        var policy = S3FIFO(capacity: 20)
        for index in 0..<3 { policy.insert(chunk(index)) }
        for _ in 0..<3 { policy.touch(chunk(0)) }
        #expect(policy.evict() == chunk(1))
        #expect(policy.evict() == chunk(0), "the small queue is below its share of two, and 0 has no hits any more")
    }

    @Test("a chunk that comes back while it is a ghost goes to the main queue, once")
    func ghostHit() {
        var policy = filled()
        #expect(policy.evict() == chunk(1000))
        #expect(policy.ghostCount == 1)
        policy.insert(chunk(1000))
        #expect(policy.ghostCount == 0)
        #expect(policy.chunksInOrder.last == chunk(1000))
        policy.remove(chunk(1000))
        policy.insert(chunk(1000))
        #expect(policy.chunksInOrder.firstIndex(of: chunk(1000)) == 9, "it is the last of the small queue")
    }

    @Test("a ghost is forgotten after as many evictions as the main queue has places")
    func ghostsAreBounded() {
        for (evictions, isRemembered) in [(89, true), (90, false)] {
            var policy = filled()
            #expect(policy.evict() == chunk(1000))
            for index in 0..<evictions {
                policy.insert(chunk(2000 + index))
                _ = policy.evict()
            }
            #expect(policy.ghostCount == 90)
            policy.insert(chunk(1000))
            #expect((policy.chunksInOrder.last == chunk(1000)) == isRemembered)
        }
    }

    @Test("what leaves the main queue, or is removed, is no ghost")
    func noGhosts() {
        var policy = filled()
        for index in 1000..<1010 { policy.remove(chunk(index)) }
        for index in 0..<90 { #expect(policy.evict() == chunk(index)) }
        #expect(policy.ghostCount == 0 && policy.count == 0)
    }

    @Test("each hit, up to three, gives a chunk of the main queue one more round")
    func mainRounds() {
        var policy = S3FIFO(capacity: 20)
        for index in 0..<4 { policy.restore(chunk(index)) }
        for index in 0..<4 { for _ in 0..<(index == 3 ? 200 : index) { policy.touch(chunk(index)) } }
        for index in 0..<4 { #expect(policy.evict() == chunk(index)) }
        for index in 0..<2 { policy.restore(chunk(index)) }
        for _ in 0..<300 { policy.touch(chunk(0)) }
        for _ in 0..<3 { policy.touch(chunk(1)) }
        #expect(policy.evict() == chunk(0), "300 hits count no more than three")
    }

    @Test("a scan does not push out the hot set, as it does from LRU", arguments: CachePolicy.allCases)
    func scan(_ name: CachePolicy) {
        var cache = TraceCache(name, capacity: 100)
        for _ in 0..<4 { for index in 0..<80 { cache.request(chunk(index)) } }
        for index in 0..<10000 { cache.request(chunk(index, of: 2)) }
        let survivors = (0..<80).count { cache.resident.contains(chunk($0)) }
        #expect(survivors == (name == .lru ? 0 : 80))
    }

    @Test("chunks that are all hot are evicted too, one at a time")
    func allHot() {
        var policy = filled()
        for _ in 0..<3 { for chunk in policy.chunksInOrder { policy.touch(chunk) } }
        for left in (0..<100).reversed() {
            #expect(policy.evict() != nil)
            #expect(policy.count == left)
        }
    }

    @Test("a smaller capacity takes effect at once, on the shares and on the ghosts")
    func shrinking() {
        var policy = filled()
        for index in 0..<50 {
            _ = policy.evict()
            policy.insert(chunk(2000 + index))
        }
        #expect(policy.ghostCount == 50)
        policy.capacity = 20
        #expect(policy.ghostCount == 18 && policy.count == 100)
        for _ in 0..<80 { _ = policy.evict() }
        #expect(policy.chunksInOrder == [chunk(2049)] + (71..<90).map { chunk($0) })
    }

    @Test("after a larger capacity new chunks have a larger share")
    func growing() {
        var policy = filled()
        policy.capacity = 1000
        for index in 0..<90 { policy.insert(chunk(3000 + index)) }
        #expect(policy.evict() == chunk(1000), "the hundredth is there")
        #expect(policy.evict() == chunk(0), "and gone again")
    }
}
