import ChunkCache
import SourceContract
import Synchronization
import Testing

/// Everything at once.
@Suite(.timeLimit(.minutes(2)))
struct StoreStressTests {
    private static let chunk = TestCache.chunkSize

    /// A film whose content changes from time to time.
    private final class Film: Sendable {
        private let name: String
        private let current: Mutex<(revision: Int, origin: TestOrigin)>

        init(_ name: String) {
            self.name = name
            current = Mutex((0, TestOrigin(name)))
        }

        func change() {
            current.withLock { current in
                let next = current.revision + 1
                current = (next, TestOrigin(name, generation: next))
            }
        }

        /// The film as it is, and its object in the cache.
        func open(in store: ChunkStore) -> (TestOrigin, CachedObject) {
            current.withLock { current in
                let record = ObjectRecord.test(name, size: 12 * chunk - 100, revision: "\(current.revision)")
                return (current.origin, store.object(record))
            }
        }

        var openReads: Int { current.withLock { $0.origin.counts.value.openReads } }
    }

    /// One of the things that happen to a cache.
    private static func act(_ film: Film, _ store: ChunkStore, _ random: inout SplitMix64) async throws {
        let (origin, object) = film.open(in: store)
        let start = Int64.random(in: 0..<object.size, using: &random)
        let range = start..<min(start + Int64.random(in: 1...5 * chunk, using: &random), object.size)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<2: film.change()
        case 2..<5: store.purge { $0.source == "test" && $0.path == object.record.path }
        case 5..<10: store.maintain()
        case 10..<20: origin.plan(.fail, at: start / 4096 * 4096, times: Int.random(in: 1...2, using: &random))
        case 20..<50:
            let reading = Task { try await origin.read(range, of: object, in: store) }
            for _ in 0..<Int.random(in: 0..<40, using: &random) { await Task.yield() }
            reading.cancel()
            _ = await reading.result
        default:
            do {
                try await origin.read(range, of: object, in: store)
            } catch is OriginFault {}
        }
        #expect(store.usage.bytes <= store.settings.size)
    }

    @Test(
        "whatever readers, faults, purges and new revisions do, no byte is wrong and nothing is left over",
        arguments: [
            false, true,
        ]
    )
    func everything(admitsOnSecondHit: Bool) async throws {
        try await TestCache.with { cache in
            let change: (inout ChunkStoreSettings) -> Void = { settings in
                settings.admitsOnSecondHit = admitsOnSecondHit
                settings.fillBytes = 20 << 16
                settings.queueBytes = 8 << 16
            }
            try await cache.open(chunks: 24, change) { store in
                let films = (0..<5).map { Film("film \($0)") }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for seed in 0..<10 as Range<UInt64> {
                        group.addTask {
                            var random = SplitMix64(seed: seed)
                            for _ in 0..<100 {
                                let film = films[Int.random(in: 0..<films.count, using: &random)]
                                try await Self.act(film, store, &random)
                            }
                        }
                    }
                    try await group.waitForAll()
                }
                await store.settle()
                await eventually { films.allSatisfy { $0.openReads == 0 } }
                #expect(store.usage.chunks == store.objects.reduce(0) { $0 + $1.storedChunks })
                let result = try await store.verify()
                #expect((result.checked, result.corrupt) == (store.usage.chunks, 0))
                for object in store.objects {
                    #expect(store.runs(of: object).reduce(0) { $0 + $1.count } == object.storedChunks)
                }
            }
            let (chunks, objects) = try cache.counts()
            try await cache.open(chunks: 24, change) { store in
                #expect((store.usage.chunks, store.usage.objects) == (chunks, objects))
            }
        }
    }
}
