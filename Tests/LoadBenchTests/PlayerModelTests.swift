import LoadBench
import Testing

/// Films of 1000 bytes a second.
@Suite struct PlayerModelTests {
    private static let size: Int64 = 100_000

    /// Nobody jumps, pauses or leaves.
    private static var quiet: PlayerHabits {
        get throws {
            var habits = PlayerHabits()
            habits.rate = try #require(BitRate("8kbit/s"))
            habits.headLength = 256
            habits.indexLength = 64
            habits.seekEvery = .zero
            habits.pauseEvery = .zero
            habits.leaveEvery = .zero
            return habits
        }
    }

    /// A player that has just asked for its film, at time zero.
    private static func opened(_ habits: PlayerHabits, seed: UInt64 = 1) -> PlayerModel {
        var model = PlayerModel(habits, random: SeededRandom(seed: seed), at: .zero)
        model.opened(size: size)
        _ = model.receive(habits.headLength, at: .zero)
        _ = model.receive(habits.indexLength, at: .zero)
        return model
    }

    // MARK: - Asking

    @Test("it reads the head, then the index near the end, then the film")
    func opening() throws {
        var model = PlayerModel(try Self.quiet, random: SeededRandom(seed: 1), at: .zero)
        #expect(model.expectsBytes)
        model.opened(size: Self.size)
        #expect(model.receive(100, at: .zero) == [])
        #expect(model.receive(156, at: .zero) == [.ask(from: 99_936)])
        #expect(model.receive(63, at: .zero) == [])
        #expect(model.receive(1, at: .zero) == [.ask(from: PlayerModel.filmOffset)])
    }

    @Test("a film without an index goes on with what the first request brings")
    func noIndex() throws {
        var habits = try Self.quiet
        habits.indexLength = 0
        var model = PlayerModel(habits, random: SeededRandom(seed: 1), at: .zero)
        model.opened(size: Self.size)
        #expect(model.receive(999, at: .seconds(1)) == [])
        #expect(model.takeNotes() == [])
        #expect(model.receive(1, at: .seconds(2)) == [])
        #expect(model.takeNotes() == [.started(after: .seconds(2))])
    }

    @Test("a film that is shorter than a head is played whole, and is over at its end")
    func shortFilm() throws {
        var model = PlayerModel(try Self.quiet, random: SeededRandom(seed: 1), at: .zero)
        model.opened(size: 200)
        #expect(model.receive(200, at: .seconds(1)) == [])
        #expect(!model.expectsBytes)
        #expect(model.tick(at: .milliseconds(1199)) == [])
        #expect(model.tick(at: .milliseconds(1201)) == [.hangUp, .leave])
        #expect(model.takeNotes() == [.started(after: .seconds(1)), .watched(.milliseconds(200))])
        #expect(model.tick(at: .seconds(9)) == [])
        #expect(model.receive(1, at: .seconds(9)) == [])
        #expect(model.fail(at: .seconds(9)) == [])
    }

    @Test("a full buffer takes no more, until a quarter of it is played")
    func backPressure() throws {
        var model = Self.opened(try Self.quiet)
        #expect(model.receive(19_999, at: .zero) == [])
        #expect(model.receive(1, at: .zero) == [.rest])
        #expect(!model.expectsBytes)
        #expect(model.buffered == 20)
        #expect(model.tick(at: .milliseconds(4999)) == [])
        #expect(model.tick(at: .seconds(5)) == [.read])
        #expect(model.expectsBytes)
        #expect(model.takeNotes() == [.started(after: .zero)])
    }

    // MARK: - Stalls

    @Test("an empty buffer is a stall, timed from the moment it was empty")
    func stall() throws {
        var model = Self.opened(try Self.quiet)
        #expect(model.receive(1000, at: .seconds(3)) == [])
        #expect(model.takeNotes() == [.started(after: .seconds(3))])
        #expect(model.tick(at: .milliseconds(3900)) == [])
        #expect(model.tick(at: .seconds(10)) == [])
        #expect(model.receive(999, at: .seconds(11)) == [])
        #expect(model.takeNotes() == [])
        #expect(model.receive(1, at: .seconds(12)) == [])
        #expect(model.takeNotes() == [.stalled(for: .seconds(8))])
        model.stop(at: .milliseconds(12_500))
        #expect(model.takeNotes() == [.watched(.milliseconds(1500))])
    }

