import DequeModule
import NIOCore
import NIOHTTP1

// Requests that are left to llhttp: rare ones, malformed ones, and those with a body.
extension ConnectionHandler {
    enum Decoded {
        /// - Parameter isLast: whether llhttp stops behind the request.
        case head(RequestHead, isLast: Bool)
        /// Of a request that announced a body.
        case body(ByteBuffer)
        case bodyEnd
        case failure(RequestProblem)
    }

    /// Puts llhttp behind this handler, for the rest of the connection.
    func installCodec(_ context: ChannelHandlerContext) {
        if let problem = firstLineProblem() {
            refuseBytes(problem)
            return
        }
        usesCodec = true
        let limits = HeadScanner.Limits()
        var configuration = NIOHTTPDecoderLimitConfiguration()
        configuration.maxHeaderFieldSize = limits.field
        configuration.maxHeaderListSize = limits.head
        configuration.maxHeaderFieldCount = limits.fieldCount
        let decoder = ByteToMessageHandler(
            HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes, limitConfiguration: configuration)
        )
        do {
            // Each goes right behind this handler, so the last one added is the first to see the bytes.
            try context.pipeline.syncOperations.addHandler(DecodedRequestHandler(self), position: .after(self))
            try context.pipeline.syncOperations.addHandler(decoder, position: .after(self))
        } catch {
            closeNow()
        }
    }

    /// Gives llhttp the next bytes: not all at once, since it makes one part of what it gets of a body.
    func decodeNext(_ context: ChannelHandlerContext) {
        guard let bytes = inbound.readSlice(length: min(inbound.readableBytes, 64 << 10)) else { return }
        if inbound.readableBytes == 0 { inbound = ByteBuffer() }
        context.fireChannelRead(wrapInboundOut(bytes))
    }

    /// A first line that llhttp would wait on, or refuse with less of a reason.
    private func firstLineProblem() -> RequestProblem? {
        let view = inbound.readableBytesView
        guard let end = view.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        let line = String(decoding: view[..<end], as: UTF8.self)
        guard let version = line.split(separator: " ").last?.trimmingSuffix("\r"), version.hasPrefix("HTTP/") else {
            // An empty line before a request is allowed (RFC 9112 §2.2).
            return line.trimmingSuffix("\r").isEmpty
                ? nil : RequestProblem(400, .badRequest, "the request line is not one of HTTP/1.1")
        }
        guard version == "HTTP/1.1" || version == "HTTP/1.0" else {
            return RequestProblem(505, .versionNotSupported, "only HTTP/1.0 and HTTP/1.1 are spoken here")
        }
        let words = line.split(separator: " ", omittingEmptySubsequences: false)
        looksLikeHTTP = words.count == 3 && !words[0].isEmpty && words[0].utf8.allSatisfy(isTokenByte)
        return nil
    }

    func decoded(_ part: HTTPServerRequestPart) {
        switch part {
        case .head(let head):
            let isLast = head.endsHTTP
            let head = RequestHead(head)
            decodesBody = head.announcesBody
            looksLikeHTTP = true
            enqueue(.head(head, isLast: isLast))
        case .body(let bytes):
            if decodesBody { enqueue(.body(bytes)) }
        case .end:
            if decodesBody { enqueue(.bodyEnd) }
            decodesBody = false
        }
    }

    func decodingFailed(_ error: any Error) {
        switch error {
        case HTTPParserError.headerOverflow:
            enqueue(.failure(RequestProblem(431, .headersTooLarge, "the request's fields are too large")))
        case HTTPParserError.invalidMethod where looksLikeHTTP:
            enqueue(.failure(RequestProblem(501, .notImplemented, "the request's method is not known here")))
        default:
            enqueue(.failure(RequestProblem(400, .badRequest, "the request is malformed")))
        }
    }

    private func enqueue(_ item: Decoded) {
        switch state {
        case .awaitingHead, .answering: decodedRequests.append(item)
        case .lingering, .closed: break
        }
    }

    /// Answers what llhttp has made of the bytes so far.
    ///
    /// - Returns: whether there was something.
    func answerDecoded() -> Bool {
        guard let next = decodedRequests.popFirst() else { return false }
        switch next {
        case .head(let head, let isLast): handle(head, hasBody: head.announcesBody, isLast: isLast)
        case .body(let bytes): received(bytes)
        case .bodyEnd: bodyReceived()
        case .failure(let problem): refuseBytes(problem)
        }
        return true
    }
}

extension HTTPRequestHead {
    /// Whether llhttp takes what follows the request for another protocol.
    fileprivate var endsHTTP: Bool { headers.contains(name: "upgrade") || method == .CONNECT }
}

extension StringProtocol {
    fileprivate func trimmingSuffix(_ suffix: String) -> SubSequence {
        hasSuffix(suffix) ? dropLast(suffix.count) : self[...]
    }
}

/// Hands what llhttp decoded back to the connection.
private final class DecodedRequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart

    private weak var connection: ConnectionHandler?

    init(_ connection: ConnectionHandler) {
        self.connection = connection
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        connection?.decoded(unwrapInboundIn(data))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        connection?.decodingFailed(error)
    }
}
