import NIOCore
import NIOPosix
import Synchronization

/// A server in this process that answers ranges of one film, well or in a way that it is told.
///
/// It knows nothing of HTTP but what it writes, so that it can write anything.
struct FaultyServer: Sendable {
    static let size: Int64 = 300_000

    struct Request: Sendable {
        let path: String
        /// `nil` without a range.
        let range: ClosedRange<Int64>?
    }

    struct Reply: Sendable {
        var head: String
        var body: [UInt8] = []
        var closes = false
        /// Closes with a reset, as a process does that dies.
        var resets = false
        /// The server stands still for so long: all answers that come after this one wait for it.
        var delay = TimeAmount.zero
    }

    /// How many there were, and at a time.
    final class Connections: Sendable {
        private let counts = Mutex((made: 0, open: 0, most: 0))

        var made: Int { counts.withLock { $0.made } }
        var most: Int { counts.withLock { $0.most } }

        fileprivate func opened() {
            counts.withLock { counts in
                counts.made += 1
                counts.open += 1
                counts.most = max(counts.most, counts.open)
            }
        }

        fileprivate func closed() { counts.withLock { $0.open -= 1 } }
    }

    let port: Int
    let connections: Connections

    var url: String { "http://127.0.0.1:\(port)/film.mkv" }

    /// Other bytes at every position.
    private static let film = (0..<Int(size)).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }

    /// As it should be.
    static func sound(_ request: Request) -> Reply {
        guard let range = request.range else {
            return Reply(head: "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", body: Array("pong".utf8))
        }
        guard range.upperBound < size else {
            return Reply(head: "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n")
        }
        return Reply(
            head: "HTTP/1.1 206 Partial Content\r\nContent-Length: \(range.count)\r\n"
                + "Content-Range: bytes \(range.lowerBound)-\(range.upperBound)/\(size)\r\n\r\n",
            body: Array(film[Int(range.lowerBound)...Int(range.upperBound)])
        )
    }

    /// A server that runs while `body` does.
    ///
    /// - Parameter keepsConnections: whether it reads a request at all before it closes a connection.
    static func with<Value>(
        keepsConnections: Bool = true,
        _ reply: @escaping @Sendable (Request) -> Reply,
        _ body: (FaultyServer) async throws -> Value
    ) async throws -> Value {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let (pause, connections) = (Pause(), Connections())
        do {
            let channel = try await ServerBootstrap(group: group)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(
                            Connection(reply, pause, connections, isKept: keepsConnections)
                        )
                    }
                }
                .bind(host: "127.0.0.1", port: 0).get()
            let value = try await body(FaultyServer(port: channel.localAddress?.port ?? 0, connections: connections))
            try await group.shutdownGracefully()
            return value
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// The C struct, as SO_LINGER takes it: no waiting, and a reset in place of the end.
    private struct Linger: Sendable {
        var isOn: CInt = 1
        var seconds: CInt = 0
    }

    /// Until when the server stands still.
    private final class Pause: Sendable {
        private let end = Mutex(NIODeadline.now())

        func extended(by delay: TimeAmount) -> NIODeadline {
            end.withLock { end in
                end = max(end, .now() + delay)
                return end
            }
        }
    }

    private final class Connection: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        private let reply: @Sendable (Request) -> Reply
        private let pause: Pause
        private let connections: Connections
        private let isKept: Bool
        private var received = ""

        init(
            _ reply: @escaping @Sendable (Request) -> Reply,
            _ pause: Pause,
            _ connections: Connections,
            isKept: Bool
        ) {
            self.reply = reply
            self.pause = pause
            self.connections = connections
            self.isKept = isKept
        }

        func channelActive(context: ChannelHandlerContext) {
            connections.opened()
            if !isKept { context.close(promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) { connections.closed() }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received += String(buffer: unwrapInboundIn(data))
            // The client asks for nothing before it has its answer.
            guard received.hasSuffix("\r\n\r\n") else { return }
            let reply = reply(Self.request(received))
            received = ""
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            context.eventLoop.scheduleTask(deadline: pause.extended(by: reply.delay)) {
                bound.value.0.send(reply, bound.value.1)
            }
        }

        private func send(_ reply: Reply, _ context: ChannelHandlerContext) {
            var buffer = ByteBuffer(string: reply.head)
            buffer.writeBytes(reply.body)
            guard buffer.readableBytes > 0 || reply.closes || reply.resets else { return }
            let written = context.writeAndFlush(wrapOutboundOut(buffer))
            guard reply.closes || reply.resets else { return }
            let context = NIOLoopBound(context, eventLoop: context.eventLoop)
            written.whenComplete { _ in
                if reply.resets, let options = context.value.channel as? any SocketOptionProvider {
                    _ = options.unsafeSetSocketOption(level: .socket, name: .so_linger, value: Linger())
                }
                context.value.close(promise: nil)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private static func request(_ text: String) -> Request {
            let lines = text.split(separator: "\r\n")
            let path = lines.first?.split(separator: " ").dropFirst().first ?? ""
            let field = lines.first { $0.lowercased().hasPrefix("range: bytes=") }
            let ends = field?.dropFirst("range: bytes=".count).split(separator: "-").compactMap { Int64($0) } ?? []
            guard let first = ends.first else { return Request(path: String(path), range: nil) }
            return Request(path: String(path), range: first...max(min(ends.dropFirst().first ?? size, size - 1), first))
        }
    }
}
