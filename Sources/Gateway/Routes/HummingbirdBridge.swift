import HTTPTypes
import Hummingbird
import Logging
import NIOCore

/// What a route of Hummingbird's router gets besides the request.
struct GatewayRequestContext: RequestContext {
    struct Source: RequestContextSource {
        let logger: Logger
        let request: GatewayRequest
    }

    var coreContext: CoreRequestContextStorage
    let request: GatewayRequest

    init(source: Source) {
        coreContext = CoreRequestContextStorage(source: source)
        request = source.request
    }
}

extension Exchange {
    /// Has one of Hummingbird's responders answer.
    ///
    /// The responder is called directly, without Hummingbird's own channel: its writer runs ahead of the socket, does
    /// not notice a client that left, and lets a body end short. Here the body goes through ``write(_:from:)``.
    func forward(to responder: any HTTPResponder<GatewayRequestContext>, logger: Logger) async throws {
        let head = HTTPRequest(
            method: request.head.routedMethod,
            scheme: "http",
            authority: request.head.fields[.host],
            path: request.target,
            headerFields: request.head.httpFields
        )
        let source = GatewayRequestContext.Source(logger: logger, request: request)
        let response = try await responder.respond(
            to: Request(head: head, body: RequestBody(buffer: ByteBuffer())),
            context: GatewayRequestContext(source: source)
        )
        try await send(response)
    }

    func send(_ response: Response) async throws {
        var answer = ResponseHead(
            status: response.status.code,
            framing: response.body.contentLength.map { .length(Int64($0)) } ?? .chunked
        )
        for field in response.headers where field.name != .contentLength {
            answer.add(field.name.rawName, field.value)
        }
        try await start(answer)
        try await response.body.write(BodyWriter(exchange: self))
    }
}

extension RequestHead {
    /// HEAD is a GET whose body the exchange drops.
    fileprivate var routedMethod: HTTPRequest.Method {
        switch method {
        case .get, .head, .options: .get
        case .other(let name): HTTPRequest.Method(name) ?? .get
        }
    }
}

private struct BodyWriter: ResponseBodyWriter {
    let exchange: Exchange

    mutating func write(_ buffer: ByteBuffer) async throws {
        try await exchange.write(buffer)
    }

    consuming func finish(_ trailingHeaders: HTTPFields?) async throws {
        try await exchange.finish()
    }
}