    @Test("a stall that lasts to the end of the run counts")
    func openStall() throws {
        var model = Self.opened(try Self.quiet)
        _ = model.receive(1000, at: .zero)
        model.stop(at: .seconds(5))
        #expect(
            model.takeNotes() == [.started(after: .zero), .stalled(for: .seconds(4)), .watched(.seconds(1))]
        )
    }

    @Test("a start that never comes is no stall, and is told with the time that was waited for it")
    func noStart() throws {
        var model = Self.opened(try Self.quiet)
        model.stop(at: .seconds(60))
        #expect(model.takeNotes() == [.notBegun(after: .seconds(60)), .watched(.zero)])
    }

    @Test("a jump that never comes to a picture is told, too")
    func noSeek() throws {
        var habits = try Self.quiet
        habits.seekEvery = .milliseconds(1)
        var model = Self.opened(habits)
        _ = model.receive(5000, at: .zero)
        // The first whim is due within ten times its mean.
        let jump = model.tick(at: .milliseconds(20))
        #expect(jump.count == 1)
        _ = model.takeNotes()
        model.stop(at: .milliseconds(5020))
        #expect(model.takeNotes().first == .notBegun(after: .seconds(5)))
    }

    // MARK: - Failures

    @Test("a broken connection is made again after a second, at the byte where it broke")
    func reconnect() throws {
        var model = Self.opened(try Self.quiet)
        _ = model.receive(5000, at: .zero)
        #expect(model.fail(at: .seconds(1)) == [])
        #expect(model.tick(at: .milliseconds(1999)) == [])
        #expect(model.tick(at: .seconds(2)) == [.ask(from: 5000 + PlayerModel.filmOffset)])
        #expect(model.fail(at: .seconds(2)) == [])
        #expect(model.tick(at: .seconds(4)) == [.ask(from: 5000 + PlayerModel.filmOffset)])
        // The film went on from the buffer.
        #expect(model.buffered == 1)
        #expect(model.takeNotes() == [.started(after: .zero)])
    }

    @Test("the third failure in a row is the last")
    func giveUp() throws {
        var model = PlayerModel(try Self.quiet, random: SeededRandom(seed: 1), at: .zero)
        #expect(model.fail(at: .zero) == [])
        #expect(model.tick(at: .seconds(1)) == [.ask(from: 0)])
        #expect(model.fail(at: .seconds(1)) == [])
        #expect(model.tick(at: .seconds(3)) == [.ask(from: 0)])
        #expect(model.fail(at: .seconds(3)) == [.hangUp, .leave])
        #expect(model.takeNotes() == [.gaveUp, .notBegun(after: .seconds(3)), .watched(.zero)])
    }

    @Test("an index that broke is asked for from its beginning")
    func brokenIndex() throws {
        var model = PlayerModel(try Self.quiet, random: SeededRandom(seed: 1), at: .zero)
        model.opened(size: Self.size)
        #expect(model.receive(256, at: .zero) == [.ask(from: 99_936)])
        #expect(model.receive(60, at: .zero) == [])
        #expect(model.fail(at: .zero) == [])
        #expect(model.tick(at: .seconds(1)) == [.ask(from: 99_936)])
        #expect(model.receive(60, at: .seconds(1)) == [])
        #expect(model.receive(4, at: .seconds(1)) == [.ask(from: PlayerModel.filmOffset)])
    }

    // MARK: - Whole visits

    @Test("a network that is faster than the film lets nobody wait")
    func fastNetwork() throws {
        var visit = Visit(try Self.quiet, size: Self.size, seed: 1, networkRate: 2000)
        visit.run(for: .seconds(60))
        #expect(visit.stalled == .zero)
        #expect(visit.watched > .seconds(58))
        // No more than what was played and the buffer, and the head and the index.
        #expect(visit.bytes <= 60_000 + 20_000 + 2000)
    }

    @Test("a network half as fast as the film shows half of it")
    func slowNetwork() throws {
        var visit = Visit(try Self.quiet, size: Self.size, seed: 1, networkRate: 500)
        visit.run(for: .seconds(100))
        #expect(visit.stalls > 10)
        #expect(abs(visit.watched / .seconds(1) - 50) < 3)
        #expect(abs(visit.stalled / .seconds(1) - 48) < 3)
    }

    @Test("jumps lead to all of the film, and the picture comes back")
    func seeks() throws {
        var habits = try Self.quiet
        habits.seekEvery = .seconds(2)
        let size: Int64 = 10_000_000
        var visit = Visit(habits, size: size, seed: 4, networkRate: 50_000)
        visit.run(for: .seconds(400))
        let places = visit.asked.dropFirst(3)
        #expect(abs(places.count - 200) < 40)
        #expect(places.contains { $0 < size / 10 })
        #expect(places.contains { $0 > size / 10 * 9 })
        #expect(visit.sought >= places.count - 1)
        #expect(visit.stalled == .zero)
    }

    @Test("during a pause the film stands still, and that is no stall")
    func pauses() throws {
        var habits = try Self.quiet
        habits.pauseEvery = .seconds(2)
        habits.pauseFor = .seconds(2)
        var visit = Visit(habits, size: 1_000_000, seed: 4, networkRate: 50_000)
        visit.run(for: .seconds(400))
        #expect(visit.stalled == .zero)
        #expect(abs(visit.watched / .seconds(1) - 200) < 40)
    }

    @Test("half of those who hang up come back, to where they were")
    func leaving() throws {
        var habits = try Self.quiet
        habits.leaveEvery = .seconds(5)
        habits.awayFor = .seconds(2)
        var (returns, ends) = (0, 0)
        for seed in 0..<200 {
            var visit = Visit(habits, size: Self.size, seed: UInt64(seed), networkRate: 50_000)
            visit.run(for: .seconds(60))
            let places = visit.asked.dropFirst(2)
            #expect(places.elementsEqual(places.sorted()))
            returns += places.count - 1
            ends += visit.isOver ? 1 : 0
        }
        #expect(ends > 150)
        #expect(abs(returns - ends) < 60)
    }

    @Test("the same seed is the same visit")
    func seeds() throws {
        var habits = PlayerHabits()
        habits.seekEvery = .seconds(2)
        habits.pauseEvery = .seconds(3)
        habits.leaveEvery = .seconds(20)
        let visits = [1, 1, 2].map { (seed: UInt64) in
            var visit = Visit(habits, size: 50_000_000, seed: seed, networkRate: 2_000_000)
            visit.run(for: .seconds(60))
            return visit.asked
        }
        #expect(visits[0] == visits[1])
        #expect(visits[0] != visits[2])
    }

    @Test("whatever happens, nothing outside the film is asked for")
    func anything() throws {
        var habits = PlayerHabits()
        habits.seekEvery = .seconds(1)
        habits.pauseEvery = .seconds(1)
        habits.leaveEvery = .seconds(5)
        habits.awayFor = .milliseconds(100)
        for seed in 0..<300 {
            var random = SeededRandom(seed: UInt64(seed))
            let size = Int64.random(in: 1...3_000_000, using: &random)
            habits.headLength = Int64.random(in: 0...1_000_000, using: &random)
            habits.indexLength = Int64.random(in: 0...1_000_000, using: &random)
            var visit = Visit(habits, size: size, seed: UInt64(seed), networkRate: 1_000_000)
            visit.failsAt = 0.02
            visit.run(for: .seconds(20))
            #expect(visit.asked.allSatisfy { (0..<size).contains($0) })
        }
    }
}

