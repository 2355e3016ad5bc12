import NIOCore

// Every wait of a connection ends.
extension ConnectionHandler {
    /// When something has to be done if nothing happens; `nil` if nothing has.
    private var deadline: NIODeadline? {
        let limits = services.limits
        switch state {
        case .awaitingHead(let headSince?):
            return headSince + (upload == nil ? limits.head : limits.body)
        case .awaitingHead(nil):
            return stateSince + (services.isRunningShort ? limits.idleWhenShort : limits.idle)
        case .answering(let transfer):
            switch transfer.phase {
            case .waitingForSource(let since):
                let patience = (transfer.isHeadWritten ? since : transfer.started) + transfer.patience
                return isGone(transfer) ? min(patience, since + limits.goneClient) : patience
            case .waitingForRequest(let since):
                return since + (transfer.incomingBody?.pace.timeLeft(limits) ?? limits.body)
            case .waitingForClient(let since, _):
                return since + stallLimit
            }
        case .lingering:
            return stateSince + limits.lingering
        case .closed:
            return nil
        }
    }

    /// Whether the client seems to have left. One that sends a body may just be saying that this is all of it.
    private func isGone(_ transfer: Transfer) -> Bool {
        isInputClosed && !transfer.request.head.announcesBody
    }

    private var stallLimit: TimeAmount {
        services.isRunningShort ? services.limits.stallWhenShort : services.limits.stall
    }

    func rearm() {
        guard let context, let deadline else { return }
        var next = deadline
        switch state {
        case .answering(let transfer):
            // A stalled client is looked at ten times as often, to tell the moment it last took a byte.
            guard case .waitingForClient = transfer.phase else { break }
            next = min(deadline, context.eventLoop.now + .nanoseconds(stallLimit.nanoseconds / 10))
        case .awaitingHead(nil):
            // Connections may run short while this one is idle.
            next = min(deadline, context.eventLoop.now + services.limits.idleWhenShort)
        case .awaitingHead, .lingering, .closed:
            break
        }
        guard timer.needsSetting(next) else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        timer.set(next, on: context.eventLoop) { bound.value.timerFired() }
    }

    private func timerFired() {
        timer.fired()
        guard let context else { return }
        noteProgress(context)
        if let deadline, deadline <= context.eventLoop.now { deadlineReached() }
        rearm()
    }

    private func noteProgress(_ context: ChannelHandlerContext) {
        guard case .answering(let transfer) = state, case .waitingForClient(_, let before) = transfer.phase else {
            return
        }
        let unsent = Int(clamping: unsentBytes())
        guard unsent != before else { return }
        transfer.phase = .waitingForClient(since: context.eventLoop.now, unsent: unsent)
    }

    private func deadlineReached() {
        switch state {
        case .awaitingHead(nil), .lingering:
            closeNow()
        case .awaitingHead:
            refuseBytes(RequestProblem(408, .requestTimedOut, "the request did not arrive in time"))
        case .answering(let transfer):
            switch transfer.phase {
            case .waitingForSource where isGone(transfer): interrupt(.clientGone)
            case .waitingForSource where !transfer.isHeadWritten: fail(transfer, with: .firstByteDeadline)
            case .waitingForSource: interrupt(.failed)
            case .waitingForRequest where transfer.isHeadWritten: interrupt(.clientGone)
            case .waitingForRequest:
                fail(transfer, with: RequestProblem(408, .requestTimedOut, "the body did not arrive in time"))
            case .waitingForClient: interrupt(.stalled)
            }
        case .closed:
            break
        }
    }
}
