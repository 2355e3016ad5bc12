import SourcePlugins
import Testing

private let mib: Int64 = 1 << 20

@Suite("ReadingPlan: the opening of a torrent")
struct ReadingPlanOpeningTests {
    /// A plan whose torrent was loaded just now, with so many pieces wanted from the beginning.
    private static func opened(head: Int, pieceLength: Int64 = mib, pieces: Int64 = 1000) throws -> PlanUnderTest {
        var test = try PlanUnderTest(pieceLength: pieceLength, pieces: pieces, policy: ReadingPolicy())
        test.plan.open(head: head, now: test.now)
        return test
    }

    @Test(
        "of a new torrent eight mebibytes are wanted for a second, and its head first and for longer",
        arguments: [(mib, 8), (3 * mib, 3), (16 * mib, 2)] as [(Int64, Int)]
    )
    func beforeReaders(pieceLength: Int64, count: Int) throws {
        var test = try Self.opened(head: 2, pieceLength: pieceLength)
        let start = test.now
        test.update()
        #expect(test.library.priorities.filter { $0.value > 0 }.count == count)
        for piece in 0..<count { #expect(test.library.priorities[piece] == (piece < 2 ? 7 : 1)) }
        #expect(test.library.deadlines.isEmpty)
        test.settle()
        #expect(test.now == start + .seconds(1))
        // A swarm may be slow to begin, and somebody to read.
        #expect(test.library.priorities.filter { $0.value > 0 } == [0: 7, 1: 7])
    }

    @Test("once somebody has read it, nothing of its head is wanted without a reader")
    func afterReader() throws {
        var test = try Self.opened(head: 2)
        test.open(1, from: 100 * mib)
        test.update()
        #expect(test.library.priorities[0, default: 0] == 0)
        test.close(1)
        test.settle()
        #expect(test.library.priorities.allSatisfy { $0.value == 0 })
    }

    @Test("what has come meanwhile takes nothing back of what has not")
    func headComes() throws {
        var test = try Self.opened(head: 2)
        test.update()
        test.finish(0, 1)
        test.update()
        #expect(test.window == 2..<8)
    }

    @Test("of a torrent that is loaded to be read nothing is wanted until it is")
    func withoutHead() throws {
        var test = try Self.opened(head: 0)
        test.update()
        #expect(test.library.priorities.isEmpty)
    }

    @Test("a reader's first piece alone has a deadline, and with it something is always wanted")
    func firstPiece() throws {
        var test = try Self.opened(head: 0)
        test.open(1, from: 100 * mib)
        test.update()
        #expect(test.library.deadlines == [100: 0])
        #expect(test.window == 100..<108)
        #expect(test.library.priorities.filter { $0.value == 1 }.count == 7)
        test.finish(100)
        #expect(test.window == 101..<108)
        test.update()
        #expect(test.library.deadlines == [101: 0, 102: 250])
        #expect(test.library.priorities[103] == 4)
    }

    @Test("once it is over a reader's first piece is all that is wanted, for every peer is free for it then")
    func afterwards() throws {
        var test = try Self.opened(head: 0)
        test.settle()
        test.open(1, from: 100 * mib)
        test.update()
        #expect(test.window == 100..<101)
    }

    @Test("a torrent that is shorter than its opening is wanted to its end", arguments: [0, 1, 2])
    func short(head: Int) throws {
        var test = try Self.opened(head: head, pieces: 1)
        test.update()
        #expect(test.library.priorities == (head > 0 ? [0: 7] : [:]))
        test.open(1, from: 0)
        test.update()
        #expect(test.window == 0..<1)
        test.settle()
        test.close(1)
        test.settle()
        #expect(test.library.priorities.allSatisfy { $0.value == 0 })
    }
}
