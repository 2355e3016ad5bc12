import Gateway
import Glibc
import Logging
import NIOCore
import NIOPosix
import SourceContract
import Synchronization
import Testing

@Suite("Connections of an event loop that has much to do", .timeLimit(.minutes(1)))
struct BusyEventLoopTests {
    private static func services(_ registry: ConnectionRegistry) -> ConnectionServices {
        ConnectionServices(
            plane: .data,
            limits: ConnectionServices.Limits(),
            logger: .silent,
            reporter: RequestReporter(
                plane: .data,
                registry: PrometheusRegistry(),
                accessLog: nil,
                slowLog: SlowRequestLog(threshold: .seconds(3600), logger: .silent)
            ),
            registry: registry
        )
    }

    @Test("a crowd that has come meanwhile is let in together, not one in each round")
    func crowd() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let registry = ConnectionRegistry(limit: 1000)
        let routes = TurnRoutes()
        try await TestListener.with(Self.services(registry), routes, patience: .seconds(20), group: group) { listener in
            let hold = Hold()
            loop.execute { hold.wait() }
            var clients: [RawClient] = []
            for _ in 0..<40 { clients.append(try await RawClient(port: listener.port)) }
            let rounds = loop.makePromise(of: Int.self)
            loop.execute { Self.countRounds(of: loop, until: { registry.openConnections == 40 }, rounds) }
            hold.end()
            #expect(try await rounds.futureResult.get() < 20)
            for client in clients { #expect(try await client.request("/").text == "pong") }
        }
        try await group.shutdownGracefully()
    }

    private static func countRounds(
        of loop: any EventLoop,
        _ count: Int = 0,
        until isOver: @escaping @Sendable () -> Bool,
        _ promise: EventLoopPromise<Int>
    ) {
        guard !isOver() else { return promise.succeed(count) }
        loop.scheduleTask(in: .microseconds(50)) { countRounds(of: loop, count + 1, until: isOver, promise) }
    }

    @Test("an answer that is out is over, and waits for nobody's turn")
    func end() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let routes = TurnRoutes()
        let services = Self.services(ConnectionRegistry(limit: 1000))
        try await TestListener.with(services, routes, patience: .seconds(20), group: group) { listener in
            let client = try await RawClient(port: listener.port)
            let answer = try await client.request("/direct")
            #expect(answer.body.count == TurnRoutes.length)
            #expect(try await routes.turnsBefore.until { $0 >= 0 } < TurnRoutes.turns)
        }
        try await group.shutdownGracefully()
    }
}

/// Holds a thread up.
private final class Hold: Sendable {
    private let isOver = Atomic(false)

    func wait() { while !isOver.load(ordering: .acquiring) { usleep(100) } }

    func end() { isOver.store(true, ordering: .releasing) }
}

/// `/direct` is sent in one turn, beside others who wait for theirs.
private final class TurnRoutes: RequestDispatcher {
    static let length = 10_000
    static let turns = 200

    /// How many others had their turn before the answer was over.
    let turnsBefore = Observed(-1)

    var methods: RequestGate.Methods { .any }

    func dispatch(_ request: GatewayRequest) -> Dispatch {
        guard request.path == "/direct", let loop = MultiThreadedEventLoopGroup.currentEventLoop else {
            let body = ByteBuffer(string: "pong")
            let head = ResponseHead(status: 200, framing: .length(Int64(body.readableBytes)))
            return .answer(head, body: body, route: .ping, source: "")
        }
        return .run(
            Dispatch.Operation(route: .media, source: "", firstByteDeadline: .seconds(20)) { [turnsBefore] exchange in
                try await exchange.start(ResponseHead(status: 200, framing: .length(Int64(Self.length))))
                let turns = Self.takeTurns(on: loop)
                _ = try await exchange.sendDirect(OneTurnBody(), 0..<Int64(Self.length), fromSource: false)
                turnsBefore.update { $0 = turns.value }
                try await exchange.finish()
            }
        )
    }

    /// Called on `loop`.
    private static func takeTurns(on loop: any EventLoop) -> Observed<Int> {
        let count = Observed(0)
        for _ in 0..<turns { TurnQueue.of(loop).wait { count.update { $0 += 1 } } }
        return count
    }
}

/// Zeros, all in one turn.
private struct OneTurnBody: DirectBody {
    let bytesPerTurn = Int64(TurnRoutes.length)

    func send(_ range: Range<Int64>, after head: ByteBuffer, to socket: Int32) -> DirectSendResult {
        var bytes = head
        bytes.writeRepeatingByte(0, count: range.count)
        let count = bytes.withUnsafeReadableBytes { Glibc.send(socket, $0.baseAddress, $0.count, 0) }
        if count == bytes.readableBytes { return .sent(count) }
        return count >= 0 ? .full(count) : .failed(errno)
    }

    func copy(_ range: Range<Int64>) -> ByteBuffer? { ByteBuffer(repeating: 0, count: range.count) }
}
