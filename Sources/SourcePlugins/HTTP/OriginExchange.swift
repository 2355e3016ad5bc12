import AsyncHTTPClient
import NIOCore
import NIOHTTP1
import Synchronization

/// One request to an origin and its answer, taken as it is wanted.
///
/// What nobody takes stays in the socket, but for two parts. Each wait has a limit of its own, which does not run while
/// nobody waits. The request ends with the answer, with a failure, or with ``cancel()``; whoever holds the exchange
/// sees to one of them.
///
/// An answer's head may have 256 fields, 80 KiB each and 2 MiB together: limits of SwiftNIO's decoder, which fails the
/// exchange above them.
final class OriginExchange: HTTPClientResponseDelegate {
    private struct State {
        var task: HTTPClient.Task<Void>?
        var isSent = false
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
    private let client: OriginClient
    private let state = Mutex(State())

    /// How much of an answer is read for nothing, so that its connection can be used again.
    private static let longestSurplus = 64 << 10
    private static let mostParts = 2

    init(_ client: OriginClient) {
        self.client = client
    }

    // MARK: - For the reader, one task at a time

    /// Sends a request, and waits for the head of its answer.
    ///
    /// - Throws: ``OriginFailure`` or `CancellationError`.
    func send(
        _ url: OriginURL,
        _ fields: [(name: String, value: String)],
        within limit: Duration
    ) async throws
        -> OriginHead
    {
        let task: HTTPClient.Task<Void>
        do {
            let request = try HTTPClient.Request(url: url.description, headers: HTTPHeaders(fields.map { ($0, $1) }))
            // The address was vetted for this host: nobody may read another one out of the URL.
            guard request.host == url.origin.host.description, request.port == Int(url.origin.port) else {
                throw OriginFailure(.malformed)
            }
            task = client.http.execute(request: request, delegate: self)
        } catch {
            throw OriginFailure(.malformed, error)
        }
        // A client that was shut down tells the delegate nothing.
        task.futureResult.whenFailure { [weak self] error in self?.failed(error) }
        let isOver = state.withLock { state in
            if state.outcome == nil { state.task = task }
            return state.outcome != nil
        }
        if isOver { task.cancel() }
        let deadline = NIODeadline.now() + TimeAmount(limit)
        while true {
            let (head, changes) = try state.withLock { state in
                if state.head == nil { try state.outcome?.get() }
                return (state.head, state.changes)
            }
            if let head { return head }
            try await change(since: changes, until: deadline)
        }
    }

    /// The next bytes of the body, never none; `nil` after the last.
    ///
    /// - Throws: ``OriginFailure`` or `CancellationError`.
    func next(within limit: Duration) async throws -> ByteBuffer? {
        let deadline = NIODeadline.now() + TimeAmount(limit)
        while true {
            let (part, isOver, changes) = try take()
            if let part { return part }
            if isOver { return nil }
            try await change(since: changes, until: deadline)
        }
    }

    private func take() throws -> (ByteBuffer?, isOver: Bool, changes: UInt64) {
        let (part, isOver, changes, demand) = try state.withLock { state in
            let part = state.parts.isEmpty ? nil : state.parts.removeFirst()
            if part == nil { try state.outcome?.get() }
            return (part, state.outcome != nil, state.changes, part == nil ? nil : state.demand.take())
        }
        demand?.succeed()
        return (part, isOver, changes)
    }

