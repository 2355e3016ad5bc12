import SourceContract
import SourcePlugins
import Testing

private let mib: Int64 = 1 << 20

@Suite("ReadingPlan: what is told, and when")
struct ReadingPlanCommandTests {
    @Test("a seek takes the old deadlines and priorities back before it sets new ones, and cancels requests")
    func seek() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 0)
        test.update()
        test.move(1, to: 500 * mib)
        let priorities = [(0, 0), (1, 0), (2, 0), (3, 0), (502, 4)].map {
            PieceCommand.Priority(piece: $0, priority: UInt8($1))
        }
        let deadlines = [anchor(503), .init(piece: 500, milliseconds: 0), .init(piece: 501, milliseconds: 250)]
        let last = PieceCommand.priorities([.init(piece: 503, priority: 4)])
        #expect(test.update() == [.clearAll, .priorities(priorities), .deadlines(deadlines), last])
        #expect(test.library.cancellations == 2)
        #expect(test.library.demands == test.plan.wanted().demands)
    }

    @Test("a seek of one reader leaves the deadlines of another one, and cancels nothing")
    func seekBesideAnother() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 0)
        test.open(2, from: 300 * mib)
        test.update()
        test.move(1, to: 500 * mib)
        #expect(test.update().first == .reset([0, 1]))
        #expect(test.library.cancellations == 1)
    }

    @Test(
        "while a reader plays, the list of deadlines is never empty and nothing is cancelled",
        arguments: [64 << 10, mib, 4 * mib] as [Int64]
    )
    func playing(pieceLength: Int64) throws {
        var test = try PlanUnderTest(pieceLength: pieceLength, pieces: 200)
        test.open(1, from: 0)
        test.settle()
        var position: Int64 = 0
        while let piece = test.library.next {
            test.finish(piece)
            if let due = test.plan.nextUpdate, due <= test.now { test.update() }
            test.now += .milliseconds(7)
            position = min(position + pieceLength, test.plan.layout.bytes(of: piece).upperBound)
            test.move(1, to: position)
            if let due = test.plan.nextUpdate, due <= test.now { test.update() }
            #expect(!test.library.deadlines.isEmpty || test.library.have.count >= 200)
        }
        test.settle()
        #expect(test.library.have.count == 200)
        #expect(test.library.cancellations == 1)
        #expect(test.library.priorities.isEmpty)
    }

    @Test("the first demand is told at once, what follows not before the time between two updates has passed")
    func debounce() throws {
        var test = try PlanUnderTest()
        #expect(test.plan.nextUpdate == nil)
        test.open(1, from: 0)
        #expect(test.plan.nextUpdate == test.now)
        test.update()
        #expect(test.plan.nextUpdate == nil)
        let told = test.now
        for position in 1...20 {
            test.now += .milliseconds(1)
            test.move(1, to: Int64(position) * 40 * mib)
            #expect(test.plan.nextUpdate == told + .milliseconds(30))
        }
        test.settle()
        #expect(test.library.deadlines.keys.sorted() == [800, 801])
        test.now += .seconds(1)
        test.move(1, to: 0)
        #expect(test.plan.nextUpdate == test.now)
    }

    @Test("a read that is followed by the next one changes nothing in between")
    func handover() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 0, to: 2 * mib)
        test.settle()
        test.now += .seconds(1)
        test.close(1)
        #expect(test.plan.nextUpdate == test.now + .milliseconds(30))
        test.open(2, from: 0, to: 2 * mib)
        #expect(test.update().isEmpty)
    }

    @Test("a move within a piece is no reason for an update")
    func smallMoves() throws {
        var policy = PlanUnderTest.plainPolicy
        policy.maxWindow = 4 * mib
        var test = try PlanUnderTest(policy: policy)
        test.open(1, from: 1)
        test.settle()
        for position in stride(from: 1, through: mib - 1, by: 1000) {
            test.move(1, to: position)
            #expect(test.plan.nextUpdate == nil)
        }
        test.move(1, to: mib + 1)
        #expect(test.plan.nextUpdate != nil)
    }

    @Test("the next piece has its deadline at once when only one is left")
    func lastDeadline() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 0)
        test.update()
        test.finish(2)
        #expect(test.plan.nextUpdate == nil)
        test.finish(0)
        #expect(test.plan.nextUpdate == test.now)
        // The last one of the window was the anchor.
        let deadlines = [PieceCommand.Deadline(piece: 1, milliseconds: 0), .init(piece: 3, milliseconds: 250)]
        #expect(test.update().last == .deadlines(deadlines))
    }

    @Test("deadlines that are met at the same moment leave the list with the anchor, and cancel nothing")
    func anchoring() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 0)
        test.update()
        #expect(test.library.allDeadlines == [0: 0, 1: 250, 3: PieceDemand.anchored])
        #expect(test.library.demands[3]?.priority == 4)
        for first in stride(from: 0, to: 40, by: 2) {
            test.finish(first, first + 1)
            test.move(1, to: Int64(first + 2) * mib)
            test.now += .milliseconds(30)
            test.update()
            #expect(test.library.deadlines == [first + 2: 0, first + 3: 250])
            // It is hurried no more than what is beside it, and stays the same until it is near.
            let anchors = test.library.allDeadlines.filter { $0.value == PieceDemand.anchored }
            #expect(anchors.count == 1)
            #expect(anchors.keys.allSatisfy { test.library.demands[$0]?.priority == 4 })
        }
        #expect(test.library.cancellations == 1)
        // A seek is to cancel.
        test.move(1, to: 500 * mib)
        test.settle()
        #expect(test.library.cancellations == 2)
        test.close(1)
        test.settle()
        #expect(test.library.allDeadlines.isEmpty)
    }

    @Test("a piece that is lost is wanted again if a reader wants it")
    func lost() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 0)
        test.update()
        test.finish(0, 1, 2, 3)
        test.settle()
        #expect(test.library.priorities.isEmpty)
        for piece in [1, 900] {
            test.finish(piece)
            test.lose(piece)
        }
        test.settle()
        #expect(test.library.demands == [1: PieceDemand(priority: 7, deadline: 0)])
    }

    @Test("another set of pieces, and a library that has forgotten, are told right")
    func resynchronisation() throws {
        var test = try PlanUnderTest()
        test.open(1, from: 0)
        test.update()
        var have = PieceSet(pieceCount: 1000)
        for piece in [0, 2] {
            have.insert(piece)
            test.library.finish(piece)
        }
        test.plan.replaceHave(have, now: test.now)
        test.settle()
        #expect(test.library.deadlines == [1: 0, 3: 250])
        test.library = LibtorrentModel()
        test.plan.forgetTold(now: test.now)
        test.settle()
        #expect(test.library.demands == test.plan.wanted().demands)
        #expect(test.library.deadlines == [1: 0, 3: 250])
    }

    @Test("pieces that the torrent was added with are wanted until the first update")
    func added() throws {
        let layout = try #require(PieceLayout(pieceLength: mib, totalLength: 100 * mib))
        var plan = ReadingPlan(layout: layout, have: PieceSet(pieceCount: 100), priorities: [0: 7, 1: 7, 2: 0])
        let zeros = [PieceCommand.Priority(piece: 0, priority: 0), .init(piece: 1, priority: 0)]
        #expect(plan.update(now: .now) == [.priorities(zeros)])
        #expect(plan.update(now: .now).isEmpty)
    }
}
