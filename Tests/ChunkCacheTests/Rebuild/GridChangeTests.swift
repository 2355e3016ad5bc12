import ChunkCache
import NIOCore
import SourceContract
import Testing

struct GridChangeTests {
    private let content = PatternBytes("film.mkv")

    /// Gives all chunks of the old size but those at `missing`.
    ///
    /// - Returns: the indices of the new ones, of which all bytes are right.
    private func change(
        size: Int64,
        from old: Int64,
        to new: Int64,
        without missing: Set<Int64> = []
    ) throws -> [UInt64] {
        var grid = GridChange(size: size, from: old, to: new)
        var indices: [UInt64] = []
        for index in 0..<(size + old - 1) / old where !missing.contains(index) {
            let whole = grid.add(content.buffer(index * old..<min((index + 1) * old, size)), at: UInt64(index))
            for chunk in try #require(whole) {
                let position = Int64(chunk.index) * new
                #expect(Int64(chunk.bytes.readableBytes) == min(new, size - position))
                #expect(content.firstDifference(in: chunk.bytes, at: position) == nil)
                indices.append(chunk.index)
            }
        }
        return indices
    }

    @Test(
        "every byte is in the chunks of the new size, whatever both sizes are",
        arguments: [Int64(1), 999, 1000, 1001, 4000, 12_345],
        [(Int64(1000), Int64(4000)), (4000, 1000), (1000, 1000), (3000, 2000), (2000, 3000), (7, 1000)]
    )
    func whole(size: Int64, sizes: (old: Int64, new: Int64)) throws {
        let count = (size + sizes.new - 1) / sizes.new
        #expect(try change(size: size, from: sizes.old, to: sizes.new) == Array(0..<UInt64(count)))
    }

    @Test("what has not all its neighbours is left out, and the rest is not")
    func gaps() throws {
        #expect(try change(size: 11_500, from: 1000, to: 4000, without: [5]) == [0, 2])
        #expect(try change(size: 11_500, from: 1000, to: 4000, without: [0, 11]) == [1])
        #expect(try change(size: 11_500, from: 1000, to: 4000, without: [3, 4, 8]) == [])
        #expect(try change(size: 11_500, from: 4000, to: 1000, without: [1]) == [0, 1, 2, 3, 8, 9, 10, 11])
        #expect(try change(size: 12_000, from: 3000, to: 2000, without: [1]) == [0, 3, 4, 5])
    }

    @Test("a chunk that the object does not have is refused, and spoils nothing")
    func foreign() throws {
        var grid = GridChange(size: 2500, from: 1000, to: 2000)
        for (length, index) in [(999, 0), (1001, 0), (0, 0), (1000, 2), (500, 3), (500, .max)] as [(Int, UInt64)] {
            #expect(grid.add(ByteBuffer(repeating: 1, count: length), at: index) == nil)
        }
        #expect(grid.add(content.buffer(0..<1000), at: 0) == [])
        #expect(grid.add(ByteBuffer(repeating: 1, count: 7), at: 1) == nil)
        #expect(grid.add(content.buffer(1000..<2000), at: 1)?.map(\.index) == [0])
        #expect(grid.add(content.buffer(2000..<2500), at: 2)?.map(\.index) == [1])
    }

    @Test("an object of no bytes has no chunk")
    func empty() {
        var grid = GridChange(size: 0, from: 1000, to: 2000)
        #expect(grid.add(ByteBuffer(), at: 0) == nil)
        #expect(grid.add(ByteBuffer(repeating: 1, count: 1000), at: 0) == nil)
    }
}
