import NIOCore

/// What follows an answer: the next request, or the end of the connection.
extension ConnectionHandler {
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
    func endInput() {
        state = .awaitingHead(headSince: nil)
        isInputClosed = true
        inbound = ByteBuffer()
        decodedRequests.removeAll()
        closeIfDone()
    }

    /// Ends the connection of a client that asks for nothing more, once it has its answers.
    func closeIfDone() {
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

    func close() {
        if case .answering = state { interrupt(.clientGone) }
        state = .closed
        inbound = ByteBuffer()
        upload = nil
        timer.cancel()
    }

    func inputClosed() {
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
