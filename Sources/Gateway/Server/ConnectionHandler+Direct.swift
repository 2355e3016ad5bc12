import Glibc
import NIOCore

// Bytes that go from where they lie to the socket, past the pipeline.
//
// They may only be sent while nothing waits in the pipeline, or they would overtake it: the channel is unwritable as
// long as one byte does. The socket is asked for at each send and never kept: a descriptor that was closed is soon
// somebody else's connection.
extension ConnectionHandler {
    /// Sends what it can of `range`, and tells `done` how much that was.
    func sendDirect(
        _ body: any DirectBody,
        _ range: Range<Int64>,
        fromSource: Bool,
        transferID: UInt64,
        _ done: EventLoopPromise<Int64>
    ) {
        guard case .answering(let transfer) = state, transfer.id == transferID, transfer.direct == nil else {
            done.fail(CancellationError())
            return
        }
        let length = Int64(range.count)
        guard !transfer.isChunked, transfer.hasBody, length <= transfer.remaining ?? length else {
            done.fail(BodyLengthError.tooLong)
            return
        }
        transfer.direct = DirectSending(body: body, isFromSource: fromSource, rest: range, completion: .promise(done))
        continueDirect(transferID: transferID)
    }

    func continueDirect(transferID: UInt64) {
        while case .answering(let transfer) = state, transfer.id == transferID, var direct = transfer.direct,
            let context
        {
            guard context.channel.isWritable else {
                waitForRoom(transferID: transferID, context)
                return
            }
            guard turnBytes < direct.body.bytesPerTurn || (direct.isWholeAnswerOut && !hasInput) else {
                waitForTurn(transferID: transferID, context)
                return
            }
            guard !direct.rest.isEmpty else {
                endDirect(transfer)
                return
            }
            transfer.encodeHead(services)
            let end = min(direct.rest.upperBound, direct.rest.lowerBound + direct.body.bytesPerTurn - turnBytes)
            let head = transfer.headBytes ?? ByteBuffer()
            let result = sendToSocket(direct.body, direct.rest.lowerBound..<end, after: head)
            switch result {
            case .sent(let count):
                turnBytes += Int64(count)
                note(count, in: transfer, &direct, at: context.eventLoop.now)
            case .full(let count):
                turnBytes += Int64(count)
                note(count, in: transfer, &direct, at: context.eventLoop.now)
                guard primeSocket(transferID: transferID, context) else { return }
            case .unavailable:
                endDirect(transfer)
                return
            case .failed:
                interrupt(.clientGone)
                return
            }
        }
    }

    private func sendToSocket(
        _ body: any DirectBody,
        _ range: Range<Int64>,
        after head: ByteBuffer
    ) -> DirectSendResult {
        (try? transport?.withUnsafeTransport { socket in body.send(range, after: head, to: socket) }) ?? .unavailable
    }

    /// Notes what the kernel took.
    private func note(_ count: Int, in transfer: Transfer, _ direct: inout DirectSending, at now: NIODeadline) {
        var bodyCount = Int64(count)
        if var head = transfer.headBytes, count > 0 {
            let headCount = min(count, head.readableBytes)
            bodyCount -= Int64(headCount)
            head.moveReaderIndex(forwardBy: headCount)
            transfer.headBytes = head.readableBytes > 0 ? head : nil
            transfer.isHeadWritten = true
        }
        transfer.bodyBytes += bodyCount
        let fetchedCount = direct.isFromSource ? bodyCount : min(direct.body.takeFetchedBytes(), bodyCount)
        if count > 0 {
            transfer.stages.mark(.firstByte, at: now.nanoseconds)
            if direct.isFromSource { transfer.stages.mark(.sourceByte, at: now.nanoseconds) }
            transfer.origin = direct.isFromSource || fetchedCount > 0 ? .source : .cache
            transfer.sourceWaitEnds(at: now, by: transfer.origin)
        }
        transfer.sourceBytes += fetchedCount
        transfer.cacheBytes += bodyCount - fetchedCount
        if let remaining = transfer.remaining { transfer.remaining = remaining - bodyCount }
        direct.sent += bodyCount
        direct.rest = direct.rest.lowerBound + bodyCount..<direct.rest.upperBound
        transfer.direct = direct
    }

    /// Leaves a few bytes with the pipeline, which tells when the full socket takes more.
    ///
    /// - Returns: whether to go on.
    private func primeSocket(transferID: UInt64, _ context: ChannelHandlerContext) -> Bool {
        guard case .answering(let transfer) = state, var direct = transfer.direct else { return false }
        let end = min(direct.rest.upperBound, direct.rest.lowerBound + DirectSending.primerBytes)
        guard let primer = direct.body.copy(direct.rest.lowerBound..<end) else {
            endDirect(transfer)
            return false
        }
        if let head = transfer.headBytes.take() {
            transfer.isHeadWritten = true
            context.write(wrapOutboundOut(head), promise: nil)
        }
        note(primer.readableBytes, in: transfer, &direct, at: context.eventLoop.now)
        context.write(wrapOutboundOut(primer), promise: nil)
        // May close the channel, or find room already.
        context.flush()
        return true
    }

    private func waitForRoom(transferID: UInt64, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        let promise = context.eventLoop.makePromise(of: Void.self)
        whenTaken(transferID: transferID, promise)
        promise.futureResult.whenSuccess {
            bound.value.turnBytes = 0
            bound.value.continueDirect(transferID: transferID)
        }
    }

    private func waitForTurn(transferID: UInt64, _ context: ChannelHandlerContext) {
        TurnQueue.of(context.eventLoop).wait { [self] in
            turnBytes = 0
            continueDirect(transferID: transferID)
        }
    }

    private func endDirect(_ transfer: Transfer) {
        guard let direct = transfer.direct.take(), let context else { return }
        // If nothing was sent, it has waited for longer.
        if case .waitingForClient = transfer.phase { transfer.phase = .waitingForSource(since: context.eventLoop.now) }
        switch direct.completion {
        case .promise(let done):
            rearm()
            done.succeed(direct.sent)
        case .answer(let answer) where direct.rest.isEmpty:
            withExtendedLifetime(answer.lease) {}
            transfer.isBodyFinished = true
            operationEnded(transferID: transfer.id, failure: nil)
        case .answer(let answer):
            let position = direct.rest.lowerBound
            launch(transfer) { exchange in
                try await answer.rest(exchange, position)
                withExtendedLifetime(answer.lease) {}
            }
        }
    }
}
