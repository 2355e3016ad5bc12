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
    private var isProcessing = false
    private var holdsRead = false
    private var nextTransferID: UInt64 = 0
    private var executor: LoopExecutor?
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
    private var hasEnoughInput: Bool {
        switch state {
        case .answering(let transfer): transfer.incomingBody?.waiting == nil
        case .awaitingHead:
            context?.channel.isWritable == false || inbound.readableBytes > services.limits.pipelinedBytes
        case .lingering, .closed: false
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
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

    // MARK: - Requests

    /// Answers what has come in, until a request has to wait for something.
    func processInbound() {
        guard !isProcessing, let context else { return }
        isProcessing = true
        if case .answering(let transfer) = state { bringBody(of: transfer) }
        answerInbound(context)
        // May call back, when the kernel takes what a flush before this one could not send.
        context.flush()
        isProcessing = false
        closeIfDone()
        rearm()
    }

    private func answerInbound(_ context: ChannelHandlerContext) {
        while case .awaitingHead(let since) = state, hasInput {
            if !context.channel.isWritable { context.flush() }
            // A client that does not take its answers gets no more of them made.
            guard context.channel.isWritable else { break }
            if answerDecoded() { continue }
            if usesCodec {
                decodeNext(context)
                if case .awaitingHead(nil) = state, decodedRequests.isEmpty { headBegins(context) }
                continue
            }
            switch scanner.scan(inbound) {
            case .needMoreBytes:
                if since == nil { headBegins(context) }
                return
            case .head(let head, let length):
                inbound.moveReaderIndex(forwardBy: length)
                if inbound.readableBytes == 0 { inbound.clear() }
                handle(head, hasBody: false)
            case .unusual:
                installCodec(context)
            case .tooLong(let what):
                refuseHead(what)
            }
        }
    }

    private func headBegins(_ context: ChannelHandlerContext) {
        state = .awaitingHead(headSince: context.eventLoop.now)
    }

    var hasInput: Bool { inbound.readableBytes > 0 || !decodedRequests.isEmpty }

    /// Answers one request, or starts to.
    ///
    /// - Parameter isLast: whether what follows it on the connection is no request.
    func handle(_ head: RequestHead, hasBody: Bool, isLast: Bool = false) {
        guard let context else { return }
        let now = context.eventLoop.now
        (state, stateSince) = (.awaitingHead(headSince: nil), now)
        let stages = RequestStages(accepted: now.nanoseconds)
        let id = services.makeRequestID()
        let client = services.clientAddress(peer: client, forwardedFor: head.fields[.forwardedFor])
        let target: String
        switch RequestGate.admit(head, methods: dispatcher.methods) {
        case .success(let originForm):
            target = originForm
        case .failure(let problem):
            refuse(problem, head: head, id: id, client: client, stages: stages)
            return
        }
        let proxy = services.isTrusted(self.client) ? self.client : nil
        let request = GatewayRequest(head: head, target: target, id: id, client: client, proxy: proxy)
        let dispatch = dispatcher.dispatch(request)
        if case .upload(let upload) = dispatch, hasBody {
            receive(upload, of: request, isLast: isLast, stages: stages)
        } else if case .run(let operation) = dispatch, hasBody, operation.readsBody {
            let body = IncomingBody(expectsContinue: head.fields[.expect] != nil && head.minorVersion >= 1)
            answer(dispatch, to: request, mayContinue: !isLast, body: body, stages: stages)
        } else {
            // A body that nobody reads is in the way of the next request.
            answer(dispatch, to: request, mayContinue: !hasBody && !isLast, stages: stages)
        }
    }

    /// - Parameters:
    ///   - mayContinue: whether another request may follow on the connection, as far as this one goes.
    ///   - body: that of the request, if the operation reads it.
    func answer(
        _ dispatch: Dispatch,
        to request: GatewayRequest,
        mayContinue: Bool,
        body: IncomingBody? = nil,
        stages: RequestStages
    ) {
        let isKeepAlive =
            request.head.isKeepAlive && mayContinue && !isDraining && (!isInputClosed || hasInput)
        switch dispatch {
        case .answer(let answer, let body, let route, let source):
            send(
                answer,
                body: body,
                to: request,
                route: route,
                source: source,
                isKeepAlive: isKeepAlive,
                stages: stages
            )
        case .refuse(let problem, let route, let source):
            send(
                problem,
                to: request,
                route: route,
                source: source,
                isKeepAlive: isKeepAlive,
                stages: stages
            )
        case .run(let operation):
            let transfer = begin(
                request,
                route: operation.route,
                source: operation.source,
                firstByteDeadline: operation.firstByteDeadline,
                isKeepAlive: isKeepAlive,
                stages: stages
            )
            transfer.incomingBody = body
            launch(transfer, operation.body)
        case .direct(let answer):
            let transfer = begin(
                request,
                route: answer.route,
                source: answer.source,
                firstByteDeadline: answer.firstByteDeadline,
                isKeepAlive: isKeepAlive,
                stages: stages
            )
            transfer.begin(answer)
            continueDirect(transferID: transfer.id)
            rearm()
        case .upload(let upload):
            answer(upload.decide(ByteBuffer()), to: request, mayContinue: mayContinue, stages: stages)
        }
    }

    private func begin(
        _ request: GatewayRequest,
        route: Route,
        source: String,
        firstByteDeadline: Duration,
        isKeepAlive: Bool,
        stages: RequestStages
    ) -> Transfer {
        nextTransferID += 1
        services.reporter.began(route: route)
        let transfer = Transfer(
            id: nextTransferID,
            request: request,
            route: route,
            source: source,
            patience: TimeAmount(firstByteDeadline),
            isKeepAlive: isKeepAlive,
            now: stateSince,
            stages: stages
        )
        state = .answering(transfer)
        return transfer
    }

    /// Runs `body`, which makes the answer or the rest of it, in a task on the event loop.
    func launch(_ transfer: Transfer, _ body: @escaping @Sendable (Exchange) async throws -> Void) {
        guard let context, let executor else { return }
        let id = transfer.id
        let loop = context.eventLoop
        let exchange = Exchange(
            request: transfer.request,
            connection: self,
            loop: loop,
            executor: executor,
            transferID: id
        )
        let bound = NIOLoopBound(self, eventLoop: loop)
        // Cancelled by `interrupt`, which every way of giving up on the answer goes through.
        let task = Task(executorPreference: executor) {
            var failure: (any Error)?
            do {
                try await body(exchange)
            } catch {
                failure = error
            }
            let outcome = failure
            if loop.inEventLoop {
                bound.value.operationEnded(transferID: id, failure: outcome)
            } else {
                loop.execute { bound.value.operationEnded(transferID: id, failure: outcome) }
            }
        }
        transfer.task = task
        rearm()
    }

    // MARK: - The end of an answer

    /// The next request may come, or the connection ends.
    func answerEnded(isKeepAlive: Bool) {
        guard let context else { return }
        state = .awaitingHead(headSince: nil)
        stateSince = context.eventLoop.now
        guard isKeepAlive, !isDraining else {
            closeGently()
            return
        }
        processInbound()
        resumeReading(context)
    }

    /// Whatever else comes in is not looked at; the connection ends when the answers are out.
    private func endInput() {
        state = .awaitingHead(headSince: nil)
        isInputClosed = true
        inbound = ByteBuffer()
        decodedRequests.removeAll()
        closeIfDone()
    }

    /// Ends the connection of a client that asks for nothing more, once it has its answers.
    private func closeIfDone() {
        guard !isProcessing, case .awaitingHead = state, isInputClosed, let context, context.channel.isWritable else {
            return
        }
        closeNow()
    }

    func resumeReading(_ context: ChannelHandlerContext) {
        guard holdsRead, !hasEnoughInput else { return }
        holdsRead = false
        context.read()
    }

    /// Sends the end of our side and waits for the client's.
    func closeGently() {
        guard let context else { return }
        if isInputClosed {
            context.flush()
            endInput()
            return
        }
        state = .lingering(received: inbound.readableBytes)
        stateSince = context.eventLoop.now
        inbound = ByteBuffer()
        context.flush()
        context.close(mode: .output, promise: nil)
        resumeReading(context)
        rearm()
    }

    func closeNow() {
        guard let context else { return }
        close()
        context.close(promise: nil)
    }

    private func close() {
        if case .answering = state { interrupt(.clientGone) }
        state = .closed
        inbound = ByteBuffer()
        upload = nil
        timer.cancel()
    }

    private func inputClosed() {
        isInputClosed = true
        switch state {
        case .awaitingHead: closeIfDone()
        case .lingering: if context?.channel.isWritable == true { closeNow() }
        case .answering(let transfer):
            bringBody(of: transfer)
            rearm()
        case .closed: break
        }
    }
}

/// Sent to every connection when the drain deadline has come.
struct DrainDeadlineEvent: Sendable {}