    private func change(since changes: UInt64, until deadline: NIODeadline) async throws {
        watch(until: deadline)
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isChanged = state.withLock { state in
                    if state.changes != changes || state.outcome != nil { return true }
                    state.waiting = continuation
                    return false
                }
                if isChanged { continuation.resume() }
            }
        } onCancel: {
            cancel()
        }
        state.withLock { $0.deadline = nil }
    }

    /// Ends the exchange if it has not ended.
    func cancel() {
        end(.failure(CancellationError()))
    }

    /// Waits for the end of a body that is not wanted but known to be short, so that its connection is free afterwards.
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
            watch(until: .now() + .seconds(5))
        }
        demand?.succeed()
    }

    // MARK: - Limits

    /// One timer serves all waits: it is set again when it fires, or for a wait that ends earlier.
    private func watch(until deadline: NIODeadline) {
        let loop = state.withLock { state -> (any EventLoop)? in
            guard state.outcome == nil else { return nil }
            state.deadline = deadline
            if let looksAt = state.looksAt, looksAt <= deadline { return nil }
            guard let loop = state.task?.eventLoop else { return nil }
            state.looksAt = deadline
            return loop
        }
        if let loop { schedule(deadline, on: loop) }
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

    // MARK: - From the client, on its event loop

    func didSendRequestHead(task: HTTPClient.Task<Void>, _ head: HTTPRequestHead) {
        state.withLock { $0.isSent = true }
    }

    func didReceiveHead(task: HTTPClient.Task<Void>, _ head: HTTPResponseHead) -> EventLoopFuture<Void> {
        let fields = head.headers.map { (name: $0.name, value: $0.value) }
        wake { $0.head = OriginHead(status: Int(head.status.code), fields: fields) }
        return task.eventLoop.makeSucceededVoidFuture()
    }

    func didReceiveBodyPart(task: HTTPClient.Task<Void>, _ part: ByteBuffer) -> EventLoopFuture<Void> {
        guard part.readableBytes > 0 else { return task.eventLoop.makeSucceededVoidFuture() }
        let (demand, isTooMuch) = wake { state -> (EventLoopPromise<Void>?, Bool) in
            guard state.outcome == nil else { return (nil, false) }
            if let surplus = state.surplus {
                state.surplus = surplus - part.readableBytes
                return (nil, surplus < part.readableBytes)
            }
            state.parts.append(part)
            guard state.parts.count >= Self.mostParts else { return (nil, false) }
            let demand = task.eventLoop.makePromise(of: Void.self)
            state.demand = demand
            return (demand, false)
        }
        if isTooMuch { cancel() }
        return demand?.futureResult ?? task.eventLoop.makeSucceededVoidFuture()
    }

    func didFinishRequest(task: HTTPClient.Task<Void>) {
        end(.success(()))
    }

    func didReceiveError(task: HTTPClient.Task<Void>, _ error: any Error) {
        failed(error)
    }

    private func failed(_ error: any Error) {
        let isSent = state.withLock { $0.isSent }
        end(.failure(OriginFailure(error, isSent: isSent)))
    }

    private func end(_ outcome: Result<Void, any Error>) {
        let (task, demand) = wake { state -> (HTTPClient.Task<Void>?, EventLoopPromise<Void>?) in
            guard state.outcome == nil else { return (nil, nil) }
            state.outcome = outcome
            return (state.task.take(), state.demand.take())
        }
        demand?.succeed()
        if case .failure = outcome { task?.cancel() }
    }

    private func wake<Value>(_ change: (inout State) -> Value) -> Value {
        let (value, waiting) = state.withLock { state in
            let value = change(&state)
            state.changes += 1
            return (value, state.waiting.take())
        }
        waiting?.resume()
        return value
    }
}

/// Why there is no answer, or not all of one.
struct OriginFailure: Error, Sendable, CustomStringConvertible {
    enum Kind: Sendable, CaseIterable {
        /// There is nobody at the address.
        case unreachable
        case connectTimedOut
        /// Every connection is in use.
        case noConnection
        case timedOut
        /// The connection ended too early.
        case broken
        /// What came is not HTTP, or more than is taken.
        case malformed
        case shuttingDown
    }

    let kind: Kind
    let cause: (any Error)?

    init(_ kind: Kind, _ cause: (any Error)? = nil) {
        self.kind = kind
        self.cause = cause
    }

    /// - Parameter isSent: whether the request had gone out when it failed.
    init(_ error: any Error, isSent: Bool) {
        self.init(Self.kind(of: error, isSent: isSent), error)
    }

    private static func kind(of error: any Error, isSent: Bool) -> Kind {
        switch error {
        case let error as HTTPClientError:
            switch error {
            case .connectTimeout, .tlsHandshakeTimeout: .connectTimedOut
            case .getConnectionFromPoolTimeout: .noConnection
            case .alreadyShutdown, .cancelled: .shuttingDown
            case .remoteConnectionClosed: isSent ? .broken : .unreachable
            default: isSent ? .malformed : .unreachable
            }
        case ChannelError.connectTimeout: .connectTimedOut
        case HTTPParserError.invalidEOFState: .broken
        case is HTTPParserError: .malformed
        default: isSent ? .broken : .unreachable
        }
    }

    var description: String { cause.map { "\(kind) (\($0))" } ?? "\(kind)" }
}

extension SourceError {
    init(_ failure: OriginFailure) {
        switch failure.kind {
        case .unreachable: self.init(.unavailable, "the origin cannot be reached", cause: failure)
        case .connectTimedOut: self.init(.timedOut, "the origin did not accept a connection in time", cause: failure)
        case .noConnection:
            self.init(.overloaded, "all connections to the origin are in use; raise connections", cause: failure)
        case .timedOut: self.init(.timedOut, "the origin fell silent", cause: failure)
        case .broken: self.init(.unavailable, "the origin closed the connection too early", cause: failure)
        case .malformed: self.init(.unavailable, "the origin sent what is not HTTP, or too much of it", cause: failure)
        case .shuttingDown: self.init(.unavailable, "the gateway is shutting down", cause: failure)
        }
    }
}

extension TimeAmount {
    fileprivate init(_ duration: Duration) { self = .nanoseconds(duration.wholeNanoseconds) }
}
