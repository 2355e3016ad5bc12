import NIOCore

/// From what has come in to the answers that begin.
extension ConnectionHandler {
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
            if since == nil, answerRepeated(context) { continue }
            switch scanner.scan(inbound) {
            case .needMoreBytes:
                if since == nil { headBegins(context) }
                return
            case .head(let head, let length):
                let bytes = head.fields[.range] == nil ? nil : inbound.getBytes(at: inbound.readerIndex, length: length)
                consume(length)
                handle(head, bytes, hasBody: false)
            case .unusual:
                installCodec(context)
            case .tooLong(let what):
                refuseHead(what)
            }
        }
    }

    private func consume(_ length: Int) {
        inbound.moveReaderIndex(forwardBy: length)
        // Given back, so that the channel reads into the same memory again.
        if inbound.readableBytes == 0 { inbound = ByteBuffer() }
    }

    /// Answers the last request that was a hit, if it comes again for other bytes and is one again.
    private func answerRepeated(_ context: ChannelHandlerContext) -> Bool {
        guard let repeated, let match = repeated.match(inbound), let answer = repeated.answers.answer(to: match.range)
        else { return false }
        consume(match.length)
        stateSince = context.eventLoop.now
        let request = repeated.request.repeated(range: match.text, id: services.makeRequestID())
        let stages = RequestStages(accepted: stateSince.nanoseconds)
        self.answer(.direct(answer), to: request, mayContinue: true, stages: stages)
        return true
    }

    private func headBegins(_ context: ChannelHandlerContext) {
        state = .awaitingHead(headSince: context.eventLoop.now)
    }

    var hasInput: Bool { inbound.readableBytes > 0 || !decodedRequests.isEmpty }

    /// Answers one request, or starts to.
    ///
    /// - Parameters:
    ///   - bytes: those of the head, if it was plain and asks for a range.
    ///   - isLast: whether what follows it on the connection is no request.
    func handle(_ head: RequestHead, _ bytes: [UInt8]? = nil, hasBody: Bool, isLast: Bool = false) {
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
        if let bytes, case .direct(let answer) = dispatch, let others = answer.others {
            repeated = RepeatedRequest(request, head: bytes, answers: others)
        }
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
}
