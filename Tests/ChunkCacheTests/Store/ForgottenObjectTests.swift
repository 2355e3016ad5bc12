import ChunkCache
import NIOCore
import SourceContract
import Testing

/// Objects that are forgotten while somebody sends them.
@Suite(.timeLimit(.minutes(2)))
struct ForgottenObjectTests {
    private let chunk = TestCache.chunkSize
    private let origin = TestOrigin()

    private func forget(_ object: CachedObject, in store: ChunkStore, _ way: Way) {
        switch way {
        case .replaced: _ = store.object(.test(revision: "2"))
        case .removed: store.remove([object])
        case .purged: store.purge { _ in true }
        }
    }

    enum Way: CaseIterable {
        case replaced
        case removed
        case purged
    }

    /// Reads on with a reader, and expects that the source is not asked.
    private func readStored(
        _ range: Range<Int64>,
        of object: CachedObject,
        _ reader: ChunkReader,
        in store: ChunkStore
    )
        async throws
    {
        var position = range.lowerBound
        while position < range.upperBound {
            guard case .stored(let end) = try await reader.next(at: position) else {
                Issue.record("not stored at \(position)")
                return
            }
            origin.expectRight(try #require(store.copy(position..<end, of: object)), at: position)
            position = end
        }
    }

    @Test("it is sent to its end from the cache, and then its chunks leave", arguments: Way.allCases)
    func sentToItsEnd(way: Way) async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try await cache.open { store in
                let object = try #require(store.find(ObjectRecord.test().key))
                do {
                    let reader = origin.reader(object, in: store)
                    try await readStored(0..<2 * chunk, of: object, reader, in: store)
                    forget(object, in: store, way)
                    store.maintain()
                    await store.flush()
                    #expect(store.find(object.key) !== object)
                    try await readStored(2 * chunk..<object.size, of: object, reader, in: store)
                    #expect(origin.bytes == object.size)
                    #expect(store.usage.chunks == 10)
                    withExtendedLifetime(reader) {}
                }
                store.maintain()
                await store.flush()
                #expect(store.runs(of: object) == [])
                #expect((store.usage.chunks, store.usage.bytes, object.storedChunks) == (0, 0, 0))
                let counted = way == .purged ? store.counters.purged : store.counters.replaced
                #expect(counted.value == 10)
            }
        }
    }

    @Test("it is gone after a restart, whoever was sending it at the end", arguments: Way.allCases)
    func restart(way: Way) async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try await cache.open { store in
                let object = try #require(store.find(ObjectRecord.test().key))
                object.beginReading()
                forget(object, in: store, way)
                await store.flush()
            }
            try await cache.open { store in
                #expect(store.objects.isEmpty)
                #expect(store.usage.chunks == 0)
            }
            #expect(try cache.counts() == (chunks: 0, objects: 0))
        }
    }

    @Test(
        "more chunks than a batch are forgotten to the last one, also when the cache is closed meanwhile",
        arguments: [(200, 100), (1, 200 * TestCache.chunkSize)] as [(Int, Int64)],
        [true, false]
    )
    func many(_ objects: (count: Int, size: Int64), isClosedAtOnce: Bool) async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                for number in 0..<objects.count {
                    let object = store.object(.test("\(number)", size: objects.size))
                    try await TestOrigin("\(number)").read(0..<objects.size, of: object, in: store)
                    await store.settle()
                }
                #expect(store.usage.chunks == 200)
                #expect(store.purge { _ in true } == 200)
                await store.flush()
                #expect(store.usage.objects == 0)
                guard !isClosedAtOnce else { return }
                await eventually { store.usage.chunks == 0 }
                #expect(store.counters.purged.value == 200)
            }
            #expect(try cache.counts() == (chunks: 0, objects: 0))
        }
    }

    @Test("all of them leave with the file, and the next ones come into a new one")
    func all() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                var object = store.object(.test())
                try await origin.read(0..<object.size, of: object, in: store)
                await store.settle()
                let length = store.usage.fileBytes
                #expect(store.purgeAll() == 10)
                await store.flush()
                #expect(store.isOpen)
                #expect((store.usage.chunks, store.usage.bytes, store.counters.purged.value) == (0, 0, 10))
                #expect(store.usage.fileBytes < length / 4)
                #expect(store.counters.lostToDamage.value == 0)
                object = store.object(.test())
                let first = try await origin.read(0..<object.size, of: object, in: store)
                #expect(first.stored < object.size)
                await store.settle()
                let second = try await origin.read(0..<object.size, of: object, in: store)
                #expect(second.stored == object.size)
            }
            try await cache.open { #expect($0.usage.chunks == 10) }
            #expect(cache.log.messages == [])
            #expect(!cache.hasSetAside)
        }
    }

    @Test("while one of all of them is sent, it is sent to its end from the cache")
    func allButOne() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try await cache.open { store in
                let other = store.object(.test("other"))
                try await TestOrigin("other").read(0..<other.size, of: other, in: store)
                await store.settle()
                let object = try #require(store.find(ObjectRecord.test().key))
                do {
                    let reader = origin.reader(object, in: store)
                    try await readStored(0..<chunk, of: object, reader, in: store)
                    #expect(store.purgeAll() == 20)
                    await store.flush()
                    #expect(store.usage.chunks == 10)
                    try await readStored(chunk..<object.size, of: object, reader, in: store)
                }
                store.maintain()
                await store.flush()
                #expect((store.usage.chunks, store.counters.purged.value) == (0, 20))
            }
            #expect(try cache.counts() == (chunks: 0, objects: 0))
        }
    }

    @Test("whoever begins to send it after its chunks began to leave is told")
    func late() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try await cache.open { store in
                let object = try #require(store.find(ObjectRecord.test().key))
                #expect(object.beginReading())
                store.remove([object])
                await store.flush()
                // As long as somebody does, others may.
                #expect(object.beginReading())
                object.endReading()
                object.endReading()
                store.maintain()
                await store.flush()
                #expect(!object.beginReading())
                object.endReading()
                #expect(store.runs(of: object) == [])
                // A reader asks the source.
                #expect(try await origin.read(0..<object.size, of: object, in: store).bypassed == object.size)
            }
        }
    }

    @Test("its chunks may be evicted before its reader has got to them, who then asks the source")
    func evicted() async throws {
        try await TestCache.with { cache in
            try await cache.open(chunks: 10, { $0.policy = .lru }) { store in
                let object = store.object(.test())
                try await origin.read(0..<object.size, of: object, in: store)
                await store.settle()
                do {
                    let reader = origin.reader(object, in: store)
                    try await readStored(0..<chunk, of: object, reader, in: store)
                    store.remove([object])
                    let other = store.object(.test("other"))
                    try await TestOrigin("other").read(0..<other.size, of: other, in: store)
                    await store.settle()
                    #expect(store.usage.bytes <= store.settings.size)
                    #expect(other.storedChunks == 10)
                    guard case .bypass(upTo: 2 * chunk) = try await reader.next(at: chunk) else {
                        Issue.record("no bypass")
                        return
                    }
                }
                store.maintain()
                await store.flush()
                #expect((store.usage.chunks, object.storedChunks) == (10, 0))
            }
        }
    }

    @Test("readers that come and go while revisions do get right bytes, and nothing is left of the old ones")
    func churn() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for reader in 0..<4 {
                        group.addTask {
                            for round in 0..<25 {
                                let object = store.object(.test(revision: "\(reader == 0 ? round : round / 5)"))
                                try await origin.read(0..<object.size, of: object, in: store)
                                if reader == 0 { store.maintain() }
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                await store.settle()
                store.maintain()
                await store.settle()
                let object = try #require(store.objects.first)
                #expect(store.objects.count == 1)
                #expect(store.usage.chunks == object.storedChunks)
                #expect(store.runs(of: object).reduce(0) { $0 + $1.count } == object.storedChunks)
            }
            #expect(try cache.counts().objects == 1)
        }
    }
    private struct Reference {
        weak var object: CachedObject?
    }

    private func reference(to record: ObjectRecord, in store: ChunkStore) -> Reference {
        Reference(object: store.object(record))
    }

    @Test("it takes no memory once nobody uses it", arguments: Way.allCases)
    func released(way: Way) async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let reference = reference(to: .test(), in: store)
                forget(try #require(reference.object), in: store, way)
                await store.flush()
                #expect(reference.object == nil)
            }
        }
    }
}
