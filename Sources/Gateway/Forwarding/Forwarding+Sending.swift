import ChunkCache
import NIOCore
import SourcePlugins
import Synchronization

// Answers of the origin on their way to the client.
extension Forwarding {
    /// The most bytes of a body that is kept in memory until it is whole, for want of a validator or a length.
    private static let copyLimit = 8 << 20
    /// Behind so many, nobody waits any longer for a body to be whole.
    private static let waitLimit = 256 << 10
    private static let bytesPerTurn = 1 << 20

    /// Sends the origin's answer as it comes, or the beginning of it.
    func pass(on reply: OriginReply, _ status: CacheStatus, limit: Int64? = nil, to exchange: Exchange) async throws {
        try await stream(reply, status, limit: limit, to: exchange) { _ in }
    }

    /// Sends the origin's answer as it comes, and stores it once it is whole.
    func copy(
        _ reply: OriginReply,
        as new: StoredResponse,
        _ status: CacheStatus,
        _ flight: RequestFlight?,
        _ exchange: Exchange
    ) async throws {
        let copy = BodyCopy(limit: Self.copyLimit, budget: routes.copies)
        let length = reply.response.length
        // What ends with the connection may have been cut.
        if !reply.response.isDelimited || length.map({ $0 > Int64(Self.copyLimit) }) == true { copy.giveUp() }
        if copy.isGivenUp { flight?.end(.unshared) }
        // The client may be slow to take it.
        exchange.after(.seconds(1)) { flight?.end(.failed) }
        var isStored = false
        try await stream(reply, status, to: exchange) { piece in
            if let piece { copy.append(piece) }
            if copy.isGivenUp || copy.count > Self.waitLimit { flight?.end(.failed) }
            // Before the client has the last byte: its next request is to find it.
            let isWhole = piece == nil || length.map { Int64(copy.count) == $0 } ?? false
            if isWhole, !isStored, let body = copy.take() {
                isStored = true
                if try await store(body, of: reply, as: new, executor: exchange.executor) { flight?.end(.stored) }
            }
        }
    }

    /// Stores an answer that nobody waits for. A long one is not read if its parts can be asked for later.
    func keep(_ reply: OriginReply) async throws {
        // Ends the answer however this goes.
        defer { reply.response.cancel() }
        guard case .store(let new) = StoredResponse.decide(request: message, response: reply.message, policy: policy),
            reply.response.isDelimited
        else { return }
        if let length = reply.response.length, length > Int64(Self.copyLimit) {
            if new.eTag.map({ !$0.isWeak }) == true { _ = representation(of: new, reply, size: length) }
            return
        }
        let copy = BodyCopy(limit: Self.copyLimit, budget: routes.copies)
        // Until it ends, nobody else refreshes the response.
        while !copy.isGivenUp, let piece = try await reply.response.next(mayDrip: false) { copy.append(piece) }
        if let body = copy.take() { _ = try await store(body, of: reply, as: new, executor: nil) }
    }

    /// - Parameters:
    ///   - limit: how many bytes of the body are for the client, if not all of it is.
    ///   - inspect: sees each piece before it is sent, and then `nil`.
    private func stream(
        _ reply: OriginReply,
        _ status: CacheStatus,
        limit: Int64? = nil,
        to exchange: Exchange,
        inspect: (ByteBuffer?) async throws -> Void
    ) async throws {
        let code = reply.message.status
        let framing: ResponseHead.Framing
        if code == 204 || code == 304 {
            framing = .none
        } else if let length = limit ?? reply.response.length {
            framing = .length(length)
        } else {
            framing = message.method == "HEAD" ? .none : .chunked
        }
        try await exchange.markResolved()
        let head = ResponseHead(code, reply.message.fields, framing, status, node: routes.node)
        try await exchange.start(head)
        // It may be a stream of events, whose client waits for its beginning.
        if framing == .chunked { try await exchange.sendHead() }
        var turn = 0
        var rest = limit ?? .max
        while rest > 0, var piece = try await reply.response.next() {
            if Int64(piece.readableBytes) > rest, let part = piece.readSlice(length: Int(rest)) { piece = part }
            rest -= Int64(piece.readableBytes)
            try await inspect(piece)
            turn += piece.readableBytes
            routes.meter?.countBytes(piece.readableBytes, from: routes.entry.name)
            try await exchange.write(piece, from: .source)
            if turn >= Self.bytesPerTurn {
                turn = 0
                try await exchange.endTurn()
            }
        }
        if limit != nil { reply.response.cancel() }
        try await inspect(nil)
        try await exchange.finish()
    }

    /// Puts a whole body into the cache.
    ///
    /// - Returns: whether it is at hand there.
    private func store(
        _ body: ByteBuffer,
        of reply: OriginReply,
        as new: StoredResponse,
        executor: (any TaskExecutor)?
    ) async throws -> Bool {
        var new = new
        let size = Int64(body.readableBytes)
        new.fields.set("Content-Length", String(size))
        guard let responses = routes.responses, let representation = representation(of: new, reply, size: size) else {
            return false
        }
        guard size > 0 else { return true }
        let reader = ChunkReader(responses.cache, representation.object, upTo: size, executor: executor) { _ in
            true
        } source: { range in
            let piece = Mutex(body.getSlice(at: body.readerIndex + Int(range.lowerBound), length: range.count))
            return { piece.withLock { $0.take() } }
        }
        var position: Int64 = 0
        while position < size {
            switch try await reader.next(at: position) {
            case .stored(let end): position = end
            case .bytes(let piece): position += Int64(piece.readableBytes)
            case .bypass: return false
            }
        }
        return true
    }
}

/// A body that is kept in memory until it is whole, as far as it is not too long.
private final class BodyCopy {
    private let limit: Int
    private let budget: FillBudget
    private var body: ByteBuffer? = ByteBuffer()
    private var taken = 0

    init(limit: Int, budget: FillBudget) {
        self.limit = limit
        self.budget = budget
    }

    deinit { budget.giveBack(taken) }

    var count: Int { body?.readableBytes ?? 0 }
    var isGivenUp: Bool { body == nil }

    func append(_ piece: ByteBuffer) {
        guard isKept(piece.readableBytes) else { return giveUp() }
        body?.writeImmutableBuffer(piece)
    }

    func giveUp() {
        body = nil
        budget.giveBack(taken)
        taken = 0
    }

    /// The body; only once, and not if it was given up.
    func take() -> ByteBuffer? { body.take() }

    private func isKept(_ more: Int) -> Bool {
        guard body != nil, more <= limit - count, budget.take(more) else { return false }
        taken += more
        return true
    }
}
