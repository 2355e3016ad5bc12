import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import SourceContract
import Synchronization

/// An HTTP/1.1 origin in this process that serves ``PatternBytes`` with ranges, well or in a way that it is told.
///
/// It knows nothing of HTTP but what it writes, so that it can write anything.
final class FaultyOrigin: Sendable {
    struct Request: Sendable {
        let line: String
        /// With the query, as it was sent.
        let target: String
        let fields: [(name: String, value: String)]
        /// How many requests for the same target came before.
        let earlier: Int
        /// As far as it was read before the answer.
        var body: [UInt8] = []

        var method: String { line.split(separator: " ").first.map(String.init) ?? "" }

        func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

        /// Of a single `bytes=a-b`.
        var range: ClosedRange<Int64>? {
            guard let text = field("range"), text.hasPrefix("bytes=") else { return nil }
            let ends = text.dropFirst(6).split(separator: "-").compactMap { Int64($0) }
            return ends.count == 2 ? ends[0]...ends[1] : nil
        }
    }

    struct Reply: Sendable {
        enum Ending: Sendable {
            case keep
            case close
            case reset
            /// Nothing more comes, and the connection stays open.
            case stall
        }

        var head: String
        /// Whether the head's characters are bytes of ISO 8859-1 on the wire.
        var isLatin1 = false
        var body: [ByteBuffer] = []
        /// Made piece by piece as it is sent, after ``body``.
        var content: (bytes: PatternBytes, range: Range<Int64>)?
        var isChunked = false
        /// In the chunked coding, whether the last chunk comes.
        var endsChunks = true
        var pieceSize = 64 << 10
        /// Between two pieces.
        var pace = TimeAmount.zero
        var ending = Ending.keep
    }

    struct Activity: Sendable {
        var requests: [Request] = []
        var connections = 0
        /// Requests whose answer was not sent to its end.
        var open = 0
        /// Bytes of bodies that the kernel took.
        var sent: Int64 = 0
    }

    let activity = Observed(Activity())
    fileprivate let script: OriginScript
    private let channel: Mutex<(any Channel)?> = Mutex(nil)

    private init(_ script: OriginScript) {
        self.script = script
    }

    var port: Int { channel.withLock { $0?.localAddress?.port } ?? 0 }

    var requests: [Request] { activity.value.requests }

    /// No longer takes connections. Those that are there go on.
    func stop() async throws {
        try await channel.withLock { $0.take() }?.close()
    }

    /// - Parameters:
    ///   - port: 0 for any.
    ///   - tls: `nil` for none.
    static func with<Value>(
        _ script: OriginScript,
        port: Int = 0,
        tls: NIOSSLContext? = nil,
        _ body: (FaultyOrigin) async throws -> Value
    ) async throws -> Value {
        let origin = FaultyOrigin(script)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: false)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls { try pipeline.addHandler(NIOSSLServerHandler(context: tls)) }
                    try pipeline.addHandler(Connection(origin))
                }
            }
            .bind(host: "127.0.0.1", port: port).get()
        origin.channel.withLock { $0 = channel }
        do {
            let value = try await body(origin)
            try await group.shutdownGracefully()
            return value
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    fileprivate func begin(_ head: RequestHead, _ body: [UInt8]) -> Reply {
        let request = activity.update { activity in
            let earlier = activity.requests.count { $0.target == head.target }
            let request = Request(
                line: head.line,
                target: head.target,
                fields: head.fields,
                earlier: earlier,
                body: body
            )
            activity.requests.append(request)
            activity.open += 1
            return request
        }
        return script.reply(request)
    }
}

/// How an origin answers.
struct OriginScript: Sendable {
    /// What becomes of the body of a request.
    enum Upload: Sendable {
        case read
        /// The answer is sent before it.
        case late
        /// Never taken from the socket, and the answer is sent before it.
        case ignored
    }

    let reply: @Sendable (FaultyOrigin.Request) -> FaultyOrigin.Reply
    var upload = Upload.read

    init(upload: Upload = .read, _ reply: @escaping @Sendable (FaultyOrigin.Request) -> FaultyOrigin.Reply) {
        self.reply = reply
        self.upload = upload
    }

    /// As it should, with the same object everywhere.
    static let sound = OriginScript { OriginObject().reply($0) }
    /// Never.
    static let silent = OriginScript { _ in FaultyOrigin.Reply(head: "", ending: .stall) }
}

