import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// A request with a body, over a connection of its own that ends with it.
///
/// Not over the client's: that one loses track of a body that is still on its way when the answer ends.
enum OriginUpload {
    /// Connects and begins to send; what comes of it the exchange is told.
    ///
    /// - Throws: ``OriginFailure`` if the request cannot be sent at all, or `CancellationError`.
    static func begin(
        _ exchange: OriginExchange,
        _ url: OriginURL,
        _ method: String,
        _ fields: HeaderFields,
        _ body: UploadBody
    ) async throws {
        let client = exchange.client
        let address = try SocketAddress(ipAddress: client.address.description, port: Int(url.origin.port))
        var tls: NIOSSLContext?
        if url.origin.scheme == .https {
            do {
                tls = try await NIOThreadPool.singleton.call { try client.tls() }
            } catch let error as NIOSSLError {
                throw OriginFailure(.unreachable, error)
            }
        }
        let head = head(url, method, fields, body)
        try client.begin(exchange)
        let connecting = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(client.connectTimeout)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelInitializer { [tls] channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        try pipeline.addHandler(
                            NIOSSLClientHandler(context: tls, serverHostname: url.origin.host.dnsName)
                        )
                    }
                    try pipeline.addHTTPClientHandlers()
                    try pipeline.addHandler(UploadHandler(exchange, head, body))
                }
            }
            .connect(to: address)
        exchange.begun(on: connecting.eventLoop) {
            connecting.whenSuccess { $0.close(promise: nil) }
        }
        connecting.whenFailure { error in
            exchange.failed(error)
            client.end(exchange)
        }
    }

    private static func head(
        _ url: OriginURL,
        _ method: String,
        _ fields: HeaderFields,
        _ body: UploadBody
    ) -> HTTPRequestHead {
        let port = url.origin.port == url.origin.scheme.defaultPort ? "" : ":\(url.origin.port)"
        var headers = HTTPHeaders([("Host", "\(url.origin.host)\(port)")] + fields.lines.map { ($0.name, $0.value) })
        headers.add(name: "Connection", value: "close")
        if let length = body.length {
            headers.add(name: "Content-Length", value: "\(length)")
        } else {
            headers.add(name: "Transfer-Encoding", value: "chunked")
        }
        return HTTPRequestHead(
            version: .http1_1,
            method: HTTPMethod(rawValue: method),
            uri: url.target,
            headers: headers
        )
    }
}

/// On the event loop of its channel.
private final class UploadHandler: ChannelDuplexHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    private let exchange: OriginExchange
    private let head: HTTPRequestHead
    private let body: UploadBody
    /// Sends the body. Cancelled when the channel ends, which the exchange sees to.
    private var sending: Task<Void, Never>?
    private var isOver = false
    /// How many parts have to be taken before more is read.
    private var untaken = 0
    private var wantsRead = false

    init(_ exchange: OriginExchange, _ head: HTTPRequestHead, _ body: UploadBody) {
        self.exchange = exchange
        self.head = head
        self.body = body
    }

    func channelActive(context: ChannelHandlerContext) {
        guard !exchange.isOver else {
            context.close(promise: nil)
            return
        }
        let bound = NIOLoopBound((self, context.channel), eventLoop: context.eventLoop)
        // With TLS it goes out when that is agreed upon.
        context.writeAndFlush(wrapOutboundOut(.head(head))).whenSuccess {
            let (handler, channel) = bound.value
            guard !handler.isOver else { return }
            handler.exchange.sent()
            handler.sending = Task { [body = handler.body, exchange = handler.exchange] in
                await body.send(over: channel, for: exchange)
            }
        }
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head) where head.status.code < 200:
            // As with the client.
            exchange.failed(HTTPParserError.invalidStatus)
        case .head(let head): exchange.received(OriginHead(head))
        case .body(let part): hold(context, exchange.received(part, on: context.eventLoop))
        case .end:
            isOver = true
            exchange.finished()
            context.close(promise: nil)
        }
    }

    private func hold(_ context: ChannelHandlerContext, _ demand: EventLoopFuture<Void>?) {
        guard let demand else { return }
        untaken += 1
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        demand.whenComplete { _ in
            let (handler, context) = bound.value
            handler.untaken -= 1
            if handler.untaken == 0, handler.wantsRead {
                handler.wantsRead = false
                context.read()
            }
        }
    }

    func read(context: ChannelHandlerContext) {
        if untaken > 0 {
            wantsRead = true
        } else {
            context.read()
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Without the goodbye of TLS an answer without a length may have been cut.
        if !isOver { exchange.failed(error) }
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isOver { exchange.failed(ChannelError.eof) }
        isOver = true
        sending?.cancel()
        exchange.client.end(exchange)
    }
}

/// The body of a request, and whether any of it was taken, so that the request cannot be made once more.
final class UploadBody: Sendable {
    private let source: any ForwardedBody
    private let touched = Mutex(false)

    init(_ source: any ForwardedBody) {
        self.source = source
    }

    var length: Int64? { source.length }

    var isTouched: Bool { touched.withLock { $0 } }

    /// Sends all of it, as the channel takes it.
    fileprivate func send(over channel: any Channel, for exchange: OriginExchange) async {
        touched.withLock { $0 = true }
        var rest = source.length
        do {
            while true {
                exchange.progressed(awaitsMore: true)
                let part = try await source.next()
                exchange.progressed(awaitsMore: false)
                guard let part else { break }
                if let left = rest {
                    let (less, overflow) = left.subtractingReportingOverflow(Int64(part.readableBytes))
                    guard !overflow, less >= 0 else { throw Self.wrongLength }
                    rest = less
                }
                guard await write(.body(.byteBuffer(part)), to: channel) else { return }
            }
            guard rest ?? 0 == 0 else { throw Self.wrongLength }
            _ = await write(.end(nil), to: channel)
            exchange.progressed(awaitsMore: false)
        } catch {
            exchange.giveUp(error)
        }
    }

    private static let wrongLength = SourceError(.refused, "the request's body is not as long as it was said to be")

    /// - Returns: whether there is a channel any more. If not, the exchange has been told why.
    private func write(_ part: HTTPClientRequestPart, to channel: any Channel) async -> Bool {
        do {
            try await channel.writeAndFlush(part).get()
            return true
        } catch {
            return false
        }
    }
}

extension HostName {
    /// What a certificate is checked for; `nil` for an address, which it is checked for itself.
    fileprivate var dnsName: String? {
        if case .name(let name) = self { name } else { nil }
    }
}
