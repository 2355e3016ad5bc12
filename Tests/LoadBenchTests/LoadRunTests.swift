import LoadBench
import NIOCore
import NIOPosix
import Synchronization
import Testing

extension Measurements {
    /// Whether the server answered, and every answer was right.
    fileprivate var isFaultless: Bool { errors == 0 && requests > 0 }
}

@Suite(.timeLimit(.minutes(1))) struct LoadRunTests {
    private static let ranges = LoadPlan.Work.range(length: 40_000)

    /// People in a hurry.
    private static var players: LoadPlan.Work {
        var habits = PlayerHabits()
        habits.headLength = 20_000
        habits.indexLength = 10_000
        habits.seekEvery = .milliseconds(100)
        habits.leaveEvery = .milliseconds(300)
        habits.awayFor = .milliseconds(10)
        return .players(habits, zipf: 1)
    }

    /// Runs of a second until `isEnough`: on a machine that has other things to do, one may not get far.
    private static func run(
        _ work: LoadPlan.Work,
        _ url: String,
        for duration: Duration = .seconds(1),
        until isEnough: @Sendable (Measurements) -> Bool = { _ in true },
        change: @Sendable (inout LoadPlan) -> Void = { _ in }
    ) async throws -> Measurements {
        let target = try #require(LoadTarget(url))
        let item = LoadItem(path: target.path, reference: .first(BlockLedger()))
        var plan = LoadPlan(work, stages: LoadStages(2, for: duration), seed: 1, items: [item])
        change(&plan)
        let run = LoadRun(plan, against: try LoadServer(target, allowsRemote: false))
        var result = Measurements()
        repeat { result.append(try await run.run()) } while !isEnough(result)
        return result
    }

    /// What is wrong with a server that answers so.
    private static func failures(
        _ work: LoadPlan.Work,
        patience: Duration = .seconds(30),
        _ reply: @escaping @Sendable (FaultyServer.Request) -> FaultyServer.Reply
    ) async throws -> Set<LoadFailure.Kind> {
        try await FaultyServer.with(reply) { server in
            let result = try await run(work, server.url, until: { $0.errors > 0 }) { $0.patience = patience }
            #expect(!result.isFaultless)
            return Set(result.failures.keys)
        }
    }

    @Test("a server that is right has no errors: pings")
    func pings() async throws {
        try await FaultyServer.with(FaultyServer.sound) { server in
            let result = try await Self.run(.ping, server.url, until: { $0.requests > 0 })
            #expect(result.isFaultless)
            #expect(result.bytes == Int64(result.requests) * 4)
        }
    }

    @Test("a server that is right has no errors: ranges, from two event loops")
    func ranges() async throws {
        try await FaultyServer.with(FaultyServer.sound) { server in
            let result = try await Self.run(
                Self.ranges,
                server.url,
                until: { $0.comparedBytes > 0 },
                change: { $0.threads = 2 }
            )
            #expect(result.isFaultless)
            #expect(result.bytes == Int64(result.requests) * 40_000)
            #expect(result.whole.count == UInt64(result.requests))
        }
    }

    @Test("a server that is right has no errors: players")
    func players() async throws {
        try await FaultyServer.with(FaultyServer.sound) { server in
            let result = try await Self.run(Self.players, server.url, until: { $0.seeks.count > 0 })
            #expect(result.isFaultless)
            #expect(result.starts.count > 0)
            #expect(result.watchedTime > .zero)
            #expect(result.comparedBytes > 0)
        }
    }

    @Test("a server that ends each connection is right, too")
    func closing() async throws {
        try await FaultyServer.with { request in
            var reply = FaultyServer.sound(request)
            reply.head = reply.head.replacing("\r\n\r\n", with: "\r\nConnection: close\r\n\r\n")
            reply.closes = true
            return reply
        } _: { server in
            for work in [.ping, Self.ranges, Self.players] {
                let result = try await Self.run(work, server.url, until: { $0.requests > 4 })
                #expect(result.isFaultless)
            }
        }
    }

    @Test("a body that ends with the connection is right, and the next request has another connection")
    func endlessBody() async throws {
        try await FaultyServer.with { _ in
            FaultyServer.Reply(head: "HTTP/1.1 200 OK\r\n\r\n", body: Array("pong".utf8), closes: true)
        } _: { server in
            let result = try await Self.run(.ping, server.url, until: { $0.requests > 4 })
            #expect(result.isFaultless)
            #expect(result.bytes == Int64(result.requests) * 4)
        }
    }

    @Test("a chunked body leaves the connection open")
    func chunkedBody() async throws {
        try await FaultyServer.with { _ in
            FaultyServer.Reply(
                head: "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n",
                body: Array("4\r\npong\r\n0\r\n\r\n".utf8)
            )
        } _: { server in
            let result = try await Self.run(.ping, server.url)
            #expect(result.errors == 0)
            // A run of two connections, each made once.
            #expect(server.connections.made <= 2)
        }
    }

    @Test("one wrong byte is found", arguments: [true, false])
    func wrongByte(_ isPlayers: Bool) async throws {
        let count = Mutex(0)
        let failures = try await Self.failures(isPlayers ? Self.players : Self.ranges) { request in
            var reply = FaultyServer.sound(request)
            let isLater = count.withLock { count in
                count += 1
                return count > 6
            }
            if isLater, !reply.body.isEmpty { reply.body[reply.body.count / 2] ^= 1 }
            return reply
        }
        #expect(failures == [.wrongBytes])
    }

    @Test("a body that ends early is found", arguments: [true, false])
    func shortBody(_ isPlayers: Bool) async throws {
        let failures = try await Self.failures(isPlayers ? Self.players : Self.ranges) { request in
            var reply = FaultyServer.sound(request)
            guard request.range != 0...0 else { return reply }
            reply.body.removeLast()
            reply.closes = true
            return reply
        }
        // Players may have had enough before the last byte, but not of the index, which ends with it.
        #expect(failures == [.shortBody])
    }

    @Test("a body that should end with the connection, and is cut by a reset, is no whole one")
    func resetBody() async throws {
        let failures = try await Self.failures(.ping) { _ in
            FaultyServer.Reply(head: "HTTP/1.1 200 OK\r\n\r\n", body: Array("po".utf8), resets: true)
        }
        #expect(failures == [.shortBody])
    }

    @Test("more bytes than the answer has are found")
    func longBody() async throws {
        try await FaultyServer.with { request in
            var reply = FaultyServer.sound(request)
            if request.range != 0...0 { reply.body += [1, 2, 3] }
            return reply
        } _: { server in
            let result = try await Self.run(Self.ranges, server.url, until: { $0.errors > 0 })
            #expect(Set(result.failures.keys) == [.malformed])
            let detail = try #require(result.failures[.malformed]?.detail)
            #expect(detail.hasSuffix("bytes that are no answer, or after the end of the one before"))
        }
    }

    @Test(
        "what is no answer to the request is found",
        arguments: [
            ("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", false, LoadFailure.Kind.status(503)),
            (
                "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nContent-Range: bytes 1-5/9\r\n\r\nabcde", false,
                .range
            ),
            ("SSH-2.0-OpenSSH\r\n\r\n", false, .malformed), ("", true, .closed), ("HTTP/1.1 206 Par", true, .closed),
            ("", false, .timeout), ("HTTP/1.1 206 Partial Content\r\nContent-Len", false, .timeout),
        ] as [(String, Bool, LoadFailure.Kind)]
    )
    func noAnswer(_ text: String, _ closes: Bool, _ kind: LoadFailure.Kind) async throws {
        for work in [Self.ranges, Self.players] {
            let patience = kind == .timeout ? Duration.milliseconds(50) : .seconds(30)
            let failures = try await Self.failures(work, patience: patience) { _ in
                FaultyServer.Reply(head: text, closes: closes)
            }
            #expect(failures == [kind])
        }
    }

    @Test("an answer that stops halfway is a timeout")
    func silence() async throws {
        let failures = try await Self.failures(Self.ranges, patience: .milliseconds(100)) { request in
            var reply = FaultyServer.sound(request)
            if request.range != 0...0 { reply.body.removeLast(100) }
            return reply
        }
        #expect(failures == [.timeout])
    }

    @Test("a head without a body is a timeout, even where the load is over before", arguments: [true, false])
    func headAlone(_ isPlayers: Bool) async throws {
        try await FaultyServer.with { request in
            var reply = FaultyServer.sound(request)
            if request.range != 0...0 { reply.body = [] }
            return reply
        } _: { server in
            let result = try await Self.run(
                isPlayers ? Self.players : Self.ranges,
                server.url,
                for: .milliseconds(200),
                until: { $0.errors > 0 },
                change: { $0.patience = .milliseconds(400) }
            )
            #expect(Set(result.failures.keys) == [.timeout])
            #expect(result.requests == 0)
        }
    }

    @Test("an answer that is still under way when the load is long over is no error")
    func unfinished() async throws {
        try await FaultyServer.with { _ in
            FaultyServer.Reply(head: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", body: [1], delay: .seconds(1))
        } _: { server in
            let result = try await Self.run(
                .ping,
                server.url,
                for: .milliseconds(100),
                until: { $0.bytes > 0 },
                change: { $0.drain = .zero }
            )
            #expect(result.errors == 0)
            #expect(result.requests == 0)
            #expect(result.bytesPerSecond == 0)
        }
    }

    @Test("nobody at the address is an error, not the end of the run", arguments: [true, false])
    func refused(_ isPlayers: Bool) async throws {
        let port = try await FaultyServer.with(FaultyServer.sound) { $0.port }
        let work = isPlayers ? Self.players : .ping
        let result = try await Self.run(work, "http://127.0.0.1:\(port)/", until: { $0.errors > 1 })
        #expect(Set(result.failures.keys) == [.refused])
    }

    @Test("an error calls what was asked for by the name it has in reports", arguments: [true, false])
    func name(_ isPlayers: Bool) async throws {
        try await FaultyServer.with { request in
            guard request.range != 0...0 else { return FaultyServer.sound(request) }
            return FaultyServer.Reply(head: "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        } _: { server in
            let result = try await Self.run(
                isPlayers ? Self.players : Self.ranges,
                server.url,
                until: { $0.errors > 0 },
                change: { $0.items = [LoadItem(path: "/film.mkv?token=5", reference: .unknown, name: "/film")] }
            )
            let detail = try #require(result.failures[.status(404)]?.detail)
            #expect(detail.contains(" of /film: status 404"))
        }
    }

    @Test("a server that closes each connection at once is not asked for one without an end, and is an error")
    func unusedConnections() async throws {
        try await FaultyServer.with(keepsConnections: false, FaultyServer.sound) { server in
            // The first request is due at once, the second one after the load.
            let result = try await Self.run(.ping, server.url, until: { $0.errors > 0 }, change: { $0.rate = 0.1 })
            #expect(Set(result.failures.keys) == [.closed])
            #expect(result.requests == 0)
            // Ten in a second, of two connections.
            #expect(server.connections.made <= 30)
        }
    }

    @Test("at a rate, what the server delays is charged to all the requests that were due")
    func coordinatedOmission() async throws {
        let waited = Mutex(false)
        try await FaultyServer.with { request in
            let waitsNow = waited.withLock { waited in
                defer { waited = true }
                return !waited
            }
            var reply = FaultyServer.sound(request)
            if waitsNow { reply.delay = .milliseconds(300) }
            return reply
        } _: { server in
            let result = try await Self.run(.ping, server.url, for: .milliseconds(600), change: { $0.rate = 100 })
            #expect(result.isFaultless)
            // 30 requests were due in that time, of which two connections could have met the pause.
            let late = try #require(result.whole.percentile(75))
            #expect(late > .milliseconds(100))
            // Of 60; two connections may have been waiting to send theirs.
            #expect(result.requests + result.missed >= 55)
        }
    }

    @Test("there are as many connections as the stages say", arguments: [1, 2])
    func stages(_ threads: Int) async throws {
        try await FaultyServer.with(FaultyServer.sound) { server in
            let stages = try #require(LoadStages("1:0s,1:200ms,3:0s,3:300ms,0:0s,0:100ms"))
            let result = try await Self.run(.ping, server.url, until: { _ in server.connections.most >= 3 }) {
                $0.stages = stages
                $0.threads = threads
            }
            #expect(result.isFaultless)
            #expect(result.elapsed >= .milliseconds(600))
            #expect(server.connections.most == 3)
        }
    }

    @Test("a run that is cancelled ends at once, and has what it measured until then")
    func cancellation() async throws {
        let asked = AsyncStream.makeStream(of: Void.self)
        try await FaultyServer.with { request in
            asked.continuation.yield()
            return FaultyServer.sound(request)
        } _: { server in
            // Cancelled below.
            let run = Task {
                let target = try #require(LoadTarget(server.url))
                let item = LoadItem(path: target.path, reference: .unknown)
                let plan = LoadPlan(Self.ranges, stages: LoadStages(2, for: .seconds(3600)), seed: 1, items: [item])
                return try await LoadRun(plan, against: LoadServer(target, allowsRemote: false)).run()
            }
            // For the size, for a range on each connection, and for one more on one of them: that one had its answer.
            var requests = asked.stream.makeAsyncIterator()
            for _ in 1...4 { await requests.next() }
            run.cancel()
            let measured = try await run.value
            #expect(measured.requests > 0)
            #expect(measured.elapsed > .zero && measured.elapsed < .seconds(3600))
        }
    }

    @Test("a run that waits for its first answer is cancelled at once, too")
    func cancellationBeforeTheLoad() async throws {
        let asked = AsyncStream.makeStream(of: Void.self)
        try await FaultyServer.with { _ in
            asked.continuation.yield()
            return FaultyServer.Reply(head: "")
        } _: { server in
            // Cancelled below.
            let run = Task {
                let target = try #require(LoadTarget(server.url))
                let item = LoadItem(path: target.path, reference: .unknown)
                var plan = LoadPlan(Self.ranges, stages: LoadStages(2, for: .seconds(3600)), seed: 1, items: [item])
                // Longer than a test may take.
                plan.patience = .seconds(3600)
                return try await LoadRun(plan, against: LoadServer(target, allowsRemote: false)).run()
            }
            for await _ in asked.stream { break }
            run.cancel()
            await #expect(throws: CancellationError.self) { try await run.value }
        }
    }

    @Test("two servers have their turns, and one that gives other bytes than the first is found out")
    func against() async throws {
        try await FaultyServer.with(FaultyServer.sound) { first in
            try await FaultyServer.with { request in
                var reply = FaultyServer.sound(request)
                if (request.range?.count ?? 0) > 1 { reply.body = reply.body.map { $0 ^ 1 } }
                return reply
            } _: { second in
                var report = try await Self.compare([first, second])
                while report.servers[1].errors == 0 { report = try await Self.compare([first, second]) }
                #expect(report.servers[0].errors == 0)
                #expect(report.servers[1].wrongBytes > 0)
                #expect(report.text.contains("the two servers differ"))
                #expect(!report.isFaultless)
            }
        }
    }

    @Test("rounds that came to their end are compared when a later one is interrupted")
    func interruptedRound() async throws {
        let turns = Turns()
        let secondRound = AsyncStream.makeStream(of: Void.self)
        try await FaultyServer.with {
            turns.answer($0, of: "a")
        } _: { first in
            try await FaultyServer.with { request in
                let reply = turns.answer(request, of: "b")
                // After two warm-ups and the first round.
                if turns.names.count == 5, request.range != 0...0 { secondRound.continuation.yield() }
                return reply
            } _: { second in
                let session = try Self.session([first, second], for: .milliseconds(200), rounds: 1000)
                // Cancelled below.
                let run = Task { try await session.run() }
                // The other server begins the second round.
                for await _ in secondRound.stream { break }
                run.cancel()
                let outcome = try await run.value
                #expect(outcome.isInterrupted)
                #expect(outcome.wholeRounds >= 1)
                // Before, in or after the first turn of the round that did not come to its end.
                let begun = outcome.turns.reduce(0) { $0 + $1.count } - 2 * outcome.wholeRounds
                #expect((0...2).contains(begun))
            }
        }
    }

    @Test("two servers are warmed up, and what is measured then is in no figure")
    func warmUp() async throws {
        let turns = Turns()
        try await FaultyServer.with {
            turns.answer($0, of: "a")
        } _: { first in
            let warmUps = Mutex(0)
            try await FaultyServer.with { request in
                let reply = turns.answer(request, of: "b")
                guard turns.names == ["a", "b"], request.range != 0...0 else { return reply }
                let isSecond = warmUps.withLock { count in
                    count += 1
                    return count == 2
                }
                return isSecond ? FaultyServer.Reply(head: "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n") : reply
            } _: { second in
                let told = Mutex(Set<Int>())
                let session = try Self.session([first, second], for: .milliseconds(300), rounds: 1)
                let outcome = try await session.run { progress in
                    if case .warmingUp(let server) = progress { _ = told.withLock { $0.insert(server) } }
                }
                let servers = told.withLock { $0 }
                #expect(servers == [1, 2])
                #expect(turns.names == ["a", "b", "a", "b"])
                #expect(outcome.turns.map(\.count) == [1, 1])
                #expect(outcome.turns[1][0].errors == 0)
                let asked = warmUps.withLock { $0 }
                #expect(asked >= 2, "the error was one of the warm-up")
            }
        }
    }

    @Test("a second server that is not there is told of before the first has a turn")
    func absentServer() async throws {
        let turns = Turns()
        let absent = try await FaultyServer.with(FaultyServer.sound) { $0 }
        try await FaultyServer.with {
            turns.answer($0, of: "a")
        } _: { first in
            let report = try await Self.compare([first, absent], rounds: 3)
            // Its warm-up.
            #expect(turns.names == ["a"])
            #expect(report.endedWarmingUp)
            #expect(!report.isFaultless)
            #expect(report.text.contains(", ended while warming up\n"))
            #expect(report.text.contains("\(absent.url): no right answer\n"))
        }
    }

    @Test("of two servers, the other one begins in every second round")
    func turns() async throws {
        let turns = Turns()
        try await FaultyServer.with {
            turns.answer($0, of: "a")
        } _: { first in
            try await FaultyServer.with {
                turns.answer($0, of: "b")
            } _: { second in
                _ = try await Self.compare([first, second], for: .milliseconds(50), rounds: 3)
            }
        }
        // After the warm-ups.
        #expect(turns.names.dropFirst(2) == ["a", "b", "b", "a", "a", "b"])
    }

    private final class Turns: Sendable {
        private let log = Mutex([String]())

        var names: [String] { log.withLock { $0 } }

        func answer(_ request: FaultyServer.Request, of name: String) -> FaultyServer.Reply {
            // Each turn begins with the question for the size.
            if request.range == 0...0 { log.withLock { $0.append(name) } }
            return FaultyServer.sound(request)
        }
    }

    /// Rounds of each.
    private static func compare(
        _ servers: [FaultyServer],
        for duration: Duration = .milliseconds(500),
        rounds: Int = 1
    ) async throws -> LoadReport {
        let session = try session(servers, for: duration, rounds: rounds)
        return LoadReport(session, try await session.run())
    }

    private static func session(
        _ servers: [FaultyServer],
        for duration: Duration,
        rounds: Int
    ) throws -> LoadSession {
        let reference = ContentReference.first(BlockLedger())
        let contenders = try servers.map { server in
            let target = try #require(LoadTarget(server.url))
            return LoadSession.Contender(
                name: server.url,
                server: try LoadServer(target, allowsRemote: false),
                items: [LoadItem(path: target.path, reference: reference)]
            )
        }
        return LoadSession(
            LoadPlan(ranges, stages: LoadStages(1, for: duration), seed: 1, items: contenders[0].items),
            contenders,
            rounds: rounds
        )
    }
}
