import ChunkCache
import NIOCore
import SourceContract
import Testing

/// How large the cache gets, and what happens where there is no room.
@Suite(.timeLimit(.minutes(2)))
struct StoreSpaceTests {
    private let chunk = TestCache.chunkSize

    @Test(
        "the cache keeps its size and gives no wrong byte, whatever eight readers want",
        arguments: CachePolicy.allCases
    )
    func eviction(policy: CachePolicy) async throws {
        try await TestCache.with { cache in
            try await cache.open(chunks: 24, { $0.policy = policy }) { store in
                // Three times what there is room for.
                let films = (0..<6).map { number in
                    let name = "film \(number)"
                    return (TestOrigin(name), store.object(.test(name, size: 12 * chunk - 100)))
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for seed in 0..<8 as Range<UInt64> {
                        group.addTask {
                            var random = SplitMix64(seed: seed)
                            for _ in 0..<60 {
                                let (origin, object) = films[Int.random(in: 0..<films.count, using: &random)]
                                let start = Int64.random(in: 0..<object.size, using: &random)
                                let length = Int64.random(in: 1...3 * chunk, using: &random)
                                let range = start..<min(start + length, object.size)
                                try await origin.read(range, of: object, in: store)
                                #expect(store.usage.bytes <= store.settings.size)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                await store.settle()
                #expect(store.counters.evictedForSpace.value > 0)
                #expect(store.usage.chunks == films.reduce(0) { $0 + $1.1.storedChunks })
                #expect(store.usage.chunks > 12)
                let result = try await store.verify()
                #expect((result.checked, result.corrupt) == (store.usage.chunks, 0))
            }
            let (chunks, objects) = try cache.counts()
            try await cache.open(chunks: 24) { store in
                #expect(store.usage.chunks == chunks)
                #expect(store.usage.objects == objects)
            }
        }
    }

    @Test("what is asked for again and again stays, what is read once leaves")
    func hotStays() async throws {
        try await TestCache.with { cache in
            try await cache.open(chunks: 40) { store in
                let (hot, cold) = (TestOrigin("hot"), TestOrigin("cold"))
                let (small, large) = (store.object(.test("hot")), store.object(.test("cold", size: 200 * chunk)))
                for _ in 0..<4 { try await hot.read(0..<small.size, of: small, in: store) }
                for index in 0..<200 as Range<Int64> {
                    try await cold.read(index * chunk..<(index + 1) * chunk, of: large, in: store)
                    if index % 20 == 0 { try await hot.read(0..<small.size, of: small, in: store) }
                }
                #expect(hot.bytes == small.size)
            }
        }
    }

    @Test(
        "a size that is lower than it was is kept from the start on, and what stays is right",
        arguments: CachePolicy.allCases
    )
    func lowerSize(policy: CachePolicy) async throws {
        try await TestCache.with { cache in
            let origin = TestOrigin()
            // More than a map for the lower size would be.
            let record = ObjectRecord.test(size: 200 * chunk)
            try await cache.fill(origin, record)
            try await cache.open(chunks: 8, { $0.policy = policy }) { store in
                await eventually { store.usage.bytes <= store.settings.size }
                let object = try #require(store.find(record.key))
                #expect((6...8).contains(object.storedChunks))
                let before = origin.bytes
                let tally = try await origin.read(0..<object.size, of: object, in: store)
                #expect(tally.stored + tally.fetched == object.size)
                #expect(origin.bytes > before)
                await store.settle()
                #expect(store.usage.bytes <= store.settings.size)
                #expect(store.counters.storeFailed.value == 0)
            }
        }
    }

    @Test("a cache that has reached its size goes down to its low mark, and what is pinned stays")
    func lowMark() async throws {
        try await TestCache.with { cache in
            try await cache.open(chunks: 400, { ($0.lowMarkPercent, $0.pinBytes) = (50, $0.size / 2) }) { store in
                let (origin, pinned) = (TestOrigin(), TestOrigin("pinned"))
                let kept = store.object(.test("pinned", size: 100 * chunk))
                try await pinned.read(0..<kept.size, of: kept, in: store)
                await store.settle()
                #expect(try await store.pin(Pin(source: "test", path: Array("pinned".utf8), isPrefix: false)))
                let object = store.object(.test(size: 1000 * chunk))
                try await origin.read(0..<290 * chunk, of: object, in: store)
                await store.settle()
                #expect(store.counters.evictedForSpace.value == 0)

                try await origin.read(290 * chunk..<302 * chunk, of: object, in: store)
                await store.settle()
                // All that is pinned, half of the rest, and what was written since.
                await eventually { store.usage.chunks <= 262 }
                await store.settle()
                #expect((249...262).contains(store.usage.chunks))
                #expect(store.usage.bytes <= store.settings.size)
                #expect(kept.storedChunks == 100)
                let evicted = store.counters.evictedForSpace.value
                try await origin.read(302 * chunk..<400 * chunk, of: object, in: store)
                await store.settle()
                #expect(store.counters.evictedForSpace.value == evicted)
                #expect(store.usage.chunks >= 249 + 98)
            }
        }
    }

    @Test("a cache with room for no chunk is no failure of a request", arguments: [0, 1, 64 << 10])
    func tiny(size: Int64) async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.size = size }) { store in
                let origin = TestOrigin()
                let object = store.object(.test())
                for _ in 0..<2 { try await origin.read(0..<object.size, of: object, in: store) }
                await store.settle()
                #expect(store.usage.chunks == 0)
                #expect(store.counters.noRoom.value > 0)
            }
        }
    }

