import ChunkCache
import SourceContract
import Testing

/// What a source may have of the cache.
@Suite(.timeLimit(.minutes(2)))
struct SourceLimitTests {
    private let chunk = TestCache.chunkSize
    /// What a chunk takes of the file.
    private let stored = TestCache.chunkSize + 4096

    private func record(_ source: String, _ name: String, chunks: Int64) -> ObjectRecord {
        var record = ObjectRecord.test(name, size: chunks * chunk)
        record.source = source
        return record
    }

    private func read(_ record: ObjectRecord, in store: ChunkStore) async throws -> ReadTally {
        let object = store.object(record)
        let origin = TestOrigin(String(decoding: record.path, as: UTF8.self))
        let tally = try await origin.read(0..<record.size, of: object, in: store)
        await store.settle()
        return tally
    }

    private func bytes(of store: ChunkStore) -> [String: Int64] { store.counters.sources.mapValues(\.bytes) }

    @Test(
        "a source that comes to its limit has its own chunks evicted, and those of others stay",
        arguments: CachePolicy.allCases
    )
    func limit(policy: CachePolicy) async throws {
        try await TestCache.with { cache in
            let change: (inout ChunkStoreSettings) -> Void = { settings in
                settings.policy = policy
                settings.sourceSizes = ["greedy": 10 * stored]
            }
            try await cache.open(chunks: 100, change) { store in
                _ = try await read(record("modest", "film", chunks: 20), in: store)
                for name in ["one", "two", "three"] {
                    _ = try await read(record("greedy", name, chunks: 8), in: store)
                    #expect(store.counters.share(of: "greedy").bytes <= 10 * stored)
                }
                #expect(bytes(of: store) == ["greedy": 10 * stored, "modest": 20 * stored])
                #expect(store.counters.evictedForShare.value == 14)
                #expect(store.counters.evictedForSpace.value == 0)
                #expect(try await read(record("modest", "film", chunks: 20), in: store).stored == 20 * chunk)
                let result = try await store.verify()
                #expect((result.checked, result.corrupt) == (30, 0))
            }
            #expect(try cache.counts().chunks == 30)
        }
    }

    @Test("a cache that is full evicts from sources with a limit too, and each is counted right")
    func full() async throws {
        try await TestCache.with { cache in
            try await cache.open(chunks: 24, { $0.sourceSizes = ["a": 16 * stored, "b": 16 * stored] }) { store in
                for round in 0..<6 {
                    for source in ["a", "b", "c"] {
                        _ = try await read(record(source, "\(source) \(round)", chunks: 7), in: store)
                    }
                }
                #expect(store.counters.evictedForSpace.value > 0)
                #expect(store.usage.bytes <= 24 * stored)
                #expect(bytes(of: store).values.reduce(0, +) == store.usage.bytes)
                let chunks = store.counters.sources.mapValues(\.chunks)
                for source in ["a", "b", "c"] {
                    let objects = store.objects.filter { $0.record.source == source }
                    #expect(objects.reduce(0) { $0 + $1.storedChunks } == chunks[source] ?? 0)
                }
                store.purge { $0.source == "a" }
                await store.settle()
                #expect(store.counters.share(of: "a") == CacheCounters.Share())
            }
        }
    }

    @Test("a limit that is lower at the next start empties that source down to it, and nothing else")
    func lowered() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                _ = try await read(record("a", "long", chunks: 200), in: store)
                _ = try await read(record("b", "film", chunks: 30), in: store)
            }
            let change: (inout ChunkStoreSettings) -> Void = { $0.sourceSizes = ["a": 20 * stored] }
            // To look at it changes nothing.
            try await cache.open({ settings in
                change(&settings)
                settings.mayReplace = false
            }) { store in
                await store.settle()
                #expect(store.usage.chunks == 230)
            }
            try await cache.open(change) { store in
                await eventually { store.counters.share(of: "a").bytes <= 20 * stored }
                await store.settle()
                #expect(bytes(of: store) == ["a": 20 * stored, "b": 30 * stored])
                let tally = try await read(record("b", "film", chunks: 30), in: store)
                #expect(tally.stored == 30 * chunk)
            }
            // And a higher one has room again.
            try await cache.open({ $0.sourceSizes = ["a": 40 * stored] }) { store in
                _ = try await read(record("a", "more", chunks: 20), in: store)
                #expect(bytes(of: store) == ["a": 40 * stored, "b": 30 * stored])
            }
        }
    }

    @Test("a limit without room for a chunk keeps everything of the source out, and is no failure of a request")
    func none() async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.sourceSizes = ["a": 100] }) { store in
                for _ in 0..<2 { _ = try await read(record("a", "film", chunks: 5), in: store) }
                #expect(store.usage.chunks == 0)
                #expect(store.counters.noRoom.value == 10)
                _ = try await read(record("b", "film", chunks: 5), in: store)
                #expect(store.usage.chunks == 5)
            }
        }
    }
}
