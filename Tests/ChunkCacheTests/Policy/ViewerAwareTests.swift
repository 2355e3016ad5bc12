import ChunkCache
import Testing

/// A new policy takes viewers to need 64 requests for each chunk, so that one with 100 places looks six chunks ahead.
struct ViewerAwareTests {
    /// A policy for 100 chunks that tracks some, and a viewer who has read chunks 48 to 50 of each of some objects.
    private func policy(tracking chunks: [ChunkID], viewersOf objects: [UInt64] = [1]) -> ViewerAware {
        var policy = ViewerAware(capacity: 100)
        for chunk in chunks { policy.restore(chunk) }
        for object in objects { for index in 48...50 { policy.touch(chunk(index, of: object)) } }
        return policy
    }

    @Test("what a viewer is about to read stays, what is behind or far ahead leaves")
    func ahead() {
        var policy = policy(tracking: [51, 54, 56, 57, 47].map { chunk($0) } + [chunk(51, of: 2)])
        #expect(policy.evict() == chunk(57))
        #expect(policy.evict() == chunk(47))
        #expect(policy.evict() == chunk(51, of: 2), "nobody reads the other object")
        #expect(Set(policy.chunksInOrder) == Set([51, 54, 56].map { chunk($0) }))
    }

    @Test("what was awaited is a new chunk when it has been read")
    func arrival() {
        var policy = policy(tracking: [chunk(51), chunk(52), chunk(1, of: 2), chunk(2, of: 2)])
        #expect(policy.evict() == chunk(1, of: 2))
        #expect(policy.awaitedCount == 2)
        policy.touch(chunk(51))
        #expect(policy.awaitedCount == 1)
        #expect(policy.chunksInOrder == [chunk(51), chunk(2, of: 2), chunk(52)], "the small queue comes first")
    }

    @Test("who asks for one chunk, or for two, has not begun to read")
    func beginning() {
        for (indices, victim) in [([50], 51), ([49, 50], 51), ([48, 49, 50], 90)] {
            var policy = policy(tracking: [chunk(51), chunk(90)], viewersOf: [])
            for index in indices { policy.touch(chunk(index)) }
            #expect(policy.evict() == chunk(victim))
        }
    }

    @Test("the faster viewers go on, the further ahead chunks are kept for them")
    func pace() {
        var policy = ViewerAware(capacity: 100)
        for index in [4350, 4450] { policy.restore(chunk(index)) }
        for index in 0...4000 { policy.touch(chunk(index)) }
        #expect(policy.evict() == chunk(4450), "at a chunk a request, 400 requests are 400 chunks")
        #expect(policy.chunksInOrder == [chunk(4350)])
    }

    @Test("a viewer who has not asked for long is waited for no more", arguments: [(500, 3), (512, 51)])
    func absence(requests: Int, victim: Int) {
        var policy = policy(tracking: [chunk(51), chunk(2, of: 2), chunk(3, of: 2)])
        #expect(policy.evict() == chunk(2, of: 2))
        for number in 0..<requests { policy.touch(chunk(100 * number, of: 3)) }
        #expect(policy.evict()?.index == UInt64(victim))
    }

    @Test("an eviction takes eight chunks for awaited at most")
    func boundedSteps() {
        let ahead = (1...3).flatMap { object in (51...53).map { chunk($0, of: object) } }
        var policy = policy(tracking: ahead, viewersOf: [1, 2, 3])
        #expect(policy.evict() == ahead.last)
        #expect(policy.chunksInOrder == ahead.dropLast())
    }