    @Test("a disk that is short of space gets back what the cache has, and no chunk is stored until it is no longer")
    func shortDisk() async throws {
        try await TestCache.with { cache in
            let origin = TestOrigin()
            let record = ObjectRecord.test(size: 100 * chunk)
            try await cache.fill(origin, record)
            try await cache.open({ $0.minFreeDisk = .max }) { store in
                let before = store.usage
                #expect(before.chunks == 100)
                // Chunks leave, and then what they took.
                store.maintain()
                await eventually { store.usage.chunks == 0 }
                await eventually {
                    // What others write meanwhile may look as if the file system freed space only later.
                    store.maintain(now: .now + .seconds(120))
                    return store.usage.diskBytes < before.diskBytes / 4
                }
                let object = store.object(record)
                try await origin.read(0..<object.size, of: object, in: store)
                await store.settle()
                #expect(store.usage.chunks == 0)
                #expect(store.counters.storeFailed.value == 0)
            }
            try await cache.fill(origin, record)
        }
    }

    @Test("the file of a cache that is smaller than it was takes no more of the disk than one of that size")
    func lowerSizeOnDisk() async throws {
        try await TestCache.with { cache in
            let origin = TestOrigin()
            let record = ObjectRecord.test(size: 400 * chunk)
            try await cache.fill(origin, record)
            try await cache.open(chunks: 40) { store in
                await eventually { store.usage.bytes <= store.settings.size }
                let (length, before) = (store.usage.fileBytes, store.usage.diskBytes)
                // What it may have beside its chunks, and what comes between two looks.
                let limit = store.settings.size + (5 << 20)
                #expect(before > limit)
                let object = try #require(store.find(record.key))
                for _ in 0..<4 {
                    await eventually {
                        store.maintain(now: .now + .seconds(120))
                        return store.usage.diskBytes < limit
                    }
                    #expect(store.usage.fileBytes <= length + (4 << 20))
                    try await origin.read(0..<object.size, of: object, in: store)
                    await store.settle()
                }
                #expect(store.usage.chunks > 30)
                let result = try await store.verify()
                #expect(result.corrupt == 0)
            }
            try await cache.open(chunks: 40) { store in
                let object = try #require(store.find(record.key))
                try await origin.read(0..<object.size, of: object, in: store)
                #expect(store.counters.corrupt.value == 0)
            }
            #expect(!cache.hasSetAside)
        }
    }

    @Test("a map that a long read keeps full lowers the limit, which grows with each chunk that fits, and with time")
    func mapFull() async throws {
        try await TestCache.with { cache in
            try await cache.open(chunks: 40) { store in
                let (origin, other) = (TestOrigin(), TestOrigin("other"))
                let object = store.object(.test(size: chunk))
                try await origin.read(0..<chunk, of: object, in: store)
                await store.settle()
                let large = store.object(.test("other", size: 400 * chunk))
                try await store.duringRead(of: object) {
                    try await other.read(0..<large.size, of: large, in: store)
                    await store.settle()
                    #expect(store.counters.storeFailed.value > 0)
                    #expect(store.usage.limit < store.settings.size)
                    // Once in half a minute.
                    #expect(Set(cache.log.messages) == ["cache operation failed"])
                }

                let (lowered, failures) = (store.usage.limit, store.counters.storeFailed.value)
                try await other.read(0..<10 * chunk, of: large, in: store)
                await store.settle()
                #expect(store.usage.limit > lowered)

                for _ in 0..<64 { store.maintain() }
                await store.settle()
                #expect(store.usage.limit == store.settings.size)
                try await other.read(0..<large.size, of: large, in: store)
                await store.settle()
                #expect(store.counters.storeFailed.value == failures)
                #expect(store.usage.chunks >= 39)
            }
        }
    }

    @Test("what comes faster than it can be written is dropped and counted")
    func queueFull() async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.queueBytes = Int(chunk) - 1 }) { store in
                let origin = TestOrigin()
                let object = store.object(.test(size: 3 * chunk - 1))
                let tally = try await origin.read(0..<object.size, of: object, in: store)
                #expect(tally.bypassed == 0)
                await store.settle()
                #expect(store.counters.queueFull.value == 2)
                #expect(store.runs(of: object) == [2..<3])
                #expect(store.counters.queuedBytes.value == 0)
            }
        }
    }

    @Test("however short a chunk is, it counts for a page while it waits to be written", arguments: [4095, 4096])
    func shortChunks(queueBytes: Int) async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.queueBytes = queueBytes }) { store in
                let object = store.object(.test(size: 2))
                try await TestOrigin().read(0..<2, of: object, in: store)
                await store.settle()
                #expect(store.counters.queueFull.value == (queueBytes < 4096 ? 1 : 0))
                #expect(store.counters.queuedBytes.value == 0)
            }
        }
    }
}
