import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix

/// A connection to the server, on its event loop: one request at a time.
final class LoadConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart

    enum Event {
        /// Requests can be made.
        case opened
        case head(HTTPResponseHead)
        case bytes(ByteBuffer)
        /// The answer is whole; another request can be made.
        case end
        /// The server ended the connection between two answers.
        case closed
        case failed(LoadFailure)
    }

    private enum State {
        case connecting
        case idle
        case asked
        case inBody
        case closed
    }

    private static let readSizes = (least: 2 << 10, first: 16 << 10, most: 256 << 10)

    private let eventLoop: any EventLoop
    private let authority: String
    private var state = State.connecting
    /// Whether there was a whole answer.
    private var hasAnswer = false
    private var channel: (any Channel)?
    private var receive: ((Event) -> Void)?

    /// Connects. To be called on `eventLoop`, as everything here.
    ///
    /// - Parameters:
    ///   - patience: for the connection to be there.
    ///   - receive: gets everything that happens, nothing after ``close()``, `closed` or `failed`.
    init(
        to server: LoadServer,
        on eventLoop: any EventLoop,
        patience: Duration,
        receive: @escaping (Event) -> Void
    ) {
        self.eventLoop = eventLoop
        authority = server.authority
        self.receive = receive
        let handler = NIOLoopBound(self, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .connectTimeout(TimeAmount(patience))
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: Self.readSizes.least,
                    initial: Self.readSizes.first,
                    maximum: Self.readSizes.most
                )
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(handler.value)
                }
            }
            .connect(to: server.address)
            .assumeIsolated()
            .whenComplete { self.connected($0) }
    }

    /// Asks, if the connection is there; an event says when it no longer is.
    func ask(_ path: String, _ request: LoadRequest, accept: String = "*/*") {
        guard case .idle = state, let channel else { return }
        var fields = HTTPHeaders([("host", authority), ("user-agent", "media-gateway-bench"), ("accept", accept)])
        if let range = request.rangeField { fields.add(name: "range", value: range) }
        state = .asked
        let head = HTTPRequestHead(version: .http1_1, method: .GET, uri: path, headers: fields)
        // That it could not be sent is said by the end of the connection.
        channel.write(HTTPClientRequestPart.head(head), promise: nil)
        channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
    }

    /// Whether bytes are taken from the socket. What was read before still comes.
    func setReading(_ isReading: Bool) {
        try? channel?.syncOptions?.setOption(.autoRead, value: isReading)
    }

    /// Nothing is told after this.
    func close() {
        receive = nil
        state = .closed
        channel?.close(promise: nil)
        channel = nil
    }

    // MARK: - What the channel tells

    private func connected(_ result: Result<any Channel, any Error>) {
        switch result {
        case .success(let channel):
            guard case .connecting = state else {
                // Nobody waits for it any more.
                channel.close(promise: nil)
                return
            }
            self.channel = channel
            state = .idle
            receive?(.opened)
        case .failure(let error): fail(Self.failure(connecting: error))
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (state, unwrapInboundIn(data)) {
        case (.asked, .head(let head)):
            // What comes before the final answer.
            guard head.status.code >= 200 else { return }
            state = .inBody
            receive?(.head(head))
        case (.inBody, .body(let bytes)): receive?(.bytes(bytes))
        case (.inBody, .end):
            state = .idle
            hasAnswer = true
            receive?(.end)
        case (.closed, _), (.asked, .end): return
        case (.connecting, _), (.idle, _), (.asked, _), (.inBody, _):
            fail(LoadFailure(.malformed, "bytes that nobody asked for"))
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch state {
        case .connecting, .closed: return
        case .idle:
            let receive = receive
            close()
            receive?(.closed)
        case .asked: fail(LoadFailure(.closed, "the connection ended before the answer"))
        case .inBody: fail(LoadFailure(.shortBody, "the connection ended within the body"))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch (state, error) {
        case (.connecting, _), (.closed, _): return
        // At once: the end of the connection, which follows, is a right one to a body without a length.
        case (.asked, is IOError): fail(LoadFailure(.closed, "the connection broke before the answer"))
        case (.inBody, is IOError): fail(LoadFailure(.shortBody, "the connection broke within the body"))
        // The end of the connection, which is told in its turn.
        case (_, is IOError), (_, is ChannelError): context.close(promise: nil)
        case (.inBody, HTTPParserError.invalidEOFState):
            fail(LoadFailure(.shortBody, "the connection ended within the body"))
        case (.asked, HTTPParserError.invalidEOFState):
            fail(LoadFailure(.closed, "the connection ended within the head"))
        // The next request may be sent before they are read.
        case (.idle, _) where hasAnswer, (.asked, HTTPParserError.invalidConstant) where hasAnswer:
            fail(LoadFailure(.malformed, "bytes that are no answer, or after the end of the one before"))
        default: fail(LoadFailure(.malformed, "not HTTP: \(error)"))
        }
    }

    private func fail(_ failure: LoadFailure) {
        let receive = receive
        close()
        receive?(.failed(failure))
    }

    private static func failure(connecting error: any Error) -> LoadFailure {
        switch error {
        case let error as IOError where error.errnoCode == ECONNREFUSED:
            LoadFailure(.refused, "nobody listens there")
        case ChannelError.connectTimeout: LoadFailure(.timeout, "no connection")
        default: LoadFailure(.unreachable, "\(error)")
        }
    }
}
