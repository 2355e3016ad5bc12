import SourceContract
import SourcePlugins
import Testing

@Suite("PieceSet")
struct PieceSetTests {
    private static let sizes = [0, 1, 7, 8, 63, 64, 65, 128, 1000]

    @Test("a set does what a set of numbers does", arguments: sizes)
    func model(pieceCount: Int) {
        var random = SplitMix64(seed: UInt64(pieceCount))
        var (set, model) = (PieceSet(pieceCount: pieceCount), Set<Int>())
        for _ in 0..<2000 {
            let piece = Int.random(in: -2...pieceCount + 1, using: &random)
            let exists = (0..<pieceCount).contains(piece)
            if Bool.random(using: &random) {
                #expect(set.insert(piece) == (exists && model.insert(piece).inserted))
            } else {
                #expect(set.remove(piece) == (model.remove(piece) != nil))
            }
            #expect(set.contains(piece) == model.contains(piece))
            let start = Int.random(in: 0...pieceCount, using: &random)
            let range = start..<Int.random(in: start...pieceCount + 70, using: &random)
            #expect(set.firstPresent(in: range) == model.filter(range.contains).min())
            let missing = range.clamped(to: 0..<pieceCount).first { !model.contains($0) }
            #expect(set.firstMissing(in: range) == missing)
        }
        #expect(set.count == model.count)
        #expect(set.isComplete == (model.count == pieceCount))
    }

    @Test("run lengths alternate, begin with absent pieces, and add up", arguments: sizes)
    func runs(pieceCount: Int) {
        var random = SplitMix64(seed: UInt64(pieceCount) + 1)
        for _ in 0..<50 {
            var set = PieceSet(pieceCount: pieceCount)
            for piece in 0..<pieceCount where Int.random(in: 0..<3, using: &random) > 0 { set.insert(piece) }
            var (pieces, isPresent) = ([Bool](), false)
            for length in set.runLengths {
                pieces += Array(repeating: isPresent, count: length)
                isPresent.toggle()
            }
            #expect(pieces == (0..<pieceCount).map(set.contains))
            #expect(set.runLengths.dropFirst().allSatisfy { $0 > 0 })
        }
    }

    @Test("a bitfield has its first piece in the highest bit, and what is behind the last piece does not count")
    func bitfield() {
        let set = PieceSet(pieceCount: 12, bitfield: [0b1010_0000, 0b0001_1111, 0xFF])
        #expect((0..<12).filter(set.contains) == [0, 2, 11])
        #expect(set.count == 3)
        #expect(PieceSet(pieceCount: 100, bitfield: [0x01]).runLengths == [7, 1, 92])
        #expect(PieceSet(pieceCount: 64, bitfield: Array(repeating: 0xFF, count: 8)).isComplete)
        #expect(PieceSet(pieceCount: -1, bitfield: [0xFF]).count == 0)
    }

    @Test(
        "bytes and pieces lead to each other",
        arguments: [(16, 1), (16, 16), (16, 17), (16, 160), (7, 100), (100, 7)]
    )
    func layout(pieceLength: Int64, totalLength: Int64) throws {
        let layout = try #require(PieceLayout(pieceLength: pieceLength, totalLength: totalLength))
        var end: Int64 = 0
        for piece in 0..<layout.pieceCount {
            let bytes = layout.bytes(of: piece)
            #expect(bytes.lowerBound == end && !bytes.isEmpty && bytes.count <= pieceLength)
            #expect(layout.pieces(of: bytes) == piece..<piece + 1)
            end = bytes.upperBound
        }
        #expect(end == totalLength)
        #expect(layout.pieces(of: 0..<Int64.max) == 0..<layout.pieceCount)
        #expect(layout.pieces(of: totalLength..<Int64.max).isEmpty)
        #expect(layout.bytes(of: layout.pieceCount).isEmpty)
        #expect(layout.bytes(of: -1).isEmpty)
    }

    @Test(
        "a layout that no torrent has is refused",
        arguments: [(0, 1), (1, 0), (-1, 5), (5, -1), (.max, 5), (5, .max), (1, 1 << 40)] as [(Int64, Int64)]
    )
    func impossible(pieceLength: Int64, totalLength: Int64) {
        #expect(PieceLayout(pieceLength: pieceLength, totalLength: totalLength) == nil)
    }
}