/// A model, and a network of so many bytes a second that does what it wants, in steps of 25 ms.
private struct Visit {
    private(set) var asked: [Int64] = [0]
    private(set) var bytes: Int64 = 0
    private(set) var watched = Duration.zero
    private(set) var stalled = Duration.zero
    private(set) var stalls = 0
    private(set) var sought = 0
    private(set) var isOver = false
    /// How likely the connection breaks in a step.
    var failsAt = 0.0

    private var model: PlayerModel
    private var random: SeededRandom
    private let size: Int64
    private let networkRate: Int64
    /// Of the next byte; `nil` without a connection.
    private var position: Int64? = 0
    private var isReading = true
    private var now = Duration.zero

    init(_ habits: PlayerHabits, size: Int64, seed: UInt64, networkRate: Int64) {
        model = PlayerModel(habits, random: SeededRandom(seed: seed), at: .zero)
        random = SeededRandom(seed: seed, stream: 1)
        self.size = size
        self.networkRate = networkRate
    }

    mutating func run(for duration: Duration) {
        while now < duration, !isOver {
            now += .milliseconds(25)
            if failsAt > 0, position != nil, random.unit() < failsAt {
                position = nil
                carryOut(model.fail(at: now))
            }
            if let position, isReading, position < size {
                model.opened(size: size)
                let count = min(networkRate / 40, size - position)
                self.position = position + count
                bytes += count
                carryOut(model.receive(count, at: now))
            }
            carryOut(model.tick(at: now))
        }
        model.stop(at: now)
        takeNotes()
    }

    private mutating func carryOut(_ actions: [PlayerModel.Action]) {
        for action in actions {
            switch action {
            case .ask(let first):
                asked.append(first)
                (position, isReading) = (first, true)
            case .read: isReading = true
            case .rest: isReading = false
            case .hangUp: position = nil
            case .leave: isOver = true
            }
        }
        takeNotes()
    }

    private mutating func takeNotes() {
        for note in model.takeNotes() {
            switch note {
            case .started, .notBegun, .gaveUp: break
            case .sought: sought += 1
            case .stalled(let time): (stalls, stalled) = (stalls + 1, stalled + time)
            case .watched(let time): watched += time
            }
        }
    }
}
