import ChunkCache
import SourceContract
import Testing

/// What is told of the cache's work away from the event loops.
@Suite(.timeLimit(.minutes(2)))
struct OperationTests {
    private let chunk = TestCache.chunkSize

    @Test("the millionth operation is told as the first was")
    func manyOperations() {
        let counters = CacheCounters()
        let told = Observed(0)
        counters.onOperation { _, _ in told.update { $0 += 1 } }
        for _ in 0..<1_000_000 { counters.note(.write, since: .now) }
        #expect(told.value == 1_000_000)
    }

    @Test("the times of storing, of evicting and of reading into memory are told")
    func operations() async throws {
        try await TestCache.with { cache in
            let origin = TestOrigin()
            let told = Observed<[CacheOperation]>([])
            try await cache.open(chunks: 40) { store in
                store.counters.onOperation { operation, _ in told.update { $0.append(operation) } }
                let object = store.object(.test(size: 60 * chunk))
                try await origin.read(0..<40 * chunk, of: object, in: store)
                await store.settle()
                #expect(told.value == Array(repeating: .write, count: store.counters.inserted.value))
                try await origin.read(40 * chunk..<60 * chunk, of: object, in: store)
                await store.settle()
                #expect(told.value.filter { $0 == .write }.count == store.counters.inserted.value)
                #expect(told.value.contains(.evict) && !told.value.contains(.read))
            }
            try await cache.open(chunks: 40) { store in
                store.counters.onOperation { operation, _ in told.update { $0.append(operation) } }
                let object = store.object(.test(size: 60 * chunk))
                let stored = try #require((0..<60).first { store.isStored(ChunkID(object: object.number, index: $0)) })
                let range = Int64(stored) * chunk..<Int64(stored + 1) * chunk
                let bytes = origin.bytes
                told.update { $0 = [] }
                try await origin.read(range, of: object, in: store)
                // It is not known to be right before it was read.
                #expect(told.value.contains(.read) && !told.value.contains(.write))
                #expect(origin.bytes == bytes)
            }
        }
    }
}
