import LoadBench
import NIOCore
import NIOPosix
import Synchronization
import Testing

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

    private static func run(
        _ work: LoadPlan.Work,
        _ url: String,
        for duration: Duration = .seconds(1),
        change: (inout LoadPlan) -> Void = { _ in }
    ) async throws -> Measurements {
        let target = try #require(LoadTarget(url))
        let item = LoadItem(path: target.path, reference: .first(BlockLedger()))
        var plan = LoadPlan(work, stages: LoadStages(2, for: duration), seed: 1, items: [item])
        change(&plan)
        return try await LoadRun(plan, against: LoadServer(target, allowsRemote: false)).run()
    }

    /// What is wrong with a server that answers so.
    private static func failures(
        _ work: LoadPlan.Work,
        patience: Duration = .seconds(30),
        _ reply: @escaping @Sendable (FaultyServer.Request) -> FaultyServer.Reply
    ) async throws -> Set<LoadFailure.Kind> {
        try await FaultyServer.with(reply) { server in
            let result = try await run(work, server.url) { $0.patience = patience }
            #expect(!result.isFaultless)
            return Set(result.failures.keys)
        }
    }

    @Test("a server that is right has no errors, whatever is asked")
    func sound() async throws {
        try await FaultyServer.with(FaultyServer.sound) { server in
            let ping = try await Self.run(.ping, server.url)
            #expect(ping.isFaultless)
            #expect(ping.bytes == Int64(ping.requests) * 4)
            let ranges = try await Self.run(Self.ranges, server.url) { $0.threads = 2 }
            #expect(ranges.isFaultless)
            #expect(ranges.bytes == Int64(ranges.requests) * 40_000)
            #expect(ranges.whole.count == UInt64(ranges.requests))
            #expect(ranges.comparedBytes > 0)
            let players = try await Self.run(Self.players, server.url)
            #expect(players.isFaultless)
            #expect(players.starts.count > 0)
            #expect(players.seeks.count > 0)
            #expect(players.watchedTime > .zero)
            #expect(players.comparedBytes > 0)
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

    @Test("more bytes than the answer has are found")
    func longBody() async throws {
        let failures = try await Self.failures(Self.ranges) { request in
            var reply = FaultyServer.sound(request)
            if request.range != 0...0 { reply.body += [1, 2, 3] }
            return reply
        }
        #expect(failures == [.malformed])
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

    @Test("nobody at the address is an error, not the end of the run", arguments: [true, false])
    func refused(_ isPlayers: Bool) async throws {
        let port = try await FaultyServer.with(FaultyServer.sound) { $0.port }
        let work = isPlayers ? Self.players : .ping
        let result = try await Self.run(work, "http://127.0.0.1:\(port)/")
        #expect(Set(result.failures.keys) == [.refused])
        #expect(result.errors >= 2)
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
            let result = try await Self.run(.ping, server.url, for: .milliseconds(600)) { $0.rate = 100 }
            #expect(result.isFaultless)
            // 30 requests were due in that time, of which two connections could have met the pause.
            let late = try #require(result.whole.percentile(75))
            #expect(late > .milliseconds(100))
            #expect(result.requests >= 55)
        }
    }

    @Test("the load follows its stages")
    func stages() async throws {
        try await FaultyServer.with(FaultyServer.sound) { server in
            let stages = try #require(LoadStages("3:100ms,0:100ms"))
            let result = try await Self.run(Self.ranges, server.url) { $0.stages = stages }
            #expect(result.isFaultless)
            #expect(result.elapsed >= .milliseconds(200))
        }
    }

    @Test("a run that is cancelled ends at once")
    func cancellation() async throws {
        try await FaultyServer.with(FaultyServer.sound) { server in
            let started = AsyncStream.makeStream(of: Void.self)
            // Cancelled below.
            let run = Task {
                let target = try #require(LoadTarget(server.url))
                let item = LoadItem(path: target.path, reference: .unknown)
                let plan = LoadPlan(Self.ranges, stages: LoadStages(2, for: .seconds(3600)), seed: 1, items: [item])
                started.continuation.yield()
                return try await LoadRun(plan, against: LoadServer(target, allowsRemote: false)).run()
            }
            for await _ in started.stream { break }
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
                let reference = ContentReference.first(BlockLedger())
                let contenders = try [first, second].map { server in
                    let target = try #require(LoadTarget(server.url))
                    return LoadSession.Contender(
                        name: server.url,
                        server: try LoadServer(target, allowsRemote: false),
                        items: [LoadItem(path: target.path, reference: reference)]
                    )
                }
                let plan = LoadPlan(
                    Self.ranges,
                    stages: LoadStages(1, for: .milliseconds(500)),
                    seed: 1,
                    items: contenders[0].items
                )
                let session = LoadSession(plan, contenders, rounds: 1)
                let results = try await session.run()
                #expect(results.map(\.count) == [1, 1])
                let report = LoadReport(session, results)
                #expect(report.servers[0].errors == 0)
                #expect(report.servers[1].wrongBytes > 0)
                #expect(!report.isFaultless)
            }
        }
    }
}
