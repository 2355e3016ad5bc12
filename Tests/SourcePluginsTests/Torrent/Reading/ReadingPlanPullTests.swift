import SourceContract
import SourcePlugins
import Testing

private let mib: Int64 = 1 << 20
private let client = ReadClient([192, 0, 2, 1])
private let other = ReadClient([192, 0, 2, 2])

@Suite("ReadingPlan: readers that are not pulled")
struct ReadingPlanPullTests {
    /// A client read from the start of a file, has just left that without closing it, and now waits in the middle.
    private func sought(
        from old: ReadClient? = client,
        to new: ReadClient? = client,
        oldLimit: Int64? = nil,
        policy: ReadingPolicy = PlanUnderTest.plainPolicy
    ) throws -> PlanUnderTest {
        var test = try PlanUnderTest(policy: policy)
        test.open(1, from: 0, limit: oldLimit, client: old)
        test.pull(1)
        test.update()
        test.finish(0)
        test.deliver(1, upTo: mib)
        test.open(2, from: 500 * mib, client: new)
        test.pull(2)
        test.update()
        return test
    }

    private static let both = [1: 0, 2: 250, 500: 0, 501: 250]
    private static let newer = [500: 0, 501: 250]

    @Test("one that was not pulled for five seconds gives way to a newer one of its client that waits")
    func superseded() throws {
        var test = try sought()
        #expect(test.plan.nextUpdate == test.now + .seconds(5))
        test.now += .milliseconds(4999)
        test.update()
        #expect(test.library.deadlines == Self.both)
        #expect(test.plan.nextUpdate == test.now + .milliseconds(1))
        test.now += .milliseconds(1)
        test.update()
        #expect(test.library.deadlines == Self.newer)
        #expect(test.window == 500..<504)
        #expect(test.library.demands == test.plan.wanted().demands)
        #expect(test.plan.nextUpdate == nil)
        // What was requested for the newer one goes on.
        #expect(test.library.cancellations == 1)
    }

    @Test("one that gave way is back with its window as soon as it is pulled")
    func pulledAgain() throws {
        var test = try sought()
        test.settle()
        #expect(test.library.deadlines == Self.newer)
        test.now += .seconds(60)
        test.pull(1)
        #expect(test.plan.nextUpdate == test.now)
        test.settle()
        #expect(test.library.deadlines == Self.both)
        #expect((1..<6).allSatisfy { test.library.priorities[$0] != nil })
        // Its five seconds begin anew.
        test.finish(1)
        test.deliver(1, upTo: 2 * mib)
        test.update()
        #expect(test.plan.nextUpdate == test.now + .seconds(5))
        #expect(test.library.deadlines[2] == 0)
    }

    @Test("two of one client that both wait keep their windows, however long")
    func bothWait() throws {
        var test = try sought()
        test.pull(1)
        test.settle()
        for _ in 0..<10 {
            test.now += .seconds(60)
            test.update()
            #expect(test.library.deadlines == Self.both)
        }
        #expect(test.plan.nextUpdate == nil)
    }

    @Test("one that is pulled now and then keeps its window beside one that waits all the time")
    func pulledInTurn() throws {
        var test = try sought()
        for piece in 1...10 {
            test.now += .seconds(4)
            test.update()
            #expect(test.library.deadlines == [piece: 0, piece + 1: 250, 500: 0, 501: 250])
            test.pull(1)
            test.finish(piece)
            test.deliver(1, upTo: Int64(piece + 1) * mib)
        }
    }

    @Test(
        "another client's is left alone, and so is one whose client is not known",
        arguments: [(client, other), (nil, client), (client, nil), (nil, nil)] as [(ReadClient?, ReadClient?)]
    )
    func otherClient(old: ReadClient?, new: ReadClient?) throws {
        var test = try sought(from: old, to: new)
        #expect(test.plan.nextUpdate == nil)
        test.now += .seconds(60)
        test.update()
        #expect(test.library.deadlines == Self.both)
    }

    @Test("one in another file is left alone")
    func otherFile() throws {
        var test = try sought(oldLimit: 100 * mib)
        #expect(test.plan.nextUpdate == nil)
        test.now += .seconds(60)
        test.update()
        #expect(test.library.deadlines == Self.both)
    }

    @Test("the newer one is left alone when it is the one that is not pulled")
    func newerIsIdle() throws {
        var test = try PlanUnderTest()
        test.open(1, from: mib, client: client)
        test.open(2, from: 500 * mib, client: client)
        test.pull(1)
        test.update()
        #expect(test.plan.nextUpdate == nil)
        test.now += .seconds(60)
        test.update()
        #expect(test.library.deadlines == Self.both)
    }

