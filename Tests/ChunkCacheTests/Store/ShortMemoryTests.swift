import ChunkCache
import Foundation
import NIOCore
import NIOPosix
import SourceContract
import Testing

/// A cache that does not fit into memory.
@Suite(.timeLimit(.minutes(4)))
struct ShortMemoryTests {
    private let chunk = TestCache.chunkSize
    private let origin = TestOrigin()

    /// A part of a chunk, and the right bytes.
    private let part = 1000..<60_000

    @Test(
        "chunks that are read from the disk again and again say that memory is short, and their bytes come by way of the file",
        .enabled(if: MappedFile.canLeaveMemory)
    )
    func readAgain() async throws {
        try await TestCache.with { cache in
            let clock = CoarseClock()
            // More than the kernel reads ahead at once where it is told to read much.
            try await cache.open(chunks: 1000, reads: clock.memory()) { store in
                let object = store.object(.test(size: 800 * chunk))
                let indices = stride(from: 0, to: 800, by: 20).map { UInt64($0) }
                try await origin.read(0..<object.size, of: object, in: store)
                await store.settle()
                let file = try MappedFile(cache.dataFile)
                for _ in 0..<2 {
                    #expect(!store.isMemoryShort)
                    try file.leaveMemory()
                    for index in indices {
                        let reader = origin.reader(object, upTo: Int64(index + 1) * chunk, in: store)
                        await reader.prepare(at: Int64(index) * chunk)
                    }
                    clock.advance(by: 3000)
                }
                #expect(store.isMemoryShort)
                try file.leaveMemory()
                for index in indices {
                    let id = ChunkID(object: object.number, index: index)
                    // From the disk, and then from memory.
                    for _ in 0..<2 {
                        let copy = try #require(try await store.copy(of: id, part))
                        #expect(copy.readableBytes == part.count)
                        origin.expectRight(copy, at: Int64(index) * chunk + 1000)
                    }
                }
                clock.advance(by: 61_000)
                #expect(!store.isMemoryShort)
            }
        }
    }

    @Test("a copy ends with its chunk, and there is none of a chunk that is missing or was not checked")
    func ends() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                try await origin.read(0..<2 * chunk, of: object, in: store)
                await store.settle()
                let id = ChunkID(object: object.number, index: 1)
                let copy = try #require(try await store.copy(of: id, 65_000..<1_000_000))
                #expect(copy.readableBytes == 536)
                origin.expectRight(copy, at: chunk + 65_000)
                #expect(try await store.copy(of: id, 65_536..<65_537) == nil)
                #expect(try await store.copy(of: ChunkID(object: object.number, index: 2), part) == nil)
            }
            try await cache.open { store in
                let object = try #require(store.objects.first)
                let id = ChunkID(object: object.number, index: 1)
                #expect(!store.isReady(id))
                // It is read, and with that checked.
                let copy = try #require(try await store.copy(of: id, part))
                origin.expectRight(copy, at: chunk + 1000)
                #expect(store.isReady(id))
            }
        }
    }

    @Test("copies stay what they are while others are made")
    func others() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                try await origin.read(0..<object.size, of: object, in: store)
                await store.settle()
                var held: [ByteBuffer] = []
                for round in 0..<5 {
                    for index in 0..<10 as Range<UInt64> {
                        let id = ChunkID(object: object.number, index: index)
                        let copy = try #require(try await store.copy(of: id, part))
                        // Half of them are given back at once.
                        if (Int(index) + round) % 2 == 0 { held.append(copy) }
                    }
                }
                for (number, copy) in held.enumerated() {
                    let (round, place) = (number / 5, number % 5)
                    let index = 2 * place + round % 2
                    #expect(copy.readableBytes == part.count)
                    origin.expectRight(copy, at: Int64(index) * chunk + 1000)
                }
            }
        }
    }

    @Test("a chunk on a bad place of the disk gives no copy, and is dropped")
    func corrupt() async throws {
        try await TestCache.with { cache in
            try await cache.fill(origin)
            try cache.flip(of: origin.content, at: [3 * chunk + 5])
            try await cache.open { store in
                let object = try #require(store.objects.first)
                let id = ChunkID(object: object.number, index: 3)
                #expect(try await store.copy(of: id, part) == nil)
                await store.flush()
                #expect(!store.isStored(id))
                #expect(try await store.copy(of: ChunkID(object: object.number, index: 4), part) != nil)
            }
        }
    }

    private let mebibyte = 1 << 20

    /// Runs `body` with a cache that has one chunk of 1 MiB.
    private func withOneChunk(_ body: (TestCache, ChunkStore, ChunkID) async throws -> Void) async throws {
        try await TestCache.with { cache in
            try await cache.open({ ($0.chunkSize, $0.size) = (mebibyte, 64 << 20) }) { store in
                let object = store.object(.test(size: Int64(mebibyte)))
                try await origin.read(0..<object.size, of: object, in: store)
                await store.settle()
                try await body(cache, store, ChunkID(object: object.number, index: 0))
            }
        }
    }

    @Test("while 64 MiB of copies are held, others are short")
    func many() async throws {
        try await withOneChunk { _, store, id in
            let (held, isOver) = (Observed(0), Observed(false))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<64 {
                    group.addTask {
                        try await store.withCopy(of: id, 0..<mebibyte) { copy in
                            #expect(copy.readableBytes == mebibyte)
                            held.update { $0 += 1 }
                            await eventually { isOver.value }
                        }
                    }
                }
                await eventually { held.value == 64 }
                let copy = try #require(try await store.copy(of: id, 1000..<mebibyte))
                #expect(copy.readableBytes == 64 << 10)
                origin.expectRight(copy, at: 1000)
                isOver.update { $0 = true }
                try await group.waitForAll()
            }
            #expect(try await store.copy(of: id, 1000..<mebibyte)?.readableBytes == mebibyte - 1000)
        }
    }

    @Test("no more than 64 MiB of long copies are made for those who ask at once")
    func crowd() async throws {
        try await withOneChunk { cache, store, id in
            let gate = DispatchSemaphore(value: 0)
            for _ in 0..<TestCache.poolThreads { cache.pool.submit { _ in gate.wait() } }
            let (asked, lengths) = (Observed(0), Observed<[Int]>([]))
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<100 {
                    group.addTask {
                        asked.update { $0 += 1 }
                        try await store.withCopy(of: id, 0..<mebibyte) { copy in
                            lengths.update { $0.append(copy.readableBytes) }
                            await eventually { lengths.value.count == 100 }
                        }
                    }
                }
                await eventually { asked.value == 100 }
                for _ in 0..<TestCache.poolThreads { gate.signal() }
                try await group.waitForAll()
            }
            let long = lengths.value.count { $0 > 64 << 10 }
            // Two threads may ask in the same moment.
            #expect((64...80).contains(long))
            #expect(lengths.value.count { $0 == 64 << 10 } == 100 - long)
        }
    }
}

extension ChunkStore {
    fileprivate func copy(of id: ChunkID, _ part: Range<Int>) async throws -> ByteBuffer? {
        try await withCopy(of: id, part) { $0 }
    }
}
