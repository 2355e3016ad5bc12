import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import Synchronization

/// One request to an origin and its answer, taken as it is wanted.
///
/// What nobody takes stays in the socket, but for two parts. Each wait has a limit of its own, which does not run
/// while nobody waits, nor while the request's own body is waited for. The request ends with the answer, with a
/// failure, or with ``cancel()``; whoever holds the exchange sees to one of them.
///
/// An answer's head may have 256 fields, 80 KiB each and 2 MiB together: limits of SwiftNIO's decoder, which fails the
/// exchange above them.
final class OriginExchange: HTTPClientResponseDelegate {
    private struct State {
        /// Ends the work behind the exchange; `nil` before it has begun, and at the end.
        var stop: (@Sendable () -> Void)?
        var loop: (any EventLoop)?
        var slot: ConnectionSlot?
        var isSent = false
        /// Whether nobody but the request's own body can make the exchange get on.
        var awaitsBody = false
        /// When the request's body last got on.
        var lastProgress: NIODeadline?
        var head: OriginHead?
        /// Parts that came and were not taken.
        var parts: [ByteBuffer] = []
        /// Kept while more parts are not wanted.
        var demand: EventLoopPromise<Void>?
        /// How it ended; `nil` while it has not.
        var outcome: Result<Void, any Error>?
        /// How much more may come that nobody wants; `nil` while it is wanted.
        var surplus: Int?
        /// Goes up with everything that a wait may be for.
        var changes: UInt64 = 0
        var waiting: CheckedContinuation<Void, Never>?
        /// The end of the current wait.
        var deadline: NIODeadline?
        /// When the timer that counts fires; those set for later say nothing.
        var looksAt: NIODeadline?
    }

    /// Keeps the client from being shut down.
    let client: OriginClient
    /// How often connections had been refused when the request began.
    private let refusals: UInt64
    private let state: Mutex<State>

    /// How much of an answer is read for nothing, so that its connection can be used again.
    private static let longestSurplus = 64 << 10
    private static let mostParts = 2

    init(_ client: OriginClient, _ slot: ConnectionSlot) {
        self.client = client
        refusals = client.refusals
        var state = State()
        state.slot = slot
        self.state = Mutex(state)
    }

    // MARK: - For the reader, one task at a time

    /// Sends a request, and waits for the head of its answer.
    ///
    /// - Throws: ``OriginFailure`` or `CancellationError`, and whatever the body throws.
    func send(
        _ url: OriginURL,
        _ request: OriginRequest,
        _ fields: HeaderFields,
        within limit: Duration
    ) async throws -> OriginHead {
        if let body = request.body {
            try await OriginUpload.begin(self, url, request.method, fields, body)
        } else {
            try begin(url, request.method, fields)
        }
        let start = NIODeadline.now()
        while true {
            let (head, changes) = try state.withLock { state in
                if state.head == nil { try state.outcome?.get() }
                return (state.head, state.changes)
            }
            if let head { return head }
            try await change(since: changes, start, TimeAmount(limit))
        }
    }

    private func begin(_ url: OriginURL, _ method: String, _ fields: HeaderFields) throws {
        let task: HTTPClient.Task<Void>
        do {
            var headers = HTTPHeaders(fields.lines.map { ($0.name, $0.value) })
            headers.replaceOrAdd(name: RequestTargetHandler.field, value: url.target)
            let request = try HTTPClient.Request(
                url: "\(url.origin.scheme)://\(url.origin.host):\(url.origin.port)/",
                method: HTTPMethod(rawValue: method),
                headers: headers
            )
            // The address was vetted for this host: nobody may read another one out of the URL.
            guard request.host == url.origin.host.description, request.port == Int(url.origin.port) else {
                throw OriginFailure(.malformed)
            }
            task = client.http.execute(request: request, delegate: self)
        } catch {
            throw SourceError(.refused, "the request cannot be sent to the origin", cause: error)
        }
        // A client that was shut down tells the delegate nothing.
        task.futureResult.whenFailure { [weak self] error in self?.failed(error) }
        begun(on: task.eventLoop) { task.cancel() }
    }

