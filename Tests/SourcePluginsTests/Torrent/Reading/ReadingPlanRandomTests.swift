import SourceContract
import SourcePlugins
import Testing

private let mib: Int64 = 1 << 20

@Suite("ReadingPlan: any sequence of events")
struct ReadingPlanRandomTests {
    struct Shape: Sendable, CustomTestStringConvertible {
        var pieceLength: Int64
        var totalLength: Int64

        var testDescription: String { "\(totalLength) bytes in pieces of \(pieceLength)" }
    }

    static let shapes = [
        Shape(pieceLength: 16 << 10, totalLength: 65_536 * (16 << 10)),
        Shape(pieceLength: mib, totalLength: 300 * mib + 1),
        Shape(pieceLength: 32 * mib, totalLength: 5 * 32 * mib - 7),
        Shape(pieceLength: 4 * mib, totalLength: 3 * mib),
    ]

    /// A plan with random events, and an account of its own of what readers want.
    private struct Walk {
        let layout: PieceLayout
        let policy: ReadingPolicy
        var test: PlanUnderTest
        var random: SplitMix64
        var readers: [UInt64: (position: Int64, end: Int64, limit: Int64)] = [:]
        var hints: [Range<Int>] = []
        /// Finished in the library, and not yet heard of.
        var alerts: [Int] = []
        var nextReader: UInt64 = 0

        init(_ shape: Shape, seed: UInt64) throws {
            var policy = ReadingPolicy()
            policy.maxTorrentWindow = 64 * mib
            policy.maxDeadlines = 12
            self.policy = policy
            random = SplitMix64(seed: seed)
            layout = try #require(PieceLayout(pieceLength: shape.pieceLength, totalLength: shape.totalLength))
            test = try PlanUnderTest(policy: policy)
            test.plan = ReadingPlan(layout: layout, have: PieceSet(pieceCount: layout.pieceCount), policy: policy)
        }

        mutating func step() {
            test.now += .microseconds(Int.random(in: 0...20_000, using: &random))
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<3: open()
            case 3..<5: close()
            case 5..<10: move()
            case 10..<15: finish()
            case 15: lose()
            case 16: hint()
            case 17: hear()
            default: updateIfDue()
            }
        }

        private mutating func open() {
            guard readers.count < 6 else { return }
            let limit = Int64.random(in: 1...layout.totalLength, using: &random)
            let start = Int64.random(in: 0..<limit, using: &random)
            let end = Bool.random(using: &random) ? limit : Int64.random(in: start...limit, using: &random)
            nextReader += 1
            readers[nextReader] = (start, end, limit)
            test.open(nextReader, from: start, to: end, limit: limit)
        }

        private mutating func close() {
            guard let id = readers.keys.sorted().randomElement(using: &random) else { return }
            readers[id] = nil
            if readers.isEmpty { hints = [] }
            test.close(id)
        }

        private mutating func move() {
            guard let id = readers.keys.sorted().randomElement(using: &random), var reader = readers[id] else { return }
            let jump = Int64.random(in: -2 * mib...4 * mib, using: &random)
            reader.position = min(max(reader.position + jump, 0), reader.end)
            readers[id] = reader
            test.move(id, to: reader.position)
        }

        private mutating func finish() {
            guard let piece = test.library.next else { return }
            test.library.finish(piece)
            alerts.append(piece)
            if Bool.random(using: &random) { hear() }
        }

        private mutating func hear() {
            for piece in alerts { test.plan.pieceFinished(piece, now: test.now) }
            alerts = []
        }

        private mutating func lose() {
            guard alerts.isEmpty, let piece = test.library.have.sorted().randomElement(using: &random) else { return }
            test.lose(piece)
        }

        private mutating func hint() {
            guard !readers.isEmpty else { return }
            let start = Int64.random(in: 0..<layout.totalLength, using: &random)
            let range = start..<start + Int64.random(in: 0...20 * mib, using: &random)
            hints.append(layout.pieces(of: range))
            test.plan.hint([range], now: test.now)
        }

        private mutating func updateIfDue() {
            guard let due = test.plan.nextUpdate, due <= test.now else { return }
            update()
        }

        private mutating func update() {
            for case .deadlines(let deadlines) in test.update() {
                #expect(!deadlines.contains { test.plan.have.contains($0.piece) })
            }
        }

        mutating func check() {
            hear()
            update()
            let wanted = test.plan.wanted()
            #expect(test.library.demands == wanted.demands)
            #expect(wanted.deadlines.count <= policy.maxDeadlines)
            let windows = readers.values.map { reader in
                let least = reader.position / layout.pieceLength * layout.pieceLength + 2 * layout.pieceLength
                let end = max(reader.position + policy.maxWindow, least)
                return layout.pieces(of: reader.position..<max(min(end, reader.limit), reader.position))
            }
            for piece in wanted.demands.keys {
                #expect((windows + hints).contains { $0.contains(piece) })
                #expect(!test.plan.have.contains(piece))
            }
            for (window, reader) in zip(windows, readers.values) where reader.position < reader.end {
                guard let first = test.plan.have.firstMissing(in: window.prefix(1)) else { continue }
                #expect(wanted.demands[first]?.priority == 7)
            }
            let bytes = Int64(wanted.demands.count) * layout.pieceLength
            let perReader = Int64(readers.count) * 3 * layout.pieceLength
            #expect(bytes <= policy.maxTorrentWindow + perReader + policy.hintWindow + layout.pieceLength)
        }

        mutating func closeAll() {
            for id in readers.keys { test.close(id) }
            readers = [:]
            hear()
            test.settle()
            #expect(test.library.priorities.isEmpty)
            #expect(test.library.deadlines.isEmpty)
        }
    }

    @Test(
        "leaves the library wanting just what readers want, within bounds",
        arguments: shapes,
        1...10 as ClosedRange<UInt64>
    )
    func walk(shape: Shape, seed: UInt64) throws {
        var walk = try Walk(shape, seed: seed)
        for _ in 0..<20 {
            for _ in 0..<20 { walk.step() }
            walk.check()
        }
        walk.closeAll()
    }
}
