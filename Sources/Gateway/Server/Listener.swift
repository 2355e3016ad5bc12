package import Config
import Glibc
import Logging
package import NIOCore
import NIOPosix
import ServiceLifecycle
import SourcePlugins

/// Accepts connections on the addresses of one plane and serves HTTP on them, until graceful shutdown.
///
/// Stopping has an end: new connections are refused at once, answers under way may finish until the drain deadline,
/// and then they are cut, which players take as a reason to ask for the rest elsewhere.
package final class Listener: Service {
    private let addresses: [ListenAddress]
    private let group: any EventLoopGroup
    private let services: ConnectionServices
    private let dispatcher: any RequestDispatcher
    private let drain: DrainClock
    private let bound: @Sendable ([SocketAddress]) -> Void

    /// - Parameter bound: told the addresses once all are bound, in the order given, with the ports the system chose.
    package init(
        addresses: [ListenAddress],
        group: any EventLoopGroup,
        services: ConnectionServices,
        dispatcher: any RequestDispatcher,
        drain: DrainClock,
        bound: @escaping @Sendable ([SocketAddress]) -> Void
    ) {
        self.addresses = addresses
        self.group = group
        self.services = services
        self.dispatcher = dispatcher
        self.drain = drain
        self.bound = bound
    }

    /// - Throws: ``ListenError`` if an address cannot be bound.
    package func run() async throws {
        var servers: [any Channel] = []
        do {
            for address in addresses { servers.append(try await bind(address)) }
        } catch {
            for server in servers { try? await server.close() }
            throw error
        }
        bound(servers.compactMap(\.localAddress))
        await untilShutdown()
        for server in servers { try? await server.close() }
        for case .unix(let path) in addresses { unlink(path) }
        await drainConnections()
    }

    private func drainConnections() async {
        let registry = services.registry
        let loop = group.next()
        let empty = loop.makePromise(of: Void.self)
        registry.drain(empty)
        let deadline = loop.scheduleTask(deadline: drain.begin(now: loop.now)) { registry.cut() }
        drain.onHurry { registry.cut() }
        try? await empty.futureResult.get()
        deadline.cancel()
    }

    private func bind(_ address: ListenAddress) async throws -> any Channel {
        let (services, dispatcher) = (services, dispatcher)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptGate(services.registry))
                }
            }
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            // Unwritable as soon as a byte is left over: at most one buffer of an answer waits in this process.
            .childChannelOption(.writeBufferWaterMark, value: .init(low: 1, high: 2))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let peer = channel.remoteAddress?.ipAddress ?? "unix"
                    let handler = ConnectionHandler(services: services, dispatcher: dispatcher, client: peer)
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
        do {
            switch address {
            case .tcp(let host, let port):
                return
                    try await bootstrap
                    .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                    .childChannelOption(.socketOption(.so_keepalive), value: 1)
                    .childChannelOption(unsentLowWater, value: 1 << 20)
                    .bind(host: host, port: port).get()
            case .unix(let path):
                guard !UnixSocket.isListenedOn(path) else {
                    throw IOError(errnoCode: EADDRINUSE, reason: "another process listens there")
                }
                return try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            }
        } catch {
            throw ListenError(address: address, reason: error)
        }
    }
}

/// An address that cannot be listened on.
package struct ListenError: Error, CustomStringConvertible {
    package let address: ListenAddress
    package let reason: any Error

    package var description: String {
        let cause = (reason as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(reason)"
        return "cannot listen on \(address): \(cause)"
    }
}

/// Stops accepting while the connections are at their limit: what waits in the backlog costs no descriptor, and the
/// loop does not spin on EMFILE.
private final class AcceptGate: ChannelDuplexHandler {
    typealias InboundIn = any Channel
    typealias InboundOut = any Channel
    typealias OutboundIn = Never

    private static let largestBatch = 64

    private let registry: ConnectionRegistry
    private var isBackingOff = false

    init(_ registry: ConnectionRegistry) {
        self.registry = registry
    }

    func read(context: ChannelHandlerContext) {
        guard !isBackingOff else { return }
        let (loop, bound) = (context.eventLoop, NIOLoopBound((self, context), eventLoop: context.eventLoop))
        let readLater: @Sendable () -> Void = {
            loop.execute {
                let (gate, context) = bound.value
                gate.read(context: context)
            }
        }
        guard registry.hasRoom(orCall: readLater) else { return }
        // Many at a time, or the last of a crowd waits for as many rounds of the event loop as there are before it. What
        // else came in since this was set it does not know: each further address may go over the limit by a batch.
        let batch = max(1, min(Self.largestBatch, registry.limit / 64, registry.room))
        // Fails only for a channel that is closed.
        try? context.channel.syncOptions?.setOption(.maxMessagesPerRead, value: UInt(batch))
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        registry.add(unwrapInboundIn(data))
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Out of descriptors or memory, most likely: asking again at once would only spin.
        guard !isBackingOff else { return }
        isBackingOff = true
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .seconds(1)) {
            let (gate, context) = bound.value
            gate.isBackingOff = false
            gate.read(context: context)
        }
    }
}

/// TCP_NOTSENT_LOWAT: how much the kernel queues for a connection beyond what is on its way. Without it a reader that
/// stopped holds 4 MiB of kernel memory; with less than 1 MiB a fast one is sent so little at a time that it costs more.
private let unsentLowWater = ChannelOptions.Types.SocketOption(level: .tcp, name: NIOBSDSocket.Option(rawValue: 25))

private enum UnixSocket {
    /// Whether some process accepts connections on the socket at `path`, whose file must then not be taken over.
    static func isListenedOn(_ path: String) -> Bool {
        guard let address = try? SocketAddress(unixDomainSocketPath: path) else { return false }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return address.withSockAddr { connect(descriptor, $0, socklen_t($1)) == 0 }
    }
}
