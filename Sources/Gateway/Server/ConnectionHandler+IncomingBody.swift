import NIOCore

/// A request's body that is read while the answer is made.
struct IncomingBody {
    /// Whether the client waits to be told to send it (RFC 9110 §10.1.1).
    var expectsContinue: Bool
    /// Told the next bytes, `nil` at the end.
    var waiting: EventLoopPromise<ByteBuffer?>?
    var pace = BodyPace()
}

// Requests whose body is passed on as it comes in: no more is read from the socket than somebody waits for.
extension ConnectionHandler {
    /// Brings the next bytes of the request's body, `nil` once there are no more, and at once if there is none.
    func nextBodyPart(transferID: UInt64, _ promise: EventLoopPromise<ByteBuffer?>) {
        guard case .answering(let transfer) = state, transfer.id == transferID, let context else {
            promise.fail(CancellationError())
            return
        }
        guard var body = transfer.incomingBody else {
            promise.succeed(nil)
            return
        }
        if body.expectsContinue {
            body.expectsContinue = false
            if !transfer.isStarted {
                let interim = ByteBuffer(staticString: "HTTP/1.1 100 Continue\r\n\r\n")
                context.writeAndFlush(wrapOutboundOut(interim), promise: nil)
            }
        }
        body.waiting = promise
        transfer.incomingBody = body
        // Who is behind with taking the answer is waited for as before.
        if case .waitingForSource = transfer.phase {
            transfer.noteWait(until: context.eventLoop.now, for: .source)
            transfer.phase = .waitingForRequest(since: context.eventLoop.now)
        }
        bringBody(of: transfer)
        rearm()
    }

    /// Hands over what has come in of the body, or has more read.
    func bringBody(of transfer: Transfer) {
        guard let context, let promise = transfer.incomingBody?.waiting else { return }
        while decodedRequests.isEmpty, inbound.readableBytes > 0 {
            decodeNext(context)
        }
        switch decodedRequests.first {
        case nil where isInputClosed:
            transfer.incomingBody?.waiting = nil
            promise.fail(RequestProblem(400, .badRequest, "the request ends before its body does"))
        case nil:
            resumeReading(context)
            return
        case .body(let bytes):
            decodedRequests.removeFirst()
            transfer.incomingBody?.waiting = nil
            note(bytes.readableBytes, in: transfer, at: context.eventLoop.now)
            promise.succeed(bytes)
        case .bodyEnd:
            decodedRequests.removeFirst()
            transfer.incomingBody = nil
            promise.succeed(nil)
        case .failure(let problem):
            transfer.incomingBody?.waiting = nil
            promise.fail(problem)
        case .head:
            transfer.incomingBody = nil
            promise.succeed(nil)
        }
        if case .waitingForRequest = transfer.phase { transfer.phase = .waitingForSource(since: context.eventLoop.now) }
        transfer.started = context.eventLoop.now
    }

    private func note(_ count: Int, in transfer: Transfer, at now: NIODeadline) {
        guard case .waitingForRequest(let since) = transfer.phase else { return }
        transfer.incomingBody?.pace.received(count, after: now - since, services.limits)
    }
}
