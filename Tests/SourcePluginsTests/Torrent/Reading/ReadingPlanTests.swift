import SourceContract
import SourcePlugins
import Testing

private let mib: Int64 = 1 << 20

/// A plan and the library that it tells, with a clock of their own.
struct PlanUnderTest {
    var plan: ReadingPlan
    var library = LibtorrentModel()
    var now = ContinuousClock.Instant.now

    /// Without what only a read's first piece and a swift swarm change, which have tests of their own, and with windows that
    /// grow by what is read.
    static let plainPolicy = {
        var policy = ReadingPolicy()
        (policy.firstWindow, policy.swiftRate, policy.windowGrowth) = (.max, .max, 1)
        return policy
    }()

    init(pieceLength: Int64 = mib, pieces: Int64 = 1000, policy: ReadingPolicy = plainPolicy) throws {
        let layout = try #require(PieceLayout(pieceLength: pieceLength, totalLength: pieceLength * pieces))
        plan = ReadingPlan(layout: layout, have: PieceSet(pieceCount: layout.pieceCount), policy: policy)
    }

    mutating func open(
        _ id: UInt64,
        from start: Int64,
        to end: Int64? = nil,
        limit: Int64? = nil,
        client: ReadClient? = nil
    ) {
        let limit = limit ?? plan.layout.totalLength
        plan.open(ReaderID(id), start..<(end ?? limit), limit: limit, client: client, now: now)
    }

    /// The files were looked at again, and the piece was not there.
    mutating func lose(_ piece: Int) {
        library.lose(piece)
        var have = PieceSet(pieceCount: plan.layout.pieceCount)
        for piece in library.have { have.insert(piece) }
        plan.replaceHave(have, now: now)
    }

    mutating func close(_ id: UInt64) { plan.close(ReaderID(id), now: now) }

    mutating func move(_ id: UInt64, to position: Int64) { plan.move(ReaderID(id), to: position, now: now) }

    /// Somebody waits for the reader's next bytes, until ``deliver(_:upTo:)``.
    mutating func pull(_ id: UInt64) { plan.beginPull(ReaderID(id), now: now) }

    mutating func deliver(_ id: UInt64, upTo position: Int64) {
        move(id, to: position)
        plan.endPull(ReaderID(id), now: now)
    }

    /// Reads up to `end` in one go.
    mutating func read(_ id: UInt64, from start: Int64, to end: Int64) {
        for position in stride(from: start, to: end, by: 65_536) { move(id, to: position) }
        move(id, to: end)
    }

    mutating func finish(_ pieces: Int...) {
        for piece in pieces {
            library.finish(piece)
            plan.pieceFinished(piece, now: now)
        }
    }

    @discardableResult
    mutating func update() -> [PieceCommand] {
        let commands = plan.update(now: now)
        library.apply(commands)
        return commands
    }

    /// Lets time go on to where the plan wants an update, as often as it wants one.
    mutating func settle() {
        while let due = plan.nextUpdate {
            now = max(now, due)
            update()
        }
    }

    /// The pieces that the library fetches, and what is behind the last of them.
    var window: Range<Int> {
        let pieces = library.priorities.keys.filter { !library.have.contains($0) }
        return (pieces.min() ?? 0)..<(pieces.max().map { $0 + 1 } ?? 0)
    }
}

/// What keeps the list of deadlines from becoming empty.
func anchor(_ piece: Int) -> PieceCommand.Deadline {
    PieceCommand.Deadline(piece: piece, milliseconds: PieceDemand.anchored)
}

@Suite("ReadingPlan: what is wanted")
struct ReadingPlanWindowTests {
    @Test(
        "the first pieces of a window have deadlines, the others a priority",
        arguments: [
            (16 << 10, 8, 256), (256 << 10, 8, 16), (mib, 2, 4), (4 * mib, 2, 2), (32 * mib, 2, 2),
        ] as [(Int64, Int, Int)]
    )
    func start(pieceLength: Int64, deadlines: Int, window: Int) throws {
        var test = try PlanUnderTest(pieceLength: pieceLength)
        test.open(1, from: pieceLength * 10)
        test.update()
        #expect(test.library.deadlines.count == deadlines)
        #expect(test.library.deadlines == Dictionary(uniqueKeysWithValues: (0..<deadlines).map { (10 + $0, $0 * 250) }))
        #expect(test.window == 10..<10 + window)
        #expect(test.library.priorities.values.filter { $0 == 4 }.count == window - deadlines)
    }