    @Test("nothing gives way to one that does not wait for a piece; when it comes to wait, what is late goes at once")
    func newerHasPieces() throws {
        var test = try PlanUnderTest()
        test.open(1, from: mib, client: client)
        test.open(2, from: 499 * mib, client: client)
        test.finish(499)
        test.pull(2)
        test.update()
        #expect(test.plan.nextUpdate == nil)
        test.now += .seconds(60)
        test.update()
        #expect(test.library.deadlines == Self.both)
        test.deliver(2, upTo: 500 * mib)
        test.settle()
        #expect(test.library.deadlines == Self.both)
        test.pull(2)
        let due = try #require(test.plan.nextUpdate)
        #expect(due <= test.now)
        test.settle()
        #expect(test.library.deadlines == Self.newer)
    }

    @Test("one that gave way does not come back when the newer one has its bytes, or ends")
    func staysSuperseded() throws {
        var test = try sought()
        test.settle()
        test.finish(500)
        test.deliver(2, upTo: 501 * mib)
        test.settle()
        #expect(test.library.deadlines == [501: 0, 502: 250])
        test.close(2)
        test.settle()
        #expect(test.library.priorities.isEmpty)
        #expect(test.plan.hasReaders)
        test.pull(1)
        test.settle()
        #expect(test.library.deadlines == [1: 0, 2: 250])
    }

    @Test("one that gave way takes no share of what the torrent may want")
    func sharing() throws {
        var policy = PlanUnderTest.plainPolicy
        policy.maxTorrentWindow = 4 * mib
        var test = try sought(policy: policy)
        #expect((500..<504).filter { test.library.priorities[$0] != nil } == [500, 501])
        test.settle()
        #expect(test.window == 500..<504)
        test.close(1)
        test.settle()
        #expect(test.window == 500..<504)
    }

    /// A reader as the test knows it.
    private struct Account {
        var position: Int64
        let client: ReadClient?
        let limit: Int64
        var isPulled = false
        /// When it was last pulled, or came.
        var lastPull: ContinuousClock.Instant
        /// Whether there was a newer one of its client in its file since it was last pulled.
        var hadNewer = false
    }

    @Test(
        "whatever happens, what is waited for is urgent, and only a reader that is late and not the newest gives way",
        arguments: 1...30 as ClosedRange<UInt64>
    )
    func anyEvents(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var test = try PlanUnderTest()
        var readers: [UInt64: Account] = [:]
        for number in 0..<600 as Range<UInt64> {
            test.now += .milliseconds(Int.random(in: 0...400, using: &random))
            let id = readers.keys.sorted().randomElement(using: &random) ?? number
            let kind = Int.random(in: 0..<10, using: &random)
            if readers.isEmpty || kind == 0, readers.count < 6 {
                let limit = Bool.random(using: &random) ? 500 * mib : 1000 * mib
                let start = Int64.random(in: 0..<400, using: &random) * mib
                let reader = Account(
                    position: start,
                    client: [client, other, nil].randomElement(using: &random) ?? nil,
                    limit: limit,
                    lastPull: test.now
                )
                test.open(number, from: start, limit: limit, client: reader.client)
                readers[number] = reader
            } else if kind == 1 {
                test.close(id)
                readers[id] = nil
            } else if var reader = readers[id], !reader.isPulled {
                test.pull(id)
                (reader.isPulled, reader.hadNewer) = (true, false)
                readers[id] = reader
            } else if var reader = readers[id] {
                test.finish(Int(reader.position / mib))
                reader.position = min(reader.position + mib, reader.limit - mib)
                test.deliver(id, upTo: reader.position)
                (reader.isPulled, reader.lastPull) = (false, test.now)
                readers[id] = reader
            }
            test.update()
            #expect(test.library.demands == test.plan.wanted().demands)
            for (id, reader) in readers {
                let hasNewer = readers.contains {
                    $0.key > id && $0.value.client == reader.client && $0.value.limit == reader.limit
                }
                if hasNewer { readers[id]?.hadNewer = true }
                let mayGiveWay = (hasNewer || reader.hadNewer) && reader.client != nil && !reader.isPulled
                let piece = Int(reader.position / mib)
                guard !mayGiveWay || test.now - reader.lastPull < .seconds(5), !test.plan.have.contains(piece) else {
                    continue
                }
                #expect(test.library.priorities[piece] == 7)
            }
        }
    }
}
