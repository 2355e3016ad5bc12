import ChunkCache
import NIOCore
import SourceContract
import Testing

/// How stored bytes are lent for a system call.
@Suite(.timeLimit(.minutes(2)))
struct LendingTests {
    private let chunk = TestCache.chunkSize
    private let origin = TestOrigin()

    /// What is lent from the start of `range`, and in how many parts.
    private func lend(
        _ range: Range<Int64>,
        of object: CachedObject,
        in store: ChunkStore
    ) async -> (parts: Int, bytes: ByteBuffer)? {
        // What lies too far from what was looked up is not lent.
        var id = object.chunk(at: range.lowerBound)
        while object.range(of: id).lowerBound < range.upperBound {
            await store.prepare(id, 0..<1)
            id = ChunkID(object: id.object, index: id.index + 1)
        }
        return store.withBytes(of: object, at: range) { parts in
            var bytes = ByteBuffer()
            for part in parts { bytes.writeBytes(part) }
            return (parts.count, bytes)
        }
    }

    @Test("chunk after chunk is lent, as far as the range goes and sixteen at most")
    func several() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test(size: 20 * chunk + 7))
                try await origin.read(0..<object.size, of: object, in: store)
                await store.settle()
                for (range, parts, end) in [
                    (1000..<1001, 1, 1001), (1000..<chunk, 1, chunk), (1000..<chunk + 1, 2, chunk + 1),
                    (1000..<object.size, 16, 16 * chunk), (18 * chunk + 5..<object.size, 3, object.size),
                ] as [(Range<Int64>, Int, Int64)] {
                    let lent = try #require(await lend(range, of: object, in: store))
                    #expect(lent.parts == parts)
                    #expect(Int64(lent.bytes.readableBytes) == end - range.lowerBound)
                    origin.expectRight(lent.bytes, at: range.lowerBound)
                }
            }
        }
    }

    @Test("lending ends before a chunk that is missing, and begins with none")
    func missing() async throws {
        try await TestCache.with { cache in
            try await cache.open { store in
                let object = store.object(.test())
                for index in [0, 1, 3] as [Int64] {
                    try await origin.read(index * chunk..<(index + 1) * chunk, of: object, in: store)
                }
                await store.settle()
                let lent = try #require(await lend(5..<object.size, of: object, in: store))
                #expect(lent.parts == 2)
                #expect(Int64(lent.bytes.readableBytes) == 2 * chunk - 5)
                #expect(await lend(2 * chunk..<object.size, of: object, in: store) == nil)
            }
        }
    }
}
