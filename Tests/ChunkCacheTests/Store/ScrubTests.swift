import ChunkCache
import Dispatch
import Foundation
import NIOPosix
import SourceContract
import Testing

/// When a chunk is due.
struct ScrubPaceTests {
    private let start = ContinuousClock.now
    private let first = ChunkID(object: 0, index: 0)

    private func id(_ index: UInt64) -> ChunkID { ChunkID(object: 1, index: index) }

    @Test("as much is read as the rate allows, and what a chunk has beyond it is waited for")
    func rate() {
        var scrub = Scrub(bytesPerSecond: 1000)
        #expect(scrub.advance(to: start) == nil)
        #expect(scrub.advance(to: start + .seconds(1)) == first)
        #expect(scrub.checked(id(0), bytes: 400) == id(1))
        #expect(scrub.checked(id(1), bytes: 1100) == nil)
        #expect(scrub.advance(to: start + .milliseconds(1500)) == nil)
        #expect(scrub.advance(to: start + .seconds(2)) == id(2))
    }

    @Test("one chunk is checked at a time")
    func oneAtATime() {
        var scrub = Scrub(bytesPerSecond: 1000)
        _ = scrub.advance(to: start)
        #expect(scrub.advance(to: start + .seconds(1)) == first)
        #expect(scrub.advance(to: start + .seconds(2)) == nil)
        #expect(scrub.checked(id(0), bytes: 1000) == id(1))
    }

    @Test("after a long pause two seconds' worth is read at once, and no more")
    func pause() {
        var scrub = Scrub(bytesPerSecond: 1000)
        _ = scrub.advance(to: start)
        #expect(scrub.advance(to: start + .seconds(3600)) == first)
        #expect(scrub.checked(id(0), bytes: 1999) == id(1))
        #expect(scrub.checked(id(1), bytes: 1) == nil)
    }

    @Test("at the end it begins anew, and not before time goes on")
    func end() {
        var scrub = Scrub(bytesPerSecond: 1000)
        _ = scrub.advance(to: start)
        #expect(scrub.advance(to: start + .seconds(1)) == first)
        #expect(scrub.checked(id(7), bytes: 1) == id(8))
        scrub.endPass()
        #expect(scrub.advance(to: start + .seconds(1)) == first)
    }

    @Test("what could not be checked is tried again")
    func interruption() {
        var scrub = Scrub(bytesPerSecond: 1000)
        _ = scrub.advance(to: start)
        _ = scrub.advance(to: start + .seconds(1))
        #expect(scrub.checked(id(7), bytes: 1) == id(8))
        scrub.interrupt()
        #expect(scrub.advance(to: start + .seconds(1)) == id(8))
    }

    @Test("neither a clock that goes back nor an odd rate does harm", arguments: [-1, 0, 1, Int64.max])
    func extremes(rate: Int64) {
        var scrub = Scrub(bytesPerSecond: rate)
        #expect(scrub.advance(to: start) == nil)
        #expect(scrub.advance(to: start - .seconds(3600)) == nil)
        #expect(scrub.advance(to: start + .seconds(3600)) == (rate > 0 ? first : nil))
    }
}

/// What a scrub does to a cache.
@Suite(.timeLimit(.minutes(2)))
struct ScrubTests {
    private let chunk = TestCache.chunkSize
    private let origin = TestOrigin()

