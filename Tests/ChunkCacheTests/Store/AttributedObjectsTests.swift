import ChunkCache
import SourceContract
import Testing

/// Objects that have attributes: how many there are, and what the cache says of them after a restart.
@Suite(.timeLimit(.minutes(2)))
struct AttributedObjectsTests {
    private let chunk = TestCache.chunkSize
    private let page: Int64 = 4096

    private func record(_ name: String, size: Int64 = 2, attributes: Int = 10_000) -> ObjectRecord {
        var record = ObjectRecord.test(name, size: size)
        record.variant = "\(name)\n"
        record.attributes = [UInt8](repeating: 7, count: attributes)
        return record
    }

    private func family(_ name: String) -> ObjectKey {
        ObjectKey(source: "test", path: Array(name.utf8), variant: name)
    }

    private func read(_ object: CachedObject, in store: ChunkStore) async throws {
        try await TestOrigin(String(decoding: object.record.path, as: UTF8.self)).read(
            0..<object.size,
            of: object,
            in: store
        )
    }

    @Test(
        "however many there are they take no more memory than they may, and those that are used stay",
        arguments: [CachePolicy.s3FIFO, .lru],
        [0, 2] as [Int64]
    )
    func bounded(policy: CachePolicy, size: Int64) async throws {
        try await TestCache.with { cache in
            let change: (inout ChunkStoreSettings) -> Void = { settings in
                settings.policy = policy
                settings.attributedBytes = 200_000
            }
            try await cache.open(change) { store in
                let media = store.object(.test("media", size: chunk))
                try await read(media, in: store)
                try await read(store.object(record("used", size: size)), in: store)
                for number in 0..<100 {
                    let object = store.object(record("\(number)", size: size))
                    #expect(store.find(object.key) === object)
                    try await read(object, in: store)
                    #expect(store.representations(family("used")).count == 1)
                    #expect(store.objects.count <= 20)
                }
                await store.settle()
                #expect(store.objects.count >= 15)
                #expect(store.find(media.key) === media)
                #expect(store.usage.chunks == (size == 0 ? 1 : store.objects.count))
                #expect(store.counters.evictedForSpace.value == store.counters.inserted.value - store.usage.chunks)
            }
            let (chunks, objects) = try cache.counts()
            #expect((1...20).contains(chunks))
            #expect(objects == chunks)
        }
    }

    @Test("so it is after a start with less memory for them, and they come in the order they came in first")
    func restored() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                for number in 0..<30 {
                    var record = record("one")
                    record.variant = "one\n\(number)"
                    try await read(store.object(record), in: store)
                }
                await store.settle()
                #expect(store.representations(family("one")).count == 30)
            }
            try await cache.open({ $0.attributedBytes = 100_000 }) { store in
                let numbers = store.representations(family("one")).map(\.number)
                #expect((5...9).contains(numbers.count))
                #expect(numbers == numbers.sorted())
                #expect(numbers.last == 30)
                #expect(store.usage.chunks == numbers.count)
            }
            #expect(try (1...9).contains(cache.counts().objects))
        }
    }

    @Test("attributes that grow make others leave")
    func growing() async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.attributedBytes = 100_000 }) { store in
                for number in 0..<8 { try await read(store.object(record("\(number)")), in: store) }
                let object = try #require(store.representations(family("7")).first)
                store.update(object, attributes: [UInt8](repeating: 8, count: 50_000))
                #expect(store.objects.count == 5)
                #expect(store.find(object.key)?.attributes.count == 50_000)
                store.update(object, attributes: [1])
                for number in 10..<16 { try await read(store.object(record("\(number)")), in: store) }
                #expect(store.objects.count >= 7)
            }
        }
    }

    @Test("their records count against the size of the cache, and no longer than they are there")
    func counted() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(record("a"))
                try await read(object, in: store)
                try await read(store.object(record("b", attributes: 0)), in: store)
                await store.settle()
                #expect(store.usage.bytes == (1 + 3 + 1) * page)
                store.update(object, attributes: [UInt8](repeating: 8, count: 30_000))
                await store.flush()
                #expect(store.usage.bytes == (1 + 8 + 1) * page)
            }
            try await cache.open { store in
                #expect(store.usage.bytes == (1 + 8 + 1) * page)
                store.remove(store.representations(family("a")))
                await store.flush()
                #expect(store.usage.bytes == page)
                store.purge { _ in true }
                await store.flush()
                #expect(store.usage.bytes == 0)
                #expect((store.counters.replaced.value, store.counters.purged.value) == (1, 1))
            }
        }
    }

    @Test("they leave for want of space with their records, and the cache keeps its size")
    func evicted() async throws {
        try await TestCache.with { cache in
            try await cache.open(chunks: 4) { store in
                for number in 0..<60 {
                    try await read(store.object(record("\(number)", attributes: 50_000)), in: store)
                    await store.flush()
                    #expect(store.usage.bytes <= store.settings.size)
                }
                #expect(store.counters.storeFailed.value == 0)
                #expect(store.usage.bytes == Int64(store.usage.chunks) * 14 * page)
                #expect(store.usage.chunks == 4)
            }
            #expect(try cache.counts() == (chunks: 4, objects: 4))
        }
    }

    @Test("what is too long to be stored is known to be before, and an object that becomes so is forgotten")
    func tooLong() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                #expect(!store.canStore(record("a", attributes: ObjectRecord.maxEncodedSize)))
                #expect(store.canStore(record("a")))
                let object = store.object(record("a"))
                try await read(object, in: store)
                await store.settle()
                #expect(!store.update(object, attributes: [UInt8](repeating: 8, count: 70_000)))
                #expect(store.representations(family("a")).isEmpty)
            }
            #expect(try cache.counts() == (chunks: 0, objects: 0))
        }
    }

    @Test(
        "what was known before an update that could not be written does not come back with a restart",
        arguments: [
            // Whether the update is tried again while there is still no room.
            false, true,
        ]
    )
    func unwritten(isTriedInVain: Bool) async throws {
        try await TestCache.with { cache in
            let new = [UInt8](repeating: 8, count: 60_000)
            // What was there at the start is not the first to be evicted.
            try await cache.open(chunks: 40) { store in
                try await read(store.object(record("a", size: chunk, attributes: 10)), in: store)
                await store.settle()
            }
            try await cache.open(chunks: 40) { store in
                let object = try #require(store.representations(family("a")).first)
                let other = store.object(.test("other", size: 400 * chunk))
                // Checks the chunk, which makes it ready.
                try await read(object, in: store)
                try await store.duringRead(of: object) {
                    try await read(other, in: store)
                    await store.settle()
                    #expect(store.counters.storeFailed.value > 0)
                    store.update(object, attributes: new)
                    if isTriedInVain { store.maintain() }
                    await store.flush()
                    #expect(store.representations(family("a")).isEmpty == isTriedInVain)
                }
            }
            try await cache.open(chunks: 40) { store in
                #expect(store.representations(family("a")).map(\.attributes) == (isTriedInVain ? [] : [new]))
            }
        }
    }
}
