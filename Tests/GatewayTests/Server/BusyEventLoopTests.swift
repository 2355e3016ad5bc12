import Dispatch
import Gateway
import Glibc
import NIOCore
import NIOPosix
import SourceContract
import SourcePlugins
import Testing

@Suite("Connections of an event loop that has much to do", .timeLimit(.minutes(1)))
struct BusyEventLoopTests {
    @Test("a crowd that has come meanwhile is let in together, not one in each round")
    func crowd() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let registry = ConnectionRegistry(limit: 1000)
        let routes = TurnRoutes()
        try await TestListener.with(ConnectionServices.quiet(registry), routes, patience: .seconds(20), group: group) {
            listener in
            let hold = DispatchSemaphore(value: 0)
            defer { hold.signal() }
            loop.execute { hold.wait() }
            var clients: [RawClient] = []
            for _ in 0..<40 { clients.append(try await RawClient(port: listener.port)) }
            let rounds = loop.makePromise(of: Int.self)
            loop.execute { Self.countRounds(of: loop, until: { registry.openConnections == 40 }, rounds) }
            hold.signal()
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

    @Test("an answer that is out is over and waits for nobody's turn")
    func end() async throws {
        try await withRoutes { routes, client in
            let answer = try await client.request("/whole")
            #expect(answer.body.count == TurnRoutes.length)
            #expect(try await routes.ends.until { $0.count == 1 } == [0])
        }
    }

    @Test("a client that has sent many requests ahead gets no more at a time than others")
    func pipelined() async throws {
        try await withRoutes { routes, client in
            let requests = Array(repeating: "GET /part HTTP/1.1\r\nHost: h\r\n\r\n", count: 10)
            try await client.send(requests.joined())
            for _ in requests { #expect(try await client.answer().body.count == TurnRoutes.length) }
            let ends = try await routes.ends.until { $0.count == requests.count }
            #expect(ends == ends.sorted())
            // Two and a half, and what was left of one.
            for end in Set(ends) { #expect(ends.filter { $0 == end }.count <= 3) }
        }
    }

    private func withRoutes(_ body: @Sendable (TurnRoutes, RawClient) async throws -> Void) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let routes = TurnRoutes()
        let services = ConnectionServices.quiet(ConnectionRegistry(limit: 1000))
        try await TestListener.with(services, routes, patience: .seconds(20), group: group) { listener in
            try await body(routes, try await RawClient(port: listener.port))
        }
        try await group.shutdownGracefully()
    }
}

/// Answers of one length, before each of which ten others ask for their turn. That of `/whole` is all that may be sent at
/// a turn; of `/part` two and a half may.
private final class TurnRoutes: RequestDispatcher {
    static let length = 10_000

    /// Of each answer: how many others had their turn before it was over.
    let ends = Observed<[Int]>([])
    private let turns = Observed(0)

    var methods: RequestGate.Methods { .any }

    func dispatch(_ request: GatewayRequest) -> Dispatch {
        guard request.path != "/", let loop = MultiThreadedEventLoopGroup.currentEventLoop else {
            let body = ByteBuffer(string: "pong")
            let head = ResponseHead(status: 200, framing: .length(Int64(body.readableBytes)))
            return .answer(head, body: body, route: .ping, source: "")
        }
        for _ in 0..<10 { TurnQueue.of(loop).wait { [turns] in turns.update { $0 += 1 } } }
        let bytesPerTurn = Int64(request.path == "/whole" ? Self.length : Self.length * 5 / 2)
        return .direct(
            DirectAnswer(
                head: ResponseHead(status: 200, framing: .length(Int64(Self.length))),
                body: Zeros(bytesPerTurn: bytesPerTurn),
                range: 0..<Int64(Self.length),
                lease: Lease { [ends, turns] in ends.update { $0.append(turns.value) } },
                route: .media,
                source: "",
                firstByteDeadline: .seconds(20),
                rest: { _, _ in throw CancellationError() }
            )
        )
    }
}

private struct Zeros: DirectBody {
    let bytesPerTurn: Int64

    func send(_ range: Range<Int64>, after head: ByteBuffer, to socket: Int32) -> DirectSendResult {
        var bytes = head
        bytes.writeRepeatingByte(0, count: range.count)
        let count = bytes.withUnsafeReadableBytes { Glibc.send(socket, $0.baseAddress, $0.count, 0) }
        if count == bytes.readableBytes { return .sent(count) }
        return count >= 0 ? .full(count) : .failed(errno)
    }

    func copy(_ range: Range<Int64>) -> ByteBuffer? { ByteBuffer(repeating: 0, count: range.count) }
}