    @Test("every chunk is checked, what changed on the disk is dropped, and it begins anew")
    func passes() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try cache.flip(of: origin.content, at: [5 * chunk + 100, 7 * chunk + 50_000])
            try await cache.open({ $0.scrubRate = 100 * chunk }) { store in
                let start = ContinuousClock.now
                store.maintain(now: start)
                store.maintain(now: start + .seconds(1))
                await eventually { store.counters.scrubbedAllAt != nil }
                await store.flush()
                #expect(store.counters.scrubbedChunks.value == 10)
                #expect(store.counters.scrubbedBytes.value == Int(10 * chunk) + 10 * ChunkRecord.headerSize)
                #expect(store.counters.corrupt.value == 2)
                let object = try #require(store.find(ObjectRecord.test().key))
                #expect(store.runs(of: object) == [0..<5, 6..<7, 8..<10])
                #expect(store.isReady(ChunkID(object: object.number, index: 9)))
                store.maintain(now: start + .seconds(2))
                await eventually { store.counters.scrubbedChunks.value == 18 }
                #expect(store.counters.corrupt.value == 2)
                #expect(store.counters.hits.value == 0 && object.hits == 0)
            }
        }
    }

    @Test("what was right before, and is found to be damaged, is not sent again from that moment on")
    func damagedSince() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                try await origin.read(0..<object.size, of: object, in: store)
                await store.settle()
                let number = object.number
                #expect((0..<10).allSatisfy { store.isReady(ChunkID(object: number, index: $0)) })
                try cache.flip(of: origin.content, at: (0..<10).map { $0 * chunk + 7 })

                let result = try await store.verify { progress in
                    // Deleted, or to be deleted by another thread.
                    #expect(!store.isReady(ChunkID(object: number, index: UInt64(progress.checked - 1))))
                }
                #expect(result.corrupt == 10)
                try await origin.read(0..<object.size, of: object, in: store)
                await store.settle()
                #expect(object.storedChunks == 10 && store.counters.corrupt.value == 10)
                #expect(try await store.verify().corrupt == 0)
            }
        }
    }

    @Test("a check of a cache that is not there, or is begun anew meanwhile, fails")
    func nothingToCheck() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try await cache.open { store in
                let (isUnderWay, purge) = (Observed(false), DispatchSemaphore(value: 0))
                let check = Task {
                    try await store.verify { progress in
                        guard progress.checked == 1 else { return }
                        // The next chunk is checked behind these, which have all threads of the pool.
                        for _ in 0..<TestCache.poolThreads { cache.pool.submit { _ in purge.wait() } }
                        isUnderWay.update { $0 = true }
                    }
                }
                try await isUnderWay.until { $0 }
                store.purgeAll()
                await store.flush()
                #expect(store.usage.chunks == 0)
                for _ in 0..<TestCache.poolThreads { purge.signal() }
                await #expect(throws: (any Error).self) { try await check.value }
                store.close()
                await #expect(throws: (any Error).self) { try await store.verify() }
            }
        }
    }

    @Test("a slow scrub goes on where it was, a chunk at a time")
    func slow() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try await cache.open({ $0.scrubRate = chunk / 4 }) { store in
                let start = ContinuousClock.now
                store.maintain(now: start)
                // A value is longer than its chunk, so that more than four seconds lie between two.
                for second in 1...5 {
                    store.maintain(now: start + .seconds(second))
                    await eventually { store.counters.scrubbedChunks.value == (second < 5 ? 1 : 2) }
                }
            }
        }
    }

    @Test("without a rate nothing is checked, and a cache that is closed is left alone")
    func off() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            for rate in [0, 100 * chunk] {
                try await cache.open({ $0.scrubRate = rate }) { store in
                    if rate > 0 { store.close() }
                    let start = ContinuousClock.now
                    store.maintain(now: start)
                    store.maintain(now: start + .seconds(1))
                    // Behind whatever the pool was given before.
                    for _ in 1...2 { try await cache.pool.runIfActive {} }
                    #expect(store.counters.scrubbedChunks.value == 0)
                    #expect(store.counters.scrubbedAllAt == nil)
                }
            }
        }
    }

    @Test("what was not in memory is not afterwards, and what was stays", .enabled(if: MappedFile.canLeaveMemory))
    func memory() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try await cache.open({ $0.scrubRate = 100 * chunk }) { store in
                let file = try MappedFile(cache.dataFile)
                let hot = try file.part(of: origin.content, 7 * chunk..<8 * chunk)
                Residency.load(file.bytes)
                Residency.drop(file.bytes)
                try #require(file.residentPages < file.pages * 3 / 4)
                Residency.load(hot)
                let start = ContinuousClock.now
                store.maintain(now: start)
                store.maintain(now: start + .seconds(1))
                await eventually { store.counters.scrubbedAllAt != nil }
                #expect(store.counters.scrubbedChunks.value == 10)
                // The kernel keeps a few that it has not yet filed away when they are to go.
                #expect(file.residentPages < file.pages * 3 / 4)
                #expect(Residency.isResident(hot))
            }
        }
    }
}
