import Glibc
import Logging
import NIOCore
import SourcePlugins

// What an `Exchange` does to its connection.
extension ConnectionHandler {
    /// The transfer of that id, if the connection is still at it.
    private func transfer(_ id: UInt64) throws -> Transfer {
        guard case .answering(let transfer) = state, transfer.id == id else { throw CancellationError() }
        return transfer
    }

    func markResolved(transferID: UInt64) throws {
        let transfer = try transfer(transferID)
        guard let now = context?.eventLoop.now else { return }
        transfer.stages.mark(.resolved, at: now.nanoseconds)
        transfer.noteWait(until: now, for: .source)
    }

    func isStarted(transferID: UInt64) throws -> Bool {
        try transfer(transferID).isStarted
    }

    func start(_ head: ResponseHead, transferID: UInt64) throws {
        let transfer = try transfer(transferID)
        precondition(!transfer.isStarted, "an answer has one head")
        transfer.status = head.status
        transfer.pendingHead = head
        transfer.cache = head.cache
        // What the client still sends of its body would be in the way of its next request.
        if transfer.incomingBody != nil || isInputClosed && !hasInput { transfer.isKeepAlive = false }
        switch head.framing {
        case .length(let length):
            transfer.remaining = length
        case .none:
            transfer.remaining = 0
        case .chunked where transfer.request.head.minorVersion >= 1:
            transfer.isChunked = transfer.hasBody
        case .chunked, .untilClose:
            transfer.isKeepAlive = false
            transfer.endsWithConnection = transfer.hasBody
            transfer.pendingHead?.framing = .untilClose
        }
    }

    /// - Returns: whether the kernel has all of it.
    func sendHead(transferID: UInt64) throws -> Bool {
        let transfer = try transfer(transferID)
        guard let context else { throw CancellationError() }
        transfer.sourceWaitEnds(at: context.eventLoop.now, by: .gateway)
        writeHead(of: transfer, context)
        return flush(transfer, context)
    }

    /// - Returns: whether the kernel has all of it.
    func write(_ bytes: ByteBuffer, from origin: ByteOrigin, transferID: UInt64) throws -> Bool {
        let transfer = try transfer(transferID)
        guard let context else { throw CancellationError() }
        let count = Int64(bytes.readableBytes)
        guard transfer.hasBody, count > 0 else { return true }
        if let remaining = transfer.remaining {
            guard count <= remaining else { throw BodyLengthError.tooLong }
            transfer.remaining = remaining - count
        }
        if origin == .source { transfer.stages.mark(.sourceByte, at: context.eventLoop.now.nanoseconds) }
        transfer.sourceWaitEnds(at: context.eventLoop.now, by: origin)
        writeHead(of: transfer, context)
        if transfer.isChunked {
            var frame = context.channel.allocator.buffer(capacity: 20)
            frame.writeString(String(count, radix: 16) + "\r\n")
            context.write(wrapOutboundOut(frame), promise: nil)
        }
        transfer.bodyBytes += count
        transfer.origin = origin
        switch origin {
        case .gateway: break
        case .source: transfer.sourceBytes += count
        case .cache: transfer.cacheBytes += count
        }
        context.write(wrapOutboundOut(bytes), promise: nil)
        if transfer.isChunked { context.write(wrapOutboundOut(ByteBuffer(staticString: "\r\n")), promise: nil) }
        return flush(transfer, context)
    }

    /// - Returns: whether the kernel has all of the answer.
    func finishBody(transferID: UInt64) throws -> Bool {
        let transfer = try transfer(transferID)
        guard let context else { throw CancellationError() }
        if transfer.hasBody, let remaining = transfer.remaining, remaining > 0 { throw BodyLengthError.tooShort }
        transfer.sourceWaitEnds(at: context.eventLoop.now, by: transfer.origin)
        writeHead(of: transfer, context)
        if transfer.isChunked { context.write(wrapOutboundOut(ByteBuffer(staticString: "0\r\n\r\n")), promise: nil) }
        transfer.isBodyFinished = true
        return flush(transfer, context)
    }

    /// Succeeds `promise` when the kernel has all that was written, fails it if the answer is given up.
    func whenTaken(transferID: UInt64, _ promise: EventLoopPromise<Void>) {
        guard case .answering(let transfer) = state, transfer.id == transferID, let context else {
            promise.fail(CancellationError())
            return
        }
        guard !context.channel.isWritable else {
            clientTookAll(transferID: transferID)
            promise.succeed()
            return
        }
        transfer.taken = promise
        transfer.phase = .waitingForClient(since: context.eventLoop.now, unsent: Int(clamping: unsentBytes()))
        promise.futureResult.whenSuccess { [loopBound = NIOLoopBound(self, eventLoop: context.eventLoop)] in
            loopBound.value.clientTookAll(transferID: transferID)
        }
        rearm()
    }

    private func clientTookAll(transferID: UInt64) {
        guard case .answering(let transfer) = state, transfer.id == transferID, let context else { return }
        transfer.phase = .waitingForSource(since: context.eventLoop.now)
        rearm()
    }

