import Gateway
import NIOCore
import SourceContract

/// A listener whose routes do with the bodies of requests what tests want to see.
struct BodyServer: Sendable {
    let port: Int
    let routes: BodyRoutes

    func client() async throws -> RawClient { try await RawClient(port: port) }

    /// Asks for something else until `time` has passed.
    func pass(_ time: Duration) async throws {
        let client = try await client()
        let end = ContinuousClock.now + time
        repeat { _ = try await client.request("/ping") } while ContinuousClock.now < end
        try await client.close()
    }

    static func with(
        limits adjust: (inout ConnectionServices.Limits) -> Void = { $0.goneClient = .seconds(60) },
        _ body: @Sendable (BodyServer) async throws -> Void
    ) async throws {
        var limits = ConnectionServices.Limits()
        adjust(&limits)
        let services = ConnectionServices.quiet(ConnectionRegistry(limit: 1000), limits)
        let routes = BodyRoutes()
        try await TestListener.with(services, routes, patience: .seconds(20)) { listener in
            try await body(BodyServer(port: listener.port, routes: routes))
        }
    }
}

struct BodyRoutes: RequestDispatcher {
    enum Reading: Sendable, Equatable {
        case part(Int)
        case end
        case failed(status: Int)
        case cancelled
    }

    /// What `/echo`, `/held` and `/early` have seen of their bodies.
    let readings = Observed<[Reading]>([])
    /// What `/held` waits for once it has the body.
    let gate = Gate()

    var methods: RequestGate.Methods { .any }

    func dispatch(_ request: GatewayRequest) -> Dispatch {
        switch request.path {
        case "/echo": operation { try await echo($0) {} }
        case "/held": operation { try await echo($0) { try await gate.pass() } }
        case "/early": operation { try await answerEarly($0) }
        case "/upload":
            .upload(
                Upload(route: .media, source: "", limit: 10 << 20) { body in
                    .answer(Self.head(body), body: body, route: .media, source: "")
                }
            )
        default: .answer(Self.head(Self.pong), body: Self.pong, route: .ping, source: "")
        }
    }

    private func operation(_ body: @escaping @Sendable (Exchange) async throws -> Void) -> Dispatch {
        .run(
            Dispatch.Operation(
                route: .media,
                source: "",
                firstByteDeadline: .seconds(60),
                readsBody: true,
                body: body
            )
        )
    }

    private func echo(_ exchange: Exchange, _ wait: () async throws -> Void) async throws {
        var body = ByteBuffer()
        while var part = try await next(exchange) {
            body.writeBuffer(&part)
            // As slow as an origin, so that the socket is ahead of the reader.
            try await exchange.endTurn()
        }
        try await wait()
        try await exchange.respond(Self.head(body), body: body)
    }

    /// Answers after the first part, while another is waited for.
    private func answerEarly(_ exchange: Exchange) async throws {
        Task(executorPreference: exchange.executor) { while try await next(exchange) != nil {} }
        _ = try await readings.until { !$0.isEmpty }
        try await exchange.respond(Self.head(Self.pong), body: Self.pong)
    }

    private func next(_ exchange: Exchange) async throws -> ByteBuffer? {
        do {
            let part = try await exchange.nextBodyPart()
            readings.update { $0.append(part.map { .part($0.readableBytes) } ?? .end) }
            return part
        } catch {
            let reading = (error as? RequestProblem).map { Reading.failed(status: $0.status) } ?? .cancelled
            readings.update { $0.append(reading) }
            throw error
        }
    }

    private static let pong = ByteBuffer(string: "pong")

    private static func head(_ body: ByteBuffer) -> ResponseHead {
        ResponseHead(status: 200, framing: .length(Int64(body.readableBytes)))
    }
}