/// One connection; on its event loop.
private final class Connection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let origin: FaultyOrigin
    private var received = ByteBuffer()
    /// The head of the request whose body is being read.
    private var head: RequestHead?
    private var isAnswering = false

    init(_ origin: FaultyOrigin) {
        self.origin = origin
    }

    func channelActive(context: ChannelHandlerContext) {
        origin.activity.update { $0.connections += 1 }
    }

    func channelInactive(context: ChannelHandlerContext) {
        origin.activity.update { activity in
            activity.connections -= 1
            if isAnswering { activity.open -= 1 }
        }
        isAnswering = false
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        // The rest of a body whose request was answered.
        if origin.script.upload != .read, !origin.requests.isEmpty { return }
        received.writeBuffer(&buffer)
        answer(context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    private func answer(_ context: ChannelHandlerContext) {
        guard !isAnswering else { return }
        if head == nil { head = RequestHead(&received) }
        guard let head else { return }
        var body: [UInt8] = []
        switch origin.script.upload {
        case .read:
            guard let whole = head.readBody(&received) else { return }
            body = whole
        case .late: received.clear()
        case .ignored:
            received.clear()
            _ = context.channel.setOption(.autoRead, value: false)
        }
        self.head = nil
        isAnswering = true
        let reply = origin.begin(head, body)
        context.write(wrapOutboundOut(reply.headBytes), promise: nil)
        for buffer in reply.body { context.write(wrapOutboundOut(buffer), promise: nil) }
        send(reply, from: reply.content?.range.lowerBound ?? 0, context)
    }

    /// Sends the content from `offset` on, a piece when the kernel has taken the one before.
    private func send(_ reply: FaultyOrigin.Reply, from offset: Int64, _ context: ChannelHandlerContext) {
        guard let (bytes, range) = reply.content, offset < range.upperBound else {
            if reply.isChunked, reply.endsChunks {
                context.write(wrapOutboundOut(ByteBuffer(string: "0\r\n\r\n")), promise: nil)
            }
            return finish(reply, context)
        }
        let end = min(offset + Int64(reply.pieceSize), range.upperBound)
        var piece = bytes.buffer(offset..<end)
        if reply.isChunked {
            var chunk = ByteBuffer(string: String(end - offset, radix: 16) + "\r\n")
            chunk.writeBuffer(&piece)
            chunk.writeString("\r\n")
            piece = chunk
        }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(piece)).whenSuccess {
            let (connection, context) = bound.value
            connection.origin.activity.update { $0.sent += end - offset }
            guard reply.pace > .zero else { return connection.send(reply, from: end, context) }
            context.eventLoop.scheduleTask(in: reply.pace) {
                bound.value.0.send(reply, from: end, bound.value.1)
            }
        }
    }

    private func finish(_ reply: FaultyOrigin.Reply, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).whenSuccess {
            let (connection, context) = bound.value
            switch reply.ending {
            case .stall: break
            case .keep:
                connection.over()
                connection.answer(context)
            case .close:
                connection.over()
                context.close(promise: nil)
            case .reset:
                connection.over()
                // With this, close(2) sends a RST.
                let socket = context.channel as? any SocketOptionProvider
                socket?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in
                    bound.value.1.close(promise: nil)
                }
            }
        }
    }

    private func over() {
        guard isAnswering else { return }
        isAnswering = false
        origin.activity.update { $0.open -= 1 }
    }
}

/// The head of a request, and how to find its body's end.
struct RequestHead: Sendable {
    let line: String
    let target: String
    let fields: [(name: String, value: String)]

    /// - Returns: `nil` if it is not all there; else it is taken from `received`.
    init?(_ received: inout ByteBuffer) {
        let text = String(buffer: received)
        guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
        received.moveReaderIndex(forwardBy: text[..<end.upperBound].utf8.count)
        let lines = text[..<end.lowerBound].split(separator: "\r\n")
        line = String(lines.first ?? "")
        let parts = line.split(separator: " ")
        target = parts.count > 1 ? String(parts[1]) : ""
        fields = lines.dropFirst().map { line in
            let colon = line.firstIndex(of: ":") ?? line.endIndex
            let value = line[colon...].dropFirst()
            return (name: line[..<colon].lowercased(), value: String(value.drop { $0 == " " }))
        }
    }

    private func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// - Returns: `nil` if it is not all there.
    func readBody(_ received: inout ByteBuffer) -> [UInt8]? {
        if field("transfer-encoding") == "chunked" { return readChunks(&received) }
        return received.readBytes(length: field("content-length").flatMap { Int($0) } ?? 0)
    }

    private func readChunks(_ received: inout ByteBuffer) -> [UInt8]? {
        var rest = received
        var body: [UInt8] = []
        while let end = rest.readableBytesView.firstIndex(of: 0x0A) {
            let line = rest.readString(length: end - rest.readerIndex + 1) ?? ""
            guard let size = Int(line.dropLast(1), radix: 16), let bytes = rest.readBytes(length: size),
                rest.readBytes(length: 2) != nil
            else { return nil }
            body += bytes
            guard size == 0 else { continue }
            received = rest
            return body
        }
        return nil
    }
}

extension FaultyOrigin.Reply {
    fileprivate var headBytes: ByteBuffer {
        guard isLatin1 else { return ByteBuffer(string: head) }
        return ByteBuffer(bytes: head.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
    }
}