    @Test(
        "nothing but the first piece of a read is wanted until it has come",
        arguments: [
            (16 << 10, 0, 16), (64 << 10, 40_000, 5), (mib, 0, 1), (mib, mib - (200 << 10), 2), (32 * mib, 7, 1),
        ] as [(Int64, Int64, Int)]
    )
    func first(pieceLength: Int64, offset: Int64, window: Int) throws {
        var test = try PlanUnderTest(pieceLength: pieceLength, policy: ReadingPolicy())
        test.open(1, from: pieceLength * 10 + offset)
        test.settle()
        #expect(test.window == 10..<10 + window)
        #expect(test.library.deadlines[10] == 0)
        test.finish(10)
        test.settle()
        #expect(test.window.lowerBound == 11)
        #expect(Int64(test.window.upperBound) * pieceLength >= pieceLength * 10 + offset + 4 * mib)
        test.close(1)
        // A read that goes on with it wants all of the window, whatever is missing.
        test.open(2, from: pieceLength * 10 + offset)
        test.read(2, from: pieceLength * 10 + offset, to: pieceLength * 11)
        test.settle()
        #expect(test.window.count > window)
    }

    @Test("what is missing far ahead has no deadline until its reader comes near")
    func reach() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 0)
        test.settle()
        for piece in 0..<20 { test.finish(piece) }
        test.read(1, from: 0, to: 9 * mib)
        test.settle()
        #expect(test.window == 20..<22)
        #expect(test.library.deadlines.isEmpty)
        #expect(test.library.demands[20] == PieceDemand(priority: 4))
        test.read(1, from: 9 * mib, to: 12 * mib + 1)
        test.settle()
        #expect(test.library.deadlines == [20: 0])
        test.read(1, from: 12 * mib + 1, to: 13 * mib + 1)
        test.settle()
        #expect(test.library.deadlines == [20: 0, 21: 250])
    }

    @Test("a swift swarm is not hurried but at a read's first piece, and has the whole window to fetch")
    func swift() throws {
        var policy = ReadingPolicy()
        policy.swiftRate = 100 * mib
        var test = try PlanUnderTest(policy: policy)
        test.open(1, from: 0)
        test.settle()
        for piece in 0..<20 {
            test.finish(piece)
            test.now += .milliseconds(8)
        }
        test.read(1, from: 0, to: 13 * mib)
        test.update()
        #expect(test.library.deadlines.isEmpty)
        #expect(test.window == 20..<45)
        #expect(test.library.demands[20] == PieceDemand(priority: 7))
        #expect(test.library.demands[22] == PieceDemand(priority: 4))
        // A seek overtakes what was asked for.
        test.move(1, to: 500 * mib)
        test.update()
        #expect(test.library.demands == [500: PieceDemand(priority: 7, deadline: 0)])
        test.finish(500)
        test.update()
        #expect(test.library.deadlines.isEmpty)
        #expect(test.window == 501..<532)
        // When nothing comes any more, the next pieces are urgent again.
        let due = try #require(test.plan.nextUpdate)
        #expect(due <= test.now + .milliseconds(200))
        test.settle()
        #expect(test.library.deadlines == [501: 0, 502: 250])
        #expect(test.plan.nextUpdate == nil)
    }

    @Test("a window grows with what is read in one go, up to its limit, and begins anew at a seek")
    func growth() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 0)
        test.settle()
        #expect(test.window == 0..<4)
        var start: Int64 = 0
        for (end, window) in [(1, 1..<6), (8, 8..<20), (27, 27..<58), (28, 28..<60), (60, 60..<92)] {
            test.read(1, from: start, to: Int64(end) * mib)
            test.settle()
            start = Int64(end) * mib
            #expect(test.window == window)
        }
        test.move(1, to: 500 * mib)
        test.settle()
        #expect(test.window == 500..<504)
        test.move(1, to: 100 * mib)
        test.settle()
        #expect(test.window == 100..<104)
    }

    @Test("by default a window grows by half of what is read in one go")
    func slowGrowth() throws {
        var test = try PlanUnderTest(policy: ReadingPolicy())
        test.open(1, from: 0)
        var start: Int64 = 0
        for (end, window) in [(8, 8..<16), (56, 56..<88), (80, 80..<112)] {
            test.read(1, from: start, to: Int64(end) * mib)
            test.settle()
            start = Int64(end) * mib
            #expect(test.window == window)
        }
    }

    @Test(
        "a bounded read wants its own bytes and little more, and nothing behind its file",
        arguments: [
            (50 * mib, 50 * mib + 1, 1000 * mib, 50..<52), (50 * mib, 52 * mib, 1000 * mib, 50..<53),
            (50 * mib, 52 * mib, 52 * mib, 50..<52), (50 * mib, 51 * mib, 50 * mib + 1, 50..<51),
            (50 * mib, 90 * mib, 1000 * mib, 50..<54), (999 * mib, 1000 * mib, .max, 999..<1000),
        ] as [(Int64, Int64, Int64, Range<Int>)]
    )
    func bounded(start: Int64, end: Int64, limit: Int64, window: Range<Int>) throws {
        var test = try PlanUnderTest()
        test.open(1, from: start, to: end, limit: limit)
        test.settle()
        #expect(test.window == window)
    }

    @Test(
        "a read that begins where another one ended goes on with its window",
        arguments: [(0, 0, true), (4, 0, true), (6, 0, false), (0, mib, true), (0, -mib, true), (0, 2 * mib, false)]
            as [(Int64, Int64, Bool)]
    )
    func continuation(seconds: Int64, distance: Int64, continues: Bool) throws {
        var test = try PlanUnderTest()
        test.open(1, from: 0, to: 8 * mib)
        test.read(1, from: 0, to: 8 * mib)
        test.close(1)
        test.now += .seconds(seconds)
        let start = 8 * mib + distance
        test.open(2, from: start, to: start + mib)
        test.settle()
        // Behind its own byte: what was read in one go before, or next to nothing.
        #expect(test.window.count == (continues ? 9 : 2))
    }

    @Test("a read that begins at the end of one that still runs goes on with its window")
    func overlappingRuns() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 0, to: 8 * mib)
        test.read(1, from: 0, to: 7 * mib)
        test.open(2, from: 8 * mib, to: 16 * mib)
        test.close(1)
        test.settle()
        #expect(test.window == 8..<20)
    }

    @Test("readers share what a torrent may want", arguments: [1, 2, 4, 8, 100])
    func sharing(readers: UInt64) throws {
        var policy = PlanUnderTest.plainPolicy
        policy.maxTorrentWindow = 64 * mib
        var test = try PlanUnderTest(pieces: 10_000, policy: policy)
        for reader in 0..<readers {
            test.open(reader, from: Int64(reader) * 100 * mib)
            test.read(reader, from: Int64(reader) * 100 * mib, to: Int64(reader) * 100 * mib + 32 * mib + 1)
        }
        test.settle()
        let each = max(min(32, 64 / Int(readers)), 2)
        // A window that begins within a piece ends within one.
        #expect((Int(readers) * each...Int(readers) * (each + 1)).contains(test.library.priorities.count))
    }

    @Test("readers take turns: the first piece of each, then the second of each, the newest first")
    func interleaving() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 100 * mib)
        test.open(2, from: 200 * mib)
        let deadlines = [(200, 0), (100, 0), (201, 250), (101, 250)].map {
            PieceCommand.Deadline(piece: $0, milliseconds: $1)
        }
        #expect(test.update().dropLast().last == .deadlines([anchor(203)] + deadlines))
    }

    @Test("there are not more deadlines than allowed; the others are as urgent without")
    func manyReaders() throws {
        var test = try PlanUnderTest(pieces: 10_000)
        for reader in 0..<100 { test.open(UInt64(reader), from: Int64(reader) * 100 * mib) }
        test.update()
        #expect(test.library.deadlines.count == 32)
        #expect(test.library.deadlines.values.allSatisfy { $0 == 0 })
        #expect(test.library.priorities.values.filter { $0 == 7 }.count == 200)
    }

    @Test("a piece that two readers want has the earlier deadline")
    func sharedPiece() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 100 * mib)
        test.open(2, from: 101 * mib)
        test.update()
        #expect(test.library.deadlines == [100: 0, 101: 0, 102: 250])
    }

    @Test("a hinted index has its deadline behind the piece at the cursor, and ends with the last reader")
    func hints() throws {
        var test = try PlanUnderTest()
        let index = 990 * mib..<1000 * mib
        test.plan.hint([index], now: test.now)
        #expect(test.plan.nextUpdate == nil)
        test.open(1, from: 0)
        test.plan.hint([index, index, -5..<(-2), 0..<Int64.max], now: test.now)
        test.update()
        #expect(test.library.deadlines == [0: 0, 990: 125, 1: 250, 991: 375])
        // Eight mebibytes of it at a time.
        #expect(test.library.demands[992] == PieceDemand(priority: 5))
        #expect((990..<1000).filter { test.library.priorities[$0] != nil } == Array(990..<998))
        for piece in 990..<1000 { test.finish(piece) }
        test.settle()
        #expect(test.library.priorities.keys.allSatisfy { $0 < 990 })
        test.close(1)
        test.settle()
        #expect(test.library.priorities.isEmpty)
        test.open(2, from: 0)
        test.settle()
        #expect(test.library.priorities.keys.allSatisfy { $0 < 990 })
    }

    @Test("events about what is not there do nothing")
    func strangers() throws {
        var test = try PlanUnderTest()
        test.move(9, to: 5)
        test.close(9)
        test.plan.pieceFinished(-1, now: test.now)
        test.plan.pieceFinished(1000, now: test.now)
        test.plan.replaceHave(PieceSet(pieceCount: 5), now: test.now)
        #expect(test.plan.nextUpdate == nil)
        #expect(test.update().isEmpty)
        test.plan.open(ReaderID(1), Int64.max - 1..<Int64.max, limit: .max, now: test.now)
        test.plan.open(ReaderID(2), Int64.min..<0, limit: .min, now: test.now)
        test.plan.move(ReaderID(1), to: .min, now: test.now)
        test.plan.move(ReaderID(1), to: .max, now: test.now)
        test.settle()
        #expect(test.library.priorities.isEmpty)
    }
}
