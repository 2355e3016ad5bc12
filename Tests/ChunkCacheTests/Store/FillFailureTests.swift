import ChunkCache
import NIOCore
import SourceContract
import Testing

/// What becomes of readers when a fill does not end well.
@Suite(.timeLimit(.minutes(2)))
struct FillFailureTests {
    private let chunk = TestCache.chunkSize
    private let origin = TestOrigin()

    /// Five readers that wait for one chunk, until `gate` opens.
    private func wait(
        at gate: Gate,
        for object: CachedObject,
        in store: ChunkStore,
        isFinal: Bool = false
    ) async throws -> [Task<ReadTally, any Error>] {
        let readers = (0..<5).map { _ in
            Task { try await origin.read(0..<object.size, of: object, in: store, isFinal: isFinal) }
        }
        try await gate.untilWaiting()
        await eventually { store.counters.collapsed.value == 4 }
        return readers
    }

    @Test("a source that fails is asked once more for all who wait, and then all of them fail")
    func failure() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                let gate = Gate()
                origin.plan(.wait(gate), at: 20_000)
                origin.plan(.fail, at: 20_000, times: 2)
                let readers = try await wait(at: gate, for: object, in: store)
                gate.open()
                for reader in readers { await #expect(throws: OriginFault.self) { try await reader.value } }
                #expect(origin.reads == [0..<object.size, 20_000..<object.size])
                await store.settle()
                #expect(!store.isStored(0, of: object))
            }
        }
    }

    @Test("a source that fails once is not noticed")
    func recovery() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                for offset in [20_000, 5 * chunk + 1, 9 * chunk] { origin.plan(.fail, at: offset) }
                try await origin.read(0..<object.size, of: object, in: store)
                #expect(origin.bytes == object.size)
                await store.settle()
                #expect(store.runs(of: object) == [0..<10])
            }
        }
    }

    @Test("an error that is final is not tried again")
    func final() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                let gate = Gate()
                origin.plan(.wait(gate), at: 20_000)
                origin.plan(.fail, at: 20_000, times: 2)
                let readers = try await wait(at: gate, for: object, in: store, isFinal: true)
                gate.open()
                for reader in readers { await #expect(throws: OriginFault.self) { try await reader.value } }
                #expect(origin.reads == [0..<object.size])
            }
        }
    }

    @Test("a source that cannot be opened fails its readers")
    func unopened() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                let opened = Observed(0)
                let reader = ChunkReader(
                    store,
                    object,
                    upTo: object.size,
                    executor: nil,
                    isFinal: { _ in false },
                    source: { _ in
                        opened.update { $0 += 1 }
                        throw OriginFault()
                    }
                )
                await #expect(throws: OriginFault.self) { try await reader.next(at: 0) }
                #expect(opened.value == 2)
                await store.settle()
            }
        }
    }

    @Test("a source whose reads are always cancelled fails its readers, and does not keep them for ever")
    func cancellingSource() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                let reader = ChunkReader(
                    store,
                    object,
                    upTo: object.size,
                    executor: nil,
                    isFinal: { _ in false },
                    source: { _ in throw CancellationError() }
                )
                await #expect(throws: CancellationError.self) { try await reader.next(at: 0) }
            }
        }
    }

    @Test("a source that ends early has failed, and no part of the chunk is stored", arguments: [1, 2])
    func endsEarly(times: Int) async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                origin.plan(.end, at: chunk + 500, times: times)
                if times == 1 {
                    try await origin.read(0..<object.size, of: object, in: store)
                } else {
                    await #expect(throws: SourceEndedEarly.self) {
                        try await origin.read(0..<object.size, of: object, in: store)
                    }
                }
                await store.settle()
                #expect(store.isStored(1, of: object) == (times == 1))
            }
        }
    }

    @Test("bytes beyond what was asked for are not taken")
    func surplus() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: chunk + 10))
                let content = origin.content
                let reader = ChunkReader(
                    store,
                    object,
                    upTo: object.size,
                    executor: nil,
                    isFinal: { _ in false },
                    source: { range in { content.buffer(range.lowerBound..<range.upperBound + 100_000) } }
                )
                _ = try await reader.next(at: 0)
                _ = try await reader.next(at: chunk)
                await eventually { store.isStored(1, of: object) }
                let tally = try await origin.read(0..<object.size, of: object, in: store)
                #expect(tally == ReadTally(stored: object.size))
            }
        }
    }

    @Test("an error far ahead of a reader is not the reader's until it gets there")
    func ahead() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: 10 * chunk))
                origin.plan(.fail, at: 3 * chunk, times: 2)
                try await origin.read(0..<3 * chunk, of: object, in: store)
                // What failed has been forgotten, or has yet to be tried.
                _ = try? await origin.read(0..<object.size, of: object, in: store)
                try await origin.read(0..<object.size, of: object, in: store)
                #expect(origin.bytes == object.size)
            }
        }
    }

    @Test("closing the cache leaves no reader waiting: it goes on with the source")
    func close() async throws {
        try await TestCache.with { cache in
            let gate = Gate()
            try await cache.open { store in
                let object = store.object(.test())
                // Only the first read stops.
                origin.plan(.wait(gate), at: 20_000)
                let readers = try await wait(at: gate, for: object, in: store)
                let late = Task { try await origin.read(5 * chunk..<6 * chunk, of: object, in: store) }
                _ = try await late.value
                store.close()
                for reader in readers {
                    let tally = try await reader.value
                    #expect(tally.bypassed > 0)
                }
                try await origin.counts.until { $0.openReads == 0 }
                await store.settle()
                #expect(!store.isOpen)
                #expect(try await origin.read(0..<100, of: object, in: store) == ReadTally(bypassed: 100))
                await store.settle()
            }
        }
    }
}
