package import NIOCore

/// One answer being sent: what the code that makes it sees of the connection.
///
/// Every call throws `CancellationError` once the connection has given up on the answer.
package struct Exchange: Sendable {
    package let request: GatewayRequest
    private let connection: NIOLoopBound<ConnectionHandler>
    let loop: any EventLoop
    private let transferID: UInt64
    /// Runs tasks on the connection's event loop.
    package let executor: any TaskExecutor

    init(
        request: GatewayRequest,
        connection: ConnectionHandler,
        loop: any EventLoop,
        executor: any TaskExecutor,
        transferID: UInt64
    ) {
        self.request = request
        self.connection = NIOLoopBound(connection, eventLoop: loop)
        self.loop = loop
        self.transferID = transferID
        self.executor = executor
    }

    /// The next bytes of the request's body, which are read from the socket when they are asked for; `nil` at the end.
    ///
    /// - Throws: ``RequestProblem`` if what the client sends is no body.
    package func nextBodyPart() async throws -> ByteBuffer? {
        let (connection, id) = (connection, transferID)
        let promise = loop.makePromise(of: ByteBuffer?.self)
        if loop.inEventLoop {
            connection.value.nextBodyPart(transferID: id, promise)
        } else {
            loop.execute { connection.value.nextBodyPart(transferID: id, promise) }
        }
        return try await promise.futureResult.get()
    }

    /// Sets the head. It goes out with the first bytes of the body, or with the end of the answer.
    package func start(_ head: ResponseHead) async throws {
        let id = transferID
        try await onLoop { try $0.start(head, transferID: id) }
    }

    /// Sends the head, of an answer whose first bytes may be long in coming.
    package func sendHead() async throws {
        let id = transferID
        let isTaken = try await onLoop { try $0.sendHead(transferID: id) }
        if !isTaken { try await untilTaken() }
    }

    /// Whether the head was set.
    package var isStarted: Bool {
        get async throws {
            let id = transferID
            return try await onLoop { try $0.isStarted(transferID: id) }
        }
    }

    /// Sends bytes of the body and returns when the kernel has taken them all, so that at most one buffer of an answer
    /// waits in this process.
    ///
    package func write(_ bytes: ByteBuffer, from origin: ByteOrigin = .gateway) async throws {
        let id = transferID
        let isTaken = try await onLoop { try $0.write(bytes, from: origin, transferID: id) }
        if !isTaken { try await untilTaken() }
    }

    /// Sends bytes of the body from where they lie, and returns when the kernel has taken them.
    ///
    /// - Returns: the number of bytes sent; less than asked for if `body` did not have the rest at hand.
    package func sendDirect(_ body: any DirectBody, _ range: Range<Int64>, fromSource: Bool) async throws -> Int64 {
        let (connection, id) = (connection, transferID)
        let promise = loop.makePromise(of: Int64.self)
        if loop.inEventLoop {
            connection.value.sendDirect(body, range, fromSource: fromSource, transferID: id, promise)
        } else {
            loop.execute {
                connection.value.sendDirect(body, range, fromSource: fromSource, transferID: id, promise)
            }
        }
        return try await promise.futureResult.get()
    }

    /// Ends the answer. An answer that is shorter than its head said cuts the connection.
    package func finish() async throws {
        let id = transferID
        let isTaken = try await onLoop { try $0.finishBody(transferID: id) }
        if !isTaken { try await untilTaken() }
    }

    /// The whole answer at once.
    package func respond(_ head: ResponseHead, body: ByteBuffer? = nil) async throws {
        try await start(head)
        if let body { try await write(body) }
        try await finish()
    }

    /// Notes that the object has been found, for the times by stage.
    package func markResolved() async throws {
        let id = transferID
        try await onLoop { try $0.markResolved(transferID: id) }
    }

    /// Runs `body` on the event loop after a while, whatever has become of the answer.
    package func after(_ time: TimeAmount, _ body: @escaping @Sendable () -> Void) {
        loop.scheduleTask(in: time, body)
    }

    /// Lets the event loop look after its other connections.
    package func endTurn() async throws {
        let promise = loop.makePromise(of: Void.self)
        try await onLoop { [loop] _ in TurnQueue.of(loop).wait(isDeferred: true) { promise.succeed() } }
        try await promise.futureResult.get()
    }

    private func untilTaken() async throws {
        let (connection, id) = (connection, transferID)
        let promise = loop.makePromise(of: Void.self)
        if loop.inEventLoop {
            connection.value.whenTaken(transferID: id, promise)
        } else {
            loop.execute { connection.value.whenTaken(transferID: id, promise) }
        }
        try await promise.futureResult.get()
    }

    private func onLoop<Result: Sendable>(
        _ body: @escaping @Sendable (ConnectionHandler) throws -> Result
    ) async throws -> Result {
        if loop.inEventLoop { return try body(connection.value) }
        let connection = connection
        return try await loop.submit { try body(connection.value) }.get()
    }
}

/// Where bytes of a body are from, by which they are counted.
package enum ByteOrigin: Sendable {
    /// Made for the answer: a page, say.
    case gateway
    /// Read from the source for this answer.
    case source
    case cache
}