    @Test("no more than half the capacity is awaited, also when it gets smaller")
    func half() {
        var policy = ViewerAware(capacity: 100)
        for index in 0...4000 { policy.touch(chunk(index)) }
        for index in 4001...4100 { policy.restore(chunk(index)) }
        for _ in 0..<20 { #expect(policy.evict() != nil) }
        #expect(policy.awaitedCount == 50 && policy.count == 80)
        policy.capacity = 60
        for evicted in 1...20 {
            #expect(policy.evict() != nil)
            #expect(policy.awaitedCount == 50 - evicted, "each eviction takes one of those that are too many")
        }
        #expect(policy.awaitedCount == 30 && policy.count == 60)
        for _ in 0..<60 { #expect(policy.evict() != nil) }
        #expect(policy.evict() == nil && policy.count == 0)
    }

    @Test(
        "who asks for chunks close by, in any order, is one viewer",
        arguments: [([10, 12, 11, 14], 1), ([10, 14], 1), ([10, 15], 2), ([10, 5], 2), ([10, 10], 1)]
    )
    func oneViewer(indices: [Int], viewers: Int) {
        var policy = ViewerAware(capacity: 100)
        for index in indices { policy.touch(chunk(index)) }
        #expect(policy.viewerCount == viewers)
    }

    @Test("a viewer whose chunks are noted out of order is where the last of them is")
    func outOfOrder() {
        var policy = policy(tracking: [50, 51, 56, 57].map { chunk($0) }, viewersOf: [])
        for index in [47, 48, 50, 49] { policy.touch(chunk(index)) }
        #expect(policy.evict() == chunk(57))
        #expect(Set(policy.chunksInOrder) == Set([50, 51, 56].map { chunk($0) }), "50 has had a hit")
    }

    @Test("however many seek, the viewers that are remembered are few")
    func fewViewers() {
        var policy = ViewerAware(capacity: 100)
        for number in 0..<1000 { policy.touch(chunk(10 * number)) }
        #expect(policy.viewerCount == 32, "of one object")
        var most = 0
        for number in 0..<20000 {
            policy.touch(chunk(0, of: UInt64(number)))
            if number.isMultiple(of: 64) { most = max(most, policy.viewerCount) }
        }
        #expect((3000...4096 + 512).contains(most))
    }

    @Test("where nobody reads on it does as S3-FIFO does", arguments: Array(UInt64(1)...8))
    func withoutViewers(_ seed: UInt64) throws {
        var (policy, plain, random) = (ViewerAware(capacity: 20), S3FIFO(capacity: 20), TraceRandom(state: seed))
        for _ in 0..<3000 {
            let chunk = chunk(0, of: UInt64.random(in: 0..<60, using: &random))
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<4:
                policy.insert(chunk)
                plain.insert(chunk)
            case 4..<8:
                policy.touch(chunk)
                plain.touch(chunk)
            case 8:
                policy.remove(chunk)
                plain.remove(chunk)
            default:
                policy.capacity = Int.random(in: 10...30, using: &random)
                plain.capacity = policy.capacity
            }
            while plain.count > plain.capacity { try #require(policy.evict() == plain.evict()) }
            try #require(policy.chunksInOrder == plain.chunksInOrder)
        }
    }

    @Test("whatever is done to it, it tracks what it was given and what has not left", arguments: Array(UInt64(1)...8))
    func tracked(_ seed: UInt64) throws {
        var (policy, tracked, random) = (ViewerAware(capacity: 40), Set<ChunkID>(), TraceRandom(state: seed))
        var (place, mostAwaited) = (0, 0)
        for _ in 0..<3000 {
            place = Int.random(in: 0..<50, using: &random) == 0 ? 0 : place + 1
            let next = chunk(place, of: UInt64.random(in: 0..<2, using: &random))
            let other = policy.chunksInOrder.randomElement(using: &random) ?? next
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<14:
                if tracked.contains(next) { policy.touch(next) } else { policy.insert(next) }
                tracked.insert(next)
            case 14:
                policy.insert(other)
                tracked.insert(other)
            case 15:
                policy.restore(other)
                tracked.insert(other)
            case 16, 17:
                policy.restore(next)
                tracked.insert(next)
            case 18:
                policy.remove(other)
                tracked.remove(other)
            default: policy.capacity = Int.random(in: 0...50, using: &random)
            }
            while policy.count > policy.capacity {
                let victim = policy.evict()
                try #require(victim.map { tracked.remove($0) != nil } == true)
            }
            mostAwaited = max(mostAwaited, policy.awaitedCount)
            try #require(policy.count == tracked.count)
            try #require(Set(policy.chunksInOrder) == tracked)
        }
        #expect(mostAwaited > 10)
    }

    @Test("it has a better hit ratio than S3-FIFO where titles are watched")
    func hitRatio() {
        let ratios = [CachePolicy.viewers, .s3FIFO].map { name in
            var cache = TraceCache(name, capacity: 800)
            var random = TraceRandom(state: 7)
            let zipf = Zipf(count: 60, exponent: 0.8)
            var viewers = (0..<20).map { _ in (title: zipf.next(using: &random), index: 0) }
            for _ in 0..<60000 {
                let place = Int.random(in: 0..<viewers.count, using: &random)
                cache.request(chunk(viewers[place].index, of: UInt64(viewers[place].title)))
                viewers[place].index += 1
                // One in 100 leaves.
                let leaves = Int.random(in: 0..<100, using: &random) == 0
                if leaves || viewers[place].index == 200 { viewers[place] = (zipf.next(using: &random), 0) }
            }
            return cache.hitRatio
        }
        #expect(ratios[0] > ratios[1] + 0.02, "with viewers \(ratios[0]), S3-FIFO \(ratios[1])")
    }
}
