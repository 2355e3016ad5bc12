import ChunkCache
import Testing

struct EvictionTests {
    @Test("the policies have the names that configuration gives them")
    func names() {
        #expect(CachePolicy(rawValue: "s3-fifo")?.makePolicy(capacity: 7) is S3FIFO)
        #expect(CachePolicy(rawValue: "viewers")?.makePolicy(capacity: 7) is ViewerAware)
        #expect(CachePolicy(rawValue: "lru")?.makePolicy(capacity: 7) is LRU)
        #expect(CachePolicy.allCases.allSatisfy { $0.makePolicy(capacity: 7).capacity == 7 })
        #expect(CachePolicy(rawValue: "LRU") == nil)
        #expect(CachePolicy.allCases.map(\.withoutViewers) == [.s3FIFO, .s3FIFO, .lru])
    }

    @Test("an empty policy evicts nothing", arguments: CachePolicy.allCases)
    func empty(_ name: CachePolicy) {
        var policy = name.makePolicy(capacity: 0)
        #expect(policy.evict() == nil)
        policy.touch(chunk(1))
        policy.remove(chunk(1))
        #expect(policy.count == 0)
        policy.insert(chunk(1))
        #expect(policy.evict() == chunk(1))
        #expect(policy.evict() == nil)
    }

    @Test("what is removed never comes out, and everything else does, once", arguments: CachePolicy.allCases)
    func removed(_ name: CachePolicy) {
        var policy = name.makePolicy(capacity: 50)
        for index in 0..<100 {
            policy.insert(chunk(index))
            if index.isMultiple(of: 3) { for _ in 0..<3 { policy.touch(chunk(index)) } }
        }
        for index in stride(from: 0, to: 100, by: 2) { policy.remove(chunk(index)) }
        var evicted: [ChunkID] = []
        while let victim = policy.evict() { evicted.append(victim) }
        #expect(evicted.count == 50)
        #expect(Set(evicted) == Set(stride(from: 1, to: 100, by: 2).map { chunk($0) }))
    }

    @Test("a copy of a policy goes its own way", arguments: CachePolicy.allCases)
    func copies(_ name: CachePolicy) {
        var policy = name.makePolicy(capacity: 10)
        for index in 0..<10 { policy.insert(chunk(index)) }
        var copy = policy
        _ = copy.evict()
        copy.remove(chunk(5))
        #expect(policy.chunksInOrder == (0..<10).map { chunk($0) })
    }

    @Test("what is restored first leaves first", arguments: CachePolicy.allCases)
    func restored(_ name: CachePolicy) {
        var policy = name.makePolicy(capacity: 30)
        for index in 0..<28 { policy.restore(chunk(index)) }
        policy.insert(chunk(100))
        policy.insert(chunk(101))
        #expect(policy.evict() == chunk(0))
        policy.insert(chunk(0))
        policy.restore(chunk(2))
        if name == .lru { #expect(policy.evict() == chunk(1)) }
        if name != .lru { #expect(policy.evict() == chunk(100), "the small queue has its three") }
    }

    @Test("a policy restored from the order of another tracks the same", arguments: CachePolicy.allCases)
    func order(_ name: CachePolicy) {
        var cache = TraceCache(name, capacity: 40)
        var random = TraceRandom(state: 11)
        for _ in 0..<2000 { cache.request(chunk(Int.random(in: 0..<80, using: &random))) }
        for other in CachePolicy.allCases {
            var policy = other.makePolicy(capacity: 40)
            for chunk in cache.policy.chunksInOrder { policy.restore(chunk) }
            #expect(policy.chunksInOrder == cache.policy.chunksInOrder)
            #expect(policy.evict() == cache.policy.chunksInOrder.first)
        }
    }

    @Test("LRU evicts what was not used for longest")
    func leastRecentlyUsed() {
        var policy = LRU(capacity: 3)
        for index in 0..<3 { policy.insert(chunk(index)) }
        policy.touch(chunk(0))
        policy.insert(chunk(1))
        #expect([policy.evict(), policy.evict(), policy.evict()] == [chunk(2), chunk(0), chunk(1)])
    }

    @Test("S3-FIFO has a better hit ratio than LRU when titles differ in popularity and scans come by")
    func hitRatio() {
        let ratios = [CachePolicy.s3FIFO, .lru].map { name in
            var cache = TraceCache(name, capacity: 500)
            var random = TraceRandom(state: 42)
            let zipf = Zipf(count: 10000, exponent: 0.9)
            for round in 0..<60 {
                for _ in 0..<1000 { cache.request(chunk(zipf.next(using: &random))) }
                for index in 0..<400 { cache.request(chunk(index, of: UInt64(1000 + round))) }
            }
            return cache.hitRatio
        }
        #expect(ratios[0] > ratios[1] + 0.04, "S3-FIFO \(ratios[0]), LRU \(ratios[1])")
    }
}