    private func writeHead(of transfer: Transfer, _ context: ChannelHandlerContext) {
        transfer.encodeHead(services)
        guard let head = transfer.headBytes.take() else { return }
        transfer.stages.mark(.firstByte, at: context.eventLoop.now.nanoseconds)
        transfer.isHeadWritten = true
        context.write(wrapOutboundOut(head), promise: nil)
    }

    private func flush(_ transfer: Transfer, _ context: ChannelHandlerContext) -> Bool {
        context.flush()
        // The flush may have closed the channel, and with it the answer.
        guard case .answering(let transfer) = state else { return false }
        guard context.channel.isWritable else { return false }
        transfer.phase = .waitingForSource(since: context.eventLoop.now)
        rearm()
        return true
    }

    // MARK: - Ends

    /// The task that made the answer has returned or thrown.
    func operationEnded(transferID: UInt64, failure: (any Error)?) {
        guard case .answering(let transfer) = state, transfer.id == transferID else { return }
        guard let failure else {
            if transfer.isBodyFinished {
                let body = transfer.incomingBody.take()
                report(transfer, outcome: .complete)
                answerEnded(isKeepAlive: transfer.isKeepAlive)
                body?.waiting?.fail(CancellationError())
            } else {
                operationEnded(transferID: transferID, failure: BodyLengthError.tooShort)
            }
            return
        }
        if transfer.isHeadWritten {
            log(failure, of: transfer)
            interrupt(.failed)
        } else {
            fail(transfer, with: problem(for: failure, of: transfer))
        }
    }

    private func problem(for failure: any Error, of transfer: Transfer) -> RequestProblem {
        switch failure {
        case let problem as RequestProblem: return problem
        case let error as SourceError:
            switch error.code {
            // The access log has what strangers ask for in vain.
            case .badPath, .badReference, .notFound, .forbidden, .refused, .busy, .notReady: break
            case .unavailable, .changed, .timedOut, .overloaded: log(error, of: transfer)
            }
            return RequestProblem(error)
        default:
            log(failure, of: transfer)
            return .unexpected
        }
    }

    private func log(_ failure: any Error, of transfer: Transfer) {
        services.logger.warning(
            "answer failed",
            metadata: [
                "request": "\(transfer.request.id)", "source": "\(transfer.source)",
                "bytes": "\(transfer.bodyBytes)", "reason": "\(failure)",
            ]
        )
    }

    /// Answers with an error in place of an answer whose head is not written.
    func fail(_ transfer: Transfer, with problem: RequestProblem) {
        transfer.task?.cancel()
        if let now = context?.eventLoop.now { transfer.noteWait(until: now, for: .source) }
        let body = transfer.incomingBody.take()
        if body != nil { transfer.isKeepAlive = false }
        services.reporter.ended(route: transfer.route)
        state = .awaitingHead(headSince: nil)
        body?.waiting?.fail(CancellationError())
        send(
            problem,
            to: transfer.request,
            route: transfer.route,
            source: transfer.source,
            isKeepAlive: transfer.isKeepAlive,
            stages: transfer.stages
        )
        if case .awaitingHead = state { answerEnded(isKeepAlive: transfer.isKeepAlive) }
    }

    /// Gives up on the answer under way and cuts the connection; without one, just closes.
    func interrupt(_ outcome: AccessRecord.Outcome) {
        if case .answering(let transfer) = state {
            state = .closed
            let taken = transfer.taken
            transfer.taken = nil
            let body = transfer.incomingBody.take()
            let direct = transfer.direct.take()
            transfer.task?.cancel()
            if let now = context?.eventLoop.now { transfer.noteWait(until: now, for: transfer.origin) }
            if transfer.endsWithConnection { resetOnClose() }
            transfer.takeBack(unsentBytes())
            report(transfer, outcome: outcome)
            taken?.fail(CancellationError())
            body?.waiting?.fail(CancellationError())
            if case .promise(let done) = direct?.completion { done.fail(CancellationError()) }
        }
        closeNow()
    }

    /// The connection then ends with RST instead of FIN.
    private func resetOnClose() {
        // Carried out at once, since this is the channel's event loop.
        _ = (context?.channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
    }

    func unsentBytes() -> Int64 {
        let option = try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)
        return Int64(option ?? 0)
    }

    private func report(_ transfer: Transfer, outcome: AccessRecord.Outcome) {
        guard let context else { return }
        services.reporter.ended(route: transfer.route)
        services.reporter.report(
            FinishedRequest(
                request: transfer.request,
                status: transfer.status,
                route: transfer.route,
                source: transfer.source,
                bytes: transfer.bodyBytes,
                sourceBytes: transfer.sourceBytes,
                cacheBytes: transfer.cacheBytes,
                cache: transfer.cache,
                stages: transfer.stages,
                ended: context.eventLoop.now,
                outcome: outcome
            )
        )
    }
}

/// A body that does not have the length its head announced.
enum BodyLengthError: Error {
    case tooLong
    case tooShort
}

extension NIODeadline {
    /// On the scale of ``RequestStages``.
    var nanoseconds: Int64 { Int64(clamping: uptimeNanoseconds) }
}
