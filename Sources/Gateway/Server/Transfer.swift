import NIOCore

/// The answer a connection is sending. Belongs to its ``ConnectionHandler``, and is changed on the event loop only.
final class Transfer {
    enum Phase {
        /// Nothing to send: the source, or whoever makes the answer, has the word.
        case waitingForSource(since: NIODeadline)
        /// The request's body is wanted, and has not come.
        case waitingForRequest(since: NIODeadline)
        /// Bytes are in this process that the kernel has not taken.
        case waitingForClient(since: NIODeadline, unsent: Int)
    }

    let id: UInt64
    let request: GatewayRequest
    let route: Route
    let source: String
    /// Between the request's head and the first byte, and then between bytes.
    let patience: TimeAmount
    /// When the wait for the first byte began: after what came of the request's body.
    var started: NIODeadline
    var isKeepAlive: Bool
    /// What has not been read of the request's body.
    var incomingBody: IncomingBody?

    var phase: Phase
    var stages: RequestStages
    /// The head, not yet written.
    var pendingHead: ResponseHead?
    /// The head as it goes on the wire, as far as neither the kernel nor the pipeline has it.
    var headBytes: ByteBuffer?
    var status = 0
    var cache: CacheOutcome?
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
    /// Where the last bytes of the body were from.
    var origin = ByteOrigin.gateway
    var taken: EventLoopPromise<Void>?
    var direct: DirectSending?
    var task: Task<Void, Never>?

    init(
        id: UInt64,
        request: GatewayRequest,
        route: Route,
        source: String,
        patience: TimeAmount,
        isKeepAlive: Bool,
        now: NIODeadline,
        stages: RequestStages
    ) {
        self.id = id
        self.request = request
        self.route = route
        self.source = source
        self.patience = patience
        self.started = now
        self.isKeepAlive = isKeepAlive
        self.phase = .waitingForSource(since: now)
        self.stages = stages
    }

    /// Sets everything up for an answer whose bytes are at hand.
    func begin(_ answer: DirectAnswer) {
        status = answer.head.status
        pendingHead = answer.head
        cache = answer.head.cache
        remaining = Int64(answer.range.count)
        direct = DirectSending(body: answer.body, isFromSource: false, rest: answer.range, completion: .answer(answer))
    }

    /// HEAD, 204 and 304 have no body, whatever is written for one (RFC 9110 §6.4.1).
    var hasBody: Bool { !request.isHead && status != 204 && status != 304 }

    /// Counts the wait that there is as one for what is from there.
    func noteWait(until now: NIODeadline, for origin: ByteOrigin) {
        guard case .waitingForSource(let since) = phase else { return }
        stages.addWait(from: since.nanoseconds, to: now.nanoseconds, isCache: origin == .cache)
        phase = .waitingForSource(since: now)
    }

    /// Whoever makes the answer has something to send, which is from there.
    func sourceWaitEnds(at now: NIODeadline, by origin: ByteOrigin) {
        noteWait(until: now, for: origin)
        phase = .waitingForClient(since: now, unsent: 0)
    }

    /// Of the body's last bytes so many did not go out.
    func takeBack(_ count: Int64) {
        bodyBytes = max(bodyBytes - count, 0)
        switch origin {
        case .gateway: break
        case .source: sourceBytes = max(sourceBytes - count, 0)
        case .cache: cacheBytes = max(cacheBytes - count, 0)
        }
    }

    /// Whether the answer has a head, sent or not.
    var isStarted: Bool { isHeadWritten || pendingHead != nil || headBytes != nil }

    /// Puts the head into the form in which it goes on the wire, if that is still to be done.
    func encodeHead(_ services: ConnectionServices) {
        guard let head = pendingHead.take() else { return }
        headBytes = services.encode(
            head,
            id: request.id,
            isKeepAlive: isKeepAlive,
            minorVersion: request.head.minorVersion,
            serverTiming: stages.serverTiming
        )
    }
}
