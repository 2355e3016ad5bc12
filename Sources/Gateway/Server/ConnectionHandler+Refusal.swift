import NIOCore

// Answers that are sent at once.
extension ConnectionHandler {
    func send(
        _ head: ResponseHead,
        body: ByteBuffer?,
        to request: GatewayRequest,
        route: Route,
        source: String,
        isKeepAlive: Bool,
        stages: RequestStages
    ) {
        guard let context else { return }
        let now = context.eventLoop.now
        var stages = stages
        stages.mark(.firstByte, at: now.nanoseconds)
        var bytes = services.encode(
            head,
            id: request.id,
            isKeepAlive: isKeepAlive,
            minorVersion: request.head.minorVersion,
            serverTiming: nil
        )
        var bodyBytes = 0
        if let body, !request.isHead {
            bodyBytes = body.readableBytes
            bytes.writeImmutableBuffer(body)
        }
        context.write(wrapOutboundOut(bytes), promise: nil)
        services.reporter.report(
            FinishedRequest(
                request: request,
                status: head.status,
                route: route,
                source: source,
                bytes: Int64(bodyBytes),
                sourceBytes: 0,
                cacheBytes: 0,
                cache: nil,
                stages: stages,
                ended: now,
                outcome: .complete
            )
        )
        if !isKeepAlive { closeGently() }
    }

    func send(
        _ problem: RequestProblem,
        to request: GatewayRequest,
        route: Route,
        source: String,
        isKeepAlive: Bool,
        stages: RequestStages
    ) {
        let (head, body) = services.answer(to: problem, id: request.id, route: route)
        send(head, body: body, to: request, route: route, source: source, isKeepAlive: isKeepAlive, stages: stages)
    }

    /// Refuses a request that did not pass the gate, and closes: what follows a bad request is not looked at.
    func refuse(_ problem: RequestProblem, head: RequestHead, id: RequestID, client: String, stages: RequestStages) {
        let request = GatewayRequest(head: head, target: head.target, id: id, client: client)
        send(problem, to: request, route: .refused, source: "", isKeepAlive: false, stages: stages)
    }

    /// Refuses what never became a request.
    func refuseBytes(_ problem: RequestProblem) {
        guard case .awaitingHead = state, let context else { return }
        let stages = RequestStages(accepted: context.eventLoop.now.nanoseconds)
        let head = RequestHead(method: .other("-"), target: "-", minorVersion: 1)
        refuse(problem, head: head, id: services.makeRequestID(), client: client, stages: stages)
        context.flush()
    }

    func refuseHead(_ what: HeadScanner.TooLong) {
        switch what {
        case .target: refuseBytes(RequestProblem(414, .targetTooLong, "the request target is too long"))
        case .fields: refuseBytes(RequestProblem(431, .headersTooLarge, "the request's fields are too large"))
        }
    }
}