    /// The next bytes of the body, never none; `nil` after the last.
    ///
    /// - Throws: ``OriginFailure`` or `CancellationError`, and whatever the request's body throws.
    func next(within limit: Duration) async throws -> ByteBuffer? {
        let start = NIODeadline.now()
        while true {
            let (part, isOver, changes) = try take()
            if let part { return part }
            if isOver { return nil }
            try await change(since: changes, start, TimeAmount(limit))
        }
    }

    private func take() throws -> (ByteBuffer?, isOver: Bool, changes: UInt64) {
        let (part, isOver, changes, demand) = try state.withLock { state in
            let part = state.parts.isEmpty ? nil : state.parts.removeFirst()
            if part == nil { try state.outcome?.get() }
            let wantsMore = part != nil && state.parts.count < Self.mostParts
            return (part, state.outcome != nil, state.changes, wantsMore ? state.demand.take() : nil)
        }
        demand?.succeed()
        return (part, isOver, changes)
    }

    private func change(since changes: UInt64, _ start: NIODeadline, _ limit: TimeAmount) async throws {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isChanged = state.withLock { state in
                    if state.changes != changes || state.outcome != nil { return true }
                    state.waiting = continuation
                    return false
                }
                if isChanged {
                    continuation.resume()
                } else {
                    watch { $0.waiting == nil || $0.awaitsBody ? nil : max(start, $0.lastProgress ?? start) + limit }
                }
            }
        } onCancel: {
            cancel()
        }
    }

    /// Ends the exchange if it has not ended.
    func cancel() {
        end(.failure(CancellationError()))
    }

    /// Waits for the end of a body that is not wanted but known to be short, so that its connection is free
    /// afterwards.
    func finish(within limit: Duration) async {
        for _ in 0..<4 {
            // However it ends, there is nothing more to learn from it.
            guard (try? await next(within: limit)) != nil else { return }
        }
    }

    /// The rest of the body is not wanted. A short one is read all the same, so that the connection can be used again.
    func discard() {
        let (isLong, demand) = state.withLock { state in
            guard state.outcome == nil else { return (false, nil as EventLoopPromise<Void>?) }
            let surplus = Self.longestSurplus - state.parts.reduce(0) { $0 + $1.readableBytes }
            state.surplus = surplus
            state.parts = []
            let length = state.head?.single("content-length").flatMap(byteCount) ?? 0
            return (surplus < 0 || length > Self.longestSurplus, state.demand.take())
        }
        if isLong {
            cancel()
        } else {
            watch { _ in .now() + .seconds(5) }
        }
        demand?.succeed()
    }

    // MARK: - Limits

    /// One timer serves all waits: it is set again when it fires, or for a wait that ends earlier. A wait's limit ends
    /// with the wait, and not only when whoever waited gets on.
    private func watch(until deadline: (State) -> NIODeadline?) {
        let next = state.withLock { state -> (NIODeadline, any EventLoop)? in
            guard state.outcome == nil, let deadline = deadline(state) else { return nil }
            state.deadline = deadline
            if let looksAt = state.looksAt, looksAt <= deadline { return nil }
            guard let loop = state.loop else { return nil }
            state.looksAt = deadline
            return (deadline, loop)
        }
        if let (deadline, loop) = next { schedule(deadline, on: loop) }
    }

    private func schedule(_ time: NIODeadline, on loop: any EventLoop) {
        loop.scheduleTask(deadline: time) { [weak self] in self?.look(at: time, on: loop) }
    }

    private func look(at time: NIODeadline, on loop: any EventLoop) {
        let deadline = state.withLock { state -> NIODeadline? in
            guard state.looksAt == time else { return nil }
            state.looksAt = state.outcome == nil ? state.deadline : nil
            return state.looksAt
        }
        guard let deadline else { return }
        if deadline <= .now() {
            end(.failure(OriginFailure(.timedOut)))
        } else {
            schedule(deadline, on: loop)
        }
    }

    // MARK: - For whoever does the work

    /// - Parameter stop: is called if the exchange ends before the work does.
    func begun(on loop: any EventLoop, stop: @escaping @Sendable () -> Void) {
        let isOver = state.withLock { state in
            if state.outcome == nil { (state.loop, state.stop) = (loop, stop) }
            return state.outcome != nil
        }
        if isOver { stop() }
    }

    var isOver: Bool { state.withLock { $0.outcome != nil } }

    /// The head of the request has gone out.
    func sent() { state.withLock { $0.isSent = true } }

    /// The request's body got on.
    ///
    /// - Parameter awaitsMore: whether more of it is waited for now, and not for the origin to take it.
    func progressed(awaitsMore: Bool) {
        wake { state in
            state.awaitsBody = awaitsMore
            state.lastProgress = .now()
        }
    }

    func received(_ head: OriginHead) {
        wake { if $0.outcome == nil { $0.head = head } }
    }

    /// - Returns: succeeds when more is wanted; `nil` if it is at once.
    func received(_ part: ByteBuffer, on loop: any EventLoop) -> EventLoopFuture<Void>? {
        guard part.readableBytes > 0 else { return nil }
        let (demand, isTooMuch) = wake { state -> (EventLoopPromise<Void>?, Bool) in
            guard state.outcome == nil else { return (nil, false) }
            if let surplus = state.surplus {
                state.surplus = surplus - part.readableBytes
                return (nil, surplus < part.readableBytes)
            }
            state.parts.append(part)
            guard state.parts.count >= Self.mostParts else { return (nil, false) }
            let demand = state.demand ?? loop.makePromise(of: Void.self)
            state.demand = demand
            return (demand, false)
        }
        if isTooMuch { cancel() }
        return demand?.futureResult
    }

    func finished() { end(.success(())) }

    func failed(_ error: any Error) {
        let isSent = state.withLock { $0.isSent }
        var failure = OriginFailure(error, isSent: isSent)
        if failure.kind == .unreachable { failure.isShared = !client.noteRefusal(since: refusals) }
        end(.failure(failure))
    }

    /// Ends the exchange with an error that is not the origin's.
    func giveUp(_ error: any Error) { end(.failure(error)) }

    private func end(_ outcome: Result<Void, any Error>) {
        // The slot ends outside the lock.
        let (stop, demand, _) = wake { state -> ((@Sendable () -> Void)?, EventLoopPromise<Void>?, ConnectionSlot?) in
            guard state.outcome == nil else { return (nil, nil, nil) }
            state.outcome = outcome
            return (state.stop.take(), state.demand.take(), state.slot.take())
        }
        demand?.succeed()
        if case .failure = outcome { stop?() }
    }

    private func wake<Value>(_ change: (inout State) -> Value) -> Value {
        let (value, waiting) = state.withLock { state in
            let value = change(&state)
            state.changes += 1
            if state.waiting != nil { state.deadline = nil }
            return (value, state.waiting.take())
        }
        waiting?.resume()
        return value
    }
}

// MARK: - From the client, on its event loop

extension OriginExchange {
    func didSendRequestHead(task: HTTPClient.Task<Void>, _ head: HTTPRequestHead) { sent() }

    func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        // Interim answers do not come this far, but for a change of protocols that nobody asked for.
        if head.status.code < 200 { failed(HTTPParserError.invalidStatus) }
        received(OriginHead(head))
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ part: ByteBuffer) -> EventLoopFuture<Void> {
        received(part, on: task.eventLoop) ?? task.eventLoop.makeSucceededVoidFuture()
    }

    func didFinishRequest(task: HTTPClient.Task<Void>) { finished() }

    func didReceiveError(task: HTTPClient.Task<Void>, _ error: any Error) { failed(error) }
}

extension OriginHead {
    init(_ head: HTTPResponseHead) {
        self.init(status: Int(head.status.code), fields: head.headers.map { (name: $0.name, value: $0.value) })
    }
}

extension TimeAmount {
    fileprivate init(_ duration: Duration) { self = .nanoseconds(duration.wholeNanoseconds) }
}
