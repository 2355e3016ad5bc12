import Gateway
import NIOCore
import NIOPosix
import SourceContract
import Synchronization
import Testing

@Suite("Turns on an event loop", .timeLimit(.minutes(1)))
struct TurnQueueTests {
    private final class Flag: Sendable {
        let isSet = Atomic(false)
    }

    private final class Echo: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(data, promise: nil)
        }
    }

    /// Works for a while, and asks for another turn until `end` is set.
    ///
    /// - Parameter isDeferred: whether a turn only has it put on the event loop again.
    private static func work(on loop: any EventLoop, isDeferred: Bool, until end: Flag) {
        work(for: .microseconds(200))
        guard !end.isSet.load(ordering: .relaxed) else { return }
        TurnQueue.of(loop).wait(isDeferred: isDeferred) {
            guard isDeferred else { return work(on: loop, isDeferred: false, until: end) }
            loop.execute { work(on: loop, isDeferred: true, until: end) }
        }
    }

    @Test("sockets are looked at though somebody always waits for a turn", arguments: [false, true])
    func sockets(isDeferred: Bool) async throws {
        try await Self.expectEcho { loop, end in
            for _ in 0..<4 { loop.execute { Self.work(on: loop, isDeferred: isDeferred, until: end) } }
        }
    }

    @Test("sockets are looked at though tasks have nothing to wait for, if they end their turns in time")
    func tasks() async throws {
        try await Self.expectEcho { loop, end in
            for _ in 0..<4 {
                Task(executorPreference: LoopExecutor(loop)) {
                    while !end.isSet.load(ordering: .relaxed) {
                        Self.work(for: .microseconds(200))
                        await TurnQueue.endTurnInTime(on: loop)
                    }
                }
            }
        }
    }

    /// Expects a client on an event loop to be answered while `work` keeps it busy.
    private static func expectEcho(while work: (any EventLoop, Flag) -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let server = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Echo()) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let end = Flag()
        work(loop, end)
        let client = try await RawClient(port: try #require(server.localAddress?.port))
        try await client.send("ping")
        try await client.untilReceived(4)
        end.isSet.store(true, ordering: .relaxed)
        try await client.close()
        try await server.close()
        try await group.shutdownGracefully()
    }

    @Test("turns come in the order in which they were asked for")
    func order() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let promise = loop.makePromise(of: [Int].self)
        loop.execute {
            var order: [Int] = []
            for number in 0..<3 {
                TurnQueue.of(loop).wait {
                    order.append(number)
                    TurnQueue.of(loop).wait {
                        order.append(number + 10)
                        if number == 2 { promise.succeed(order) }
                    }
                }
            }
        }
        #expect(try await promise.futureResult.get() == [0, 1, 2, 10, 11, 12])
        try await group.shutdownGracefully()
    }

    @Test("where others took long, as many turns follow as they had time for")
    func share() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        // Now and then, as the thread may lose its core in between. Without that time there is never more than one.
        while try await Self.turnsOfOneRun(on: loop) < 3 { try Task.checkCancellation() }
        try await group.shutdownGracefully()
    }

    /// How many of three turns, each longer than a run may be, follow one another after others took long.
    private static func turnsOfOneRun(on loop: any EventLoop) async throws -> Int {
        let turns = Observed(0)
        let promise = loop.makePromise(of: Int.self)
        loop.execute {
            for number in 0..<3 {
                TurnQueue.of(loop).wait {
                    turns.update { $0 += 1 }
                    work(for: .milliseconds(1))
                    // Comes when the run has ended.
                    if number == 0 { loop.execute { promise.succeed(turns.value) } }
                }
            }
            work(for: .milliseconds(20))
        }
        return try await promise.futureResult.get()
    }

    private static func work(for time: TimeAmount) {
        let enough = NIODeadline.now() + time
        while NIODeadline.now() < enough {}
    }
}
