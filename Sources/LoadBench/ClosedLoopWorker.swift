import NIOCore
import NIOHTTP1

/// A connection that asks again as soon as it has its answer, or when the next request is due.
final class ClosedLoopWorker: LoadWorker {
    private enum State {
        /// Without a connection until then.
        case waiting(until: Duration)
        case connecting
        /// With a connection, until the next request is due.
        case idle
        case asking(Asked)
        case stopped
    }

    private struct Asked {
        let request: LoadRequest
        /// When it was due, or made.
        let at: Duration
        var lastByte: Duration
        var check: BodyCheck?
        /// Whether the connection is left open after the answer.
        var keepsConnection = true
    }

    /// After a failure, or a connection that was ended unused, so that a server that refuses is not asked without an end.
    private static let respite = Duration.milliseconds(100)

    private let context: WorkerContext
    private var random: SeededRandom
    private var state = State.waiting(until: .zero)
    private var connection: LoadConnection?
    /// Whether there was an answer on this connection.
    private var hasAnswer = false
    private var stoppedAt: Duration?
    /// When the request that waits for its time, or for a connection, is due.
    private var due: Duration?

    init(_ context: WorkerContext, random: SeededRandom) {
        self.context = context
        self.random = random
    }

    private var isStopping: Bool { stoppedAt != nil }

    var isDone: Bool {
        if case .stopped = state { return true }
        return false
    }

    func start(at now: Duration) { connect() }

    func tick(at now: Duration) {
        switch state {
        case .waiting(let until) where now >= until: connect()
        case .asking(let asked) where now - asked.lastByte > context.plan.patience:
            fail(LoadFailure(.timeout, "no byte for \(context.plan.patience.inSeconds) s"))
        default: break
        }
    }

    func stop(at now: Duration) {
        stoppedAt = now
        switch state {
        case .asking, .stopped: break
        case .waiting, .connecting, .idle: cut()
        }
    }

    func cut() {
        if let due { context.pace?.giveBack(due) }
        due = nil
        connection?.close()
        connection = nil
        state = .stopped
    }

    private func connect() {
        state = .connecting
        hasAnswer = false
        connection = LoadConnection(to: context.server, on: context.eventLoop, patience: context.plan.patience) {
            [weak self] in self?.take($0)
        }
    }

    // MARK: - Asking

    private func next() {
        state = .idle
        guard !isStopping else { return cut() }
        guard let pace = context.pace else { return ask(at: context.now) }
        let due = self.due ?? pace.take()
        self.due = due
        let left = due - context.now
        guard left > .zero else { return askDue() }
        context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(left)) { [weak self] in self?.askDue() }
    }

    private func askDue() {
        guard case .idle = state, let due else { return }
        self.due = nil
        ask(at: due)
    }

    private func ask(at time: Duration) {
        let request = nextRequest()
        state = .asking(Asked(request: request, at: time, lastByte: context.now, check: nil))
        connection?.ask(item.path, request)
    }

    private var item: LoadItem { context.plan.items[0] }

    private func nextRequest() -> LoadRequest {
        guard case .range(let wanted) = context.plan.work, let size = context.size, size > 0 else { return .whole }
        let length = min(max(wanted, 1), size)
        let first = Int64.random(in: 0...(size - length), using: &random)
        return .range(first: first, last: first + length - 1)
    }

    // MARK: - The answer

    private func take(_ event: LoadConnection.Event) {
        switch event {
        case .opened: next()
        case .head(let head): take(head)
        case .bytes(let bytes): take(bytes)
        case .end: finish()
        case .closed: reconnect()
        case .failed(let failure): fail(failure)
        }
    }

    private func take(_ head: HTTPResponseHead) {
        guard case .asking(var asked) = state else { return }
        let now = context.now
        do {
            let body = try asked.request.announced(by: head, size: context.size)
            asked.check = BodyCheck(item.reference, position: body.position, size: body.size)
            asked.keepsConnection = head.isKeepAlive && (body.length != nil || head.isChunked)
        } catch {
            return fail(error)
        }
        asked.lastByte = now
        state = .asking(asked)
        context.recorder.record { $0.answered(firstByte: now - asked.at) }
    }

    private func take(_ bytes: ByteBuffer) {
        guard case .asking(var asked) = state, var check = asked.check else { return }
        let before = check.compared
        do {
            try check.take(bytes)
        } catch {
            return fail(error)
        }
        let now = context.now
        (asked.check, asked.lastByte) = (check, now)
        state = .asking(asked)
        context.recorder.record { $0.received(bytes.readableBytes, compared: check.compared - before) }
        // It is long, and right so far.
        if let stoppedAt, now - stoppedAt > context.plan.drain { cut() }
    }

    private func finish() {
        guard case .asking(let asked) = state else { return }
        let now = context.now
        hasAnswer = true
        context.recorder.record { $0.finished(after: now - asked.at) }
        if asked.keepsConnection || isStopping { return next() }
        connection?.close()
        connect()
    }

    /// After the server ended the connection, as it may where nothing is under way.
    private func reconnect() {
        if isStopping { return cut() }
        if hasAnswer { return connect() }
        connection = nil
        state = .waiting(until: context.now + Self.respite)
    }

    private func fail(_ failure: LoadFailure) {
        var failure = failure
        if case .asking(let asked) = state, let range = asked.request.rangeField {
            failure = LoadFailure(failure.kind, "\(range) of \(item.name): \(failure.detail)")
        }
        context.recorder.record { $0.failed(failure) }
        connection?.close()
        connection = nil
        state = isStopping ? .stopped : .waiting(until: context.now + Self.respite)
    }
}

extension HTTPResponseHead {
    /// Whether the body itself says where it ends. One without a length ends with the connection otherwise
    /// (RFC 9112 §6.3), whatever the field `Connection` says.
    fileprivate var isChunked: Bool {
        headers[canonicalForm: "transfer-encoding"].last?.lowercased() == "chunked"
    }
}
