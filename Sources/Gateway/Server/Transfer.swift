import NIOCore

/// The answer a connection is sending: a value, changed on the event loop by ``ConnectionHandler``.
struct Transfer {
    enum Phase {
        /// Nothing to send: the source, or whoever makes the answer, has the word.
        case waitingForSource(since: NIODeadline)
        /// Bytes are in this process that the kernel has not taken.
        case waitingForClient(since: NIODeadline, unsent: Int)
    }

    let id: UInt64
    let request: GatewayRequest
    let route: Route
    let source: String
    /// Between the request's head and the first byte, and then between bytes.
    let patience: TimeAmount
    let started: NIODeadline
    var isKeepAlive: Bool

    var phase: Phase
    var stages: RequestStages
    /// The head, not yet written.
    var pendingHead: ResponseHead?
    /// The head as it goes on the wire, as far as neither the kernel nor the pipeline has it.
    var headBytes: ByteBuffer?
    var status = 0
    var isHeadWritten = false
    var isBodyFinished = false
    /// What is left of the announced length; `nil` if none was announced.
    var remaining: Int64?
    var isChunked = false
    /// Whether the end of the connection is the end of the body, so that an ordinary end would make it look whole.
    var endsWithConnection = false
    var bodyBytes: Int64 = 0
    var sourceBytes: Int64 = 0
    var cacheBytes: Int64 = 0
    var taken: EventLoopPromise<Void>?
    var direct: DirectSending?
    var task: Task<Void, Never>?

    init(
        id: UInt64,
        request: GatewayRequest,
        operation: Dispatch.Operation,
        isKeepAlive: Bool,
        now: NIODeadline,
        stages: RequestStages
    ) {
        self.id = id
        self.request = request
        self.route = operation.route
        self.source = operation.source
        self.patience = TimeAmount(operation.firstByteDeadline)
        self.started = now
        self.isKeepAlive = isKeepAlive
        self.phase = .waitingForSource(since: now)
        self.stages = stages
    }

    /// HEAD, 204 and 304 have no body, whatever is written for one (RFC 9110 §6.4.1).
    var hasBody: Bool { !request.isHead && status != 204 && status != 304 }

    /// Whoever makes the answer has something to send.
    mutating func sourceWaitEnds(at now: NIODeadline) {
        if case .waitingForSource(let since) = phase { stages.addSourceWait(nanoseconds: (now - since).nanoseconds) }
        phase = .waitingForClient(since: now, unsent: 0)
    }

    /// Whether the answer has a head, sent or not.
    var isStarted: Bool { isHeadWritten || pendingHead != nil || headBytes != nil }

    /// Puts the head into the form in which it goes on the wire, if that is still to be done.
    mutating func encodeHead(_ services: ConnectionServices, at now: NIODeadline) {
        guard let head = pendingHead.take() else { return }
        stages.mark(.firstByte, at: now.nanoseconds)
        headBytes = services.encode(
            head,
            id: request.id,
            isKeepAlive: isKeepAlive,
            minorVersion: request.head.minorVersion,
            serverTiming: stages.serverTiming
        )
    }
}
