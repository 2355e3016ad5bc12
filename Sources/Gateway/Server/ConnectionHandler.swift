import DequeModule
import Logging
import NIOCore

/// One client connection of HTTP/1: reads requests, one at a time, and sends the answers.
///
/// Invariants, all on the channel's event loop:
/// - While an answer is under way nothing more is read from the socket than somebody waits for of the request's body, and
///   what was read waits in `inbound`.
/// - An answer's bytes go out in order through one `write`; at most one buffer of it waits in this process, since
///   `Exchange.write` returns when the kernel has it (the channel's high watermark is one byte).
/// - An answer that ends other than its head announced cuts the connection: never one byte of one answer in another.
/// - A task that outlives its answer finds another transfer id, and its writes throw.
final class ConnectionHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    enum State {
        /// Between requests, or in the middle of a head that began at `headSince`.
        case awaitingHead(headSince: NIODeadline?)
        case answering(Transfer)
        /// The last answer is out and our side is closed; what still comes in is thrown away, so that the kernel does
        /// not answer it with a reset that would destroy the answer (RFC 9112 §9.6).
        case lingering(received: Int)
        case closed
    }

    let services: ConnectionServices
    let dispatcher: any RequestDispatcher
    let client: String
    var state = State.awaitingHead(headSince: nil)
    /// When the connection became idle, or began to linger.
    var stateSince = NIODeadline.uptimeNanoseconds(0)
    var context: ChannelHandlerContext?
    var inbound = ByteBuffer()
    var scanner: HeadScanner
    /// The last request that was a hit.
    var repeated: RepeatedRequest?
    /// Since a head the scanner leaves to llhttp, everything goes there.
    var usesCodec = false
    var decodedRequests = Deque<Decoded>()
    /// Whether the request that is being decoded announced a body.
    var decodesBody = false
    /// Whether llhttp gets what looks like HTTP, so that a method it does not know is no garbage.
    var looksLikeHTTP = false
    /// The request whose body is coming in; the state is then `awaitingHead`, since when the body began.
    var upload: PendingUpload?
    var isInputClosed = false
    var isDraining = false
    var isProcessing = false
    var holdsRead = false
    var nextTransferID: UInt64 = 0
    /// What was sent past the pipeline since the connection's turn began.
    var turnBytes: Int64 = 0
    var executor: LoopExecutor?
    /// Where the channel's socket is asked for.
    var transport: (any NIOTransportAccessibleChannelCore<NIOBSDSocket.Handle>)?
    var timer = DeadlineTimer()

    init(services: ConnectionServices, dispatcher: any RequestDispatcher, client: String) {
        self.services = services
        self.dispatcher = dispatcher
        self.client = client
        scanner = HeadScanner(keepsFields: dispatcher.readsAllFields)
    }

    // MARK: - Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        executor = LoopExecutor(context.eventLoop)
        transport = context.channel._channelCore as? any NIOTransportAccessibleChannelCore<NIOBSDSocket.Handle>
        stateSince = context.eventLoop.now
        rearm()
        // Accepted just before the gateway began to stop, too late to be told.
        if services.registry.isDraining {
            isDraining = true
            context.eventLoop.execute { [bound = NIOLoopBound(self, eventLoop: context.eventLoop)] in
                bound.value.closeNow()
            }
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        close()
        self.context = nil
        transport = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        close()
        context.fireChannelInactive()
    }

    func read(context: ChannelHandlerContext) {
        if hasEnoughInput {
            holdsRead = true
        } else {
            context.read()
        }
    }

    /// Whether what has come in is to be dealt with before more is read.
    var hasEnoughInput: Bool {
        switch state {
        case .answering(let transfer): transfer.incomingBody?.waiting == nil
        case .awaitingHead:
            context?.channel.isWritable == false || inbound.readableBytes > services.limits.pipelinedBytes
        case .lingering, .closed: false
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        turnBytes = 0
        switch state {
        case .closed:
            return
        case .lingering(let received):
            state = .lingering(received: received + bytes.readableBytes)
            if received > services.limits.lingeringBytes { context.close(promise: nil) }
            return
        case .answering, .awaitingHead:
            break
        }
        if inbound.readableBytes == 0 {
            inbound = bytes
        } else {
            inbound.discardReadBytes()
            inbound.writeBuffer(&bytes)
        }
        // Reading stops when there is enough, but the end of input makes NIO hand over all that came before it: of a body
        // at most what the socket held in its receive buffer anyhow, which is let in, since to cut would lose the request.
        if inbound.readableBytes > 2 * services.limits.pipelinedBytes, !isInBody {
            interrupt(.clientGone)
            return
        }
        processInbound()
    }

    /// Whether what comes in belongs to the body of a request that is being answered.
    private var isInBody: Bool {
        if case .answering(let transfer) = state { transfer.incomingBody != nil } else { upload != nil }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            // Not for llhttp, which may not have seen all that came before.
            inputClosed()
            return
        case is ChannelShouldQuiesceEvent:
            isDraining = true
            if case .awaitingHead = state { endInput() }
        case is DrainDeadlineEvent:
            interrupt(.drained)
        default:
            break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A reset or a broken pipe: the client's doing, and ordinary.
        services.logger.debug("connection failed", metadata: ["client": "\(client)", "reason": "\(error)"])
        interrupt(.clientGone)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            switch state {
            case .answering(let transfer):
                let promise = transfer.taken
                transfer.taken = nil
                promise?.succeed()
            case .awaitingHead:
                processInbound()
                resumeReading(context)
            case .lingering:
                if isInputClosed { closeNow() }
            case .closed:
                break
            }
        }
        context.fireChannelWritabilityChanged()
    }
}

/// Sent to every connection when the drain deadline has come.
struct DrainDeadlineEvent: Sendable {}
