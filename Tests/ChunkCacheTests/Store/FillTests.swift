import ChunkCache
import NIOCore
import SourceContract
import Testing

/// How missing chunks are fetched, and by whom.
@Suite(.timeLimit(.minutes(2)))
struct FillTests {
    private let chunk = TestCache.chunkSize
    private let origin = TestOrigin()

    @Test("a miss fills the cache, and the next reader does not touch the source")
    func missThenHit() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: 3 * chunk + 1000))
                let first = try await origin.read(0..<object.size, of: object, in: store)
                #expect(first.stored + first.fetched == object.size)
                await store.settle()
                let bytes = origin.bytes
                #expect(bytes == object.size)
                let second = try await origin.read(0..<object.size, of: object, in: store)
                #expect(second == ReadTally(stored: object.size))
                #expect(origin.bytes == bytes)
                #expect(origin.reads.count == 1)
                #expect(store.counters.hits.value >= 4)
            }
        }
    }

    @Test("what was fetched ahead is a miss when a reader comes to it, and a hit from then on")
    func fetchedAhead() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: 8 * chunk))
                let reader = origin.reader(object, in: store)
                // Into the second chunk, from where on others are fetched ahead; then it waits until all are there.
                var position: Int64 = 0
                while position <= chunk {
                    switch try await reader.next(at: position) {
                    case .bytes(let piece): position += Int64(piece.readableBytes)
                    case .stored(let end): position = end
                    case .bypass: Issue.record("there is room for all of it")
                    }
                }
                await eventually { store.isReady(ChunkID(object: object.number, index: 2)) }
                let counters = store.counters
                let (missed, hits) = (counters.missed.value, counters.hits.value)
                #expect(store.use(ChunkID(object: object.number, index: 2), of: object) == .first)
                #expect((counters.missed.value, counters.hits.value) == (missed + 1, hits))
                #expect(store.use(ChunkID(object: object.number, index: 2), of: object) == .again)
                #expect((counters.missed.value, counters.hits.value) == (missed + 1, hits + 1))
                withExtendedLifetime(reader) {}
            }
        }
    }

    @Test("fifty readers of a cold object read each byte of the source once")
    func coalescing() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: 20 * chunk + 1))
                try await withThrowingTaskGroup(of: ReadTally.self) { group in
                    for _ in 0..<50 { group.addTask { try await origin.read(0..<object.size, of: object, in: store) } }
                    for try await tally in group { #expect(tally.bypassed == 0) }
                }
                #expect(origin.bytes == object.size)
                await store.settle()
                #expect(object.storedChunks == 21)
            }
        }
    }

    @Test("a fill starts where it was asked to, and wraps")
    func wraps() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                let start = chunk + 20_000
                try await origin.read(start..<2 * chunk, of: object, in: store)
                await eventually { store.isStored(1, of: object) }
                #expect(origin.reads == [start..<2 * chunk, chunk..<start])
                #expect(try await origin.read(chunk..<2 * chunk, of: object, in: store).stored == chunk)
            }
        }
    }

    @Test("a reader that comes to where a run waits for its own reader goes on with it")
    func catchingUp() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: 4 * chunk))
                let slow = origin.reader(object, in: store)
                var position: Int64 = 0
                while position < chunk, case .bytes(let piece) = try await slow.next(at: position) {
                    position += Int64(piece.readableBytes)
                }
                await eventually { store.isStored(0, of: object) }
                let tally = try await origin.read(0..<object.size, of: object, in: store)
                #expect(tally.bypassed == 0)
                #expect(origin.reads == [0..<object.size])
                #expect(origin.bytes == object.size)
                withExtendedLifetime(slow) {}
            }
        }
    }

    @Test("those who wait get bytes before the chunk is complete")
    func early() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                let gate = Gate()
                origin.plan(.wait(gate), at: 20_000)
                let (first, second) = (origin.reader(object, in: store), origin.reader(object, in: store))
                for reader in [first, second] {
                    var position: Int64 = 0
                    while position < 20_000 {
                        guard case .bytes(let piece) = try await reader.next(at: position) else {
                            Issue.record("no bytes at \(position)")
                            return
                        }
                        origin.expectRight(piece, at: position)
                        position += Int64(piece.readableBytes)
                    }
                    #expect(position == 20_000)
                }
                #expect(!store.isStored(0, of: object))
                #expect(origin.reads.count == 1)
                gate.open()
                await eventually { store.isStored(0, of: object) }
            }
        }
    }

    @Test("what is completed without readers ends when its source gives nothing for half a minute")
    func forsaken() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                let gate = Gate()
                origin.plan(.wait(gate), at: 40_000)
                do {
                    let reader = origin.reader(object, in: store)
                    var position: Int64 = 0
                    while position < 40_000, case .bytes(let piece) = try await reader.next(at: position) {
                        position += Int64(piece.readableBytes)
                    }
                }
                let now = ContinuousClock.now
                for seconds in [0, 29] {
                    store.maintain(now: now + .seconds(seconds))
                    #expect(store.usage.fillBytes == chunk)
                    #expect(origin.counts.value.openReads == 1)
                }
                store.maintain(now: now + .seconds(30))
                await eventually { origin.counts.value.openReads == 0 }
                await store.settle()
                #expect(!store.isStored(0, of: object))
                #expect(try await origin.read(0..<chunk, of: object, in: store).bypassed == 0)
                withExtendedLifetime(gate) {}
            }
        }
    }

    @Test("a run of missing chunks is one read, which asks for nothing beyond a chunk that is there")
    func oneRead() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: 10 * chunk))
                try await origin.read(5 * chunk..<6 * chunk, of: object, in: store)
                await store.settle()
                try await origin.read(0..<object.size, of: object, in: store)
                #expect(origin.reads == [5 * chunk..<6 * chunk, 0..<5 * chunk, 6 * chunk..<10 * chunk])
                #expect(origin.bytes == object.size)
            }
        }
    }

    @Test("a chunk that the cache does not take is fetched once for a reader, however slow")
    func notAdmitted() async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.admitsOnSecondHit = true }) { store in
                let object = store.object(.test(size: 10 * chunk))
                let reader = origin.reader(object, in: store)
                var position: Int64 = 0
                while position < object.size {
                    // Whatever has been fetched has been refused by now.
                    await store.flush()
                    #expect(store.usage.fillBytes <= 4 * chunk)
                    switch try await reader.next(at: position) {
                    case .bytes(let piece):
                        origin.expectRight(piece, at: position)
                        position += Int64(piece.readableBytes)
                    case .stored(let end): position = end
                    case .bypass: Issue.record("bypass at \(position)")
                    }
                }
                #expect(origin.bytes == object.size)
                await eventually { store.isStored(9, of: object) }
                #expect(store.runs(of: object) == [0..<1, 9..<10])
            }
        }
    }

    @Test("a chunk is admitted when it is fetched for the second time")
    func secondHit() async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.admitsOnSecondHit = true }) { store in
                let object = store.object(.test(size: 10 * chunk))
                for _ in 0..<2 {
                    try await origin.read(0..<object.size, of: object, in: store)
                    await store.settle()
                }
                #expect(origin.bytes == 18 * chunk)
                #expect(store.runs(of: object) == [0..<10])
            }
        }
    }

    @Test("the last reader to leave cancels a fill that is less than half done")
    func cancelled() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                let gate = Gate()
                origin.plan(.wait(gate), at: 20_000)
                let readers = (0..<3).map { _ in
                    Task { try await origin.read(0..<object.size, of: object, in: store) }
                }
                try await gate.untilWaiting()
                await eventually { store.counters.collapsed.value == 2 }
                for reader in readers { reader.cancel() }
                for reader in readers { await #expect(throws: CancellationError.self) { try await reader.value } }
                try await origin.counts.until { $0.openReads == 0 }
                await store.settle()
                #expect(!store.isStored(0, of: object))
                // Whoever comes then begins anew.
                gate.open()
                try await origin.read(0..<chunk, of: object, in: store)
            }
        }
    }

    @Test("a fill goes on as long as one of its readers is there")
    func oneStays() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: chunk))
                let gate = Gate()
                origin.plan(.wait(gate), at: 20_000)
                let first = Task { try await origin.read(0..<object.size, of: object, in: store) }
                try await gate.untilWaiting()
                let second = Task { try await origin.read(0..<object.size, of: object, in: store) }
                await eventually { store.counters.collapsed.value == 1 }
                first.cancel()
                await #expect(throws: CancellationError.self) { try await first.value }
                gate.open()
                let tally = try await second.value
                #expect(tally.fetched + tally.stored == chunk)
                #expect(origin.bytes == chunk)
            }
        }
    }

    @Test("the last reader to leave does not cancel a fill that is more than half done")
    func completed() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                let gate = Gate()
                origin.plan(.wait(gate), at: 40_000)
                let reader = Task { try await origin.read(0..<object.size, of: object, in: store) }
                try await gate.untilWaiting()
                reader.cancel()
                await #expect(throws: CancellationError.self) { try await reader.value }
                gate.open()
                await eventually { store.isStored(0, of: object) }
                try await origin.counts.until { $0.openReads == 0 }
                #expect(origin.bytes < chunk + 4096)
                await store.settle()
            }
        }
    }

    @Test("a chunk from which a reader got all it asked for is completed after it has left")
    func wanted() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                try await origin.read(30_000..<30_010, of: object, in: store)
                await eventually { store.isStored(0, of: object) }
                let bytes = origin.bytes
                try await origin.read(5..<60_000, of: object, in: store)
                #expect(origin.bytes == bytes)
            }
        }
    }

    @Test(
        "the part before the start of a fill is cancelled too, unless most of the chunk is there",
        arguments: [
            (40_000, false), (20_000, true),
        ]
    )
    func head(start: Int64, isKept: Bool) async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: chunk))
                let gate = Gate()
                origin.plan(.wait(gate), at: 0)
                do {
                    let reader = origin.reader(object, in: store)
                    var position = start
                    // Leaves before the end of its range, of which it gets 16 KiB at a time at most.
                    while position < chunk - 20_000, case .bytes(let piece) = try await reader.next(at: position) {
                        position += Int64(piece.readableBytes)
                    }
                    try await gate.untilWaiting()
                }
                if isKept { gate.open() }
                try await origin.counts.until { $0.openReads == 0 }
                await store.settle()
                #expect(store.isStored(0, of: object) == isKept)
            }
        }
    }

    @Test("nothing is fetched ahead of a reader that has not gone on to a second chunk")
    func noReadAhead() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: 100 * chunk))
                let reader = origin.reader(object, in: store)
                _ = try await reader.next(at: 0)
                await eventually { store.isStored(0, of: object) }
                _ = try await reader.next(at: 1000)
                await store.flush()
                #expect(origin.bytes == chunk)
                _ = try await reader.next(at: chunk)
                await eventually { store.isStored(2, of: object) }
                await store.flush()
                #expect(origin.bytes == 3 * chunk)
                #expect(origin.reads.count == 1)
            }
        }
    }

    @Test("what is fetched ahead of a sequential reader is bounded, and ends with its range")
    func readAhead() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: 400 * chunk))
                let reader = origin.reader(object, upTo: 300 * chunk - 5, in: store)
                for index in 0...20 { _ = try await reader.next(at: Int64(index) * chunk) }
                // 8 MiB are 128 chunks.
                await eventually { store.isStored(148, of: object) }
                await store.flush()
                #expect(store.runs(of: object) == [0..<149])
                for index in 21..<300 { _ = try await reader.next(at: Int64(index) * chunk) }
                await eventually { store.isStored(299, of: object) }
                await store.flush()
                #expect(origin.bytes == 300 * chunk)
            }
        }
    }

    @Test("what is fetched ahead ends before a chunk that is there, and goes on once the reader is behind it")
    func readAheadToStored() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: 40 * chunk))
                try await origin.read(6 * chunk..<7 * chunk, of: object, in: store)
                await store.settle()
                let reader = origin.reader(object, in: store)
                for index in 0..<6 { _ = try await reader.next(at: Int64(index) * chunk) }
                await eventually { store.isStored(5, of: object) }
                await store.flush()
                #expect(store.runs(of: object) == [0..<7])
                _ = try await reader.next(at: 6 * chunk)
                await store.flush()
                #expect(origin.bytes == 7 * chunk)
                _ = try await reader.next(at: 7 * chunk)
                // As many as for a reader that has gone through eight chunks in a row.
                await eventually { store.isStored(39, of: object) }
                #expect(origin.reads == [6 * chunk..<7 * chunk, 0..<6 * chunk, 7 * chunk..<40 * chunk])
                #expect(origin.bytes == object.size)
                withExtendedLifetime(reader) {}
            }
        }
    }

    @Test("what finds no memory to be fetched into goes around the cache", arguments: [0, 1, 2])
    func budget(chunks: Int) async throws {
        try await TestCache.with { cache in
            try await cache.open({ $0.fillBytes = chunks << 16 }) { store in
                let gate = Gate()
                let held = TestOrigin("held")
                held.plan(.wait(gate), at: 100)
                let objects = (store.object(.test("held", size: chunk)), store.object(.test()))
                let waiting = Task { try await held.read(0..<chunk, of: objects.0, in: store) }
                try await gate.untilWaiting()
                let tally = try await origin.read(0..<objects.1.size, of: objects.1, in: store)
                #expect((tally.bypassed == objects.1.size) == (chunks < 2))
                gate.open()
                _ = try await waiting.value
                await store.settle()
            }
        }
    }
}
