import ChunkCache
import NIOCore
import SourcePlugins

/// Sends a range of an object through the cache: what that has from there, what it lacks as it comes in.
struct CachedSending {
    let cache: ChunkStore
    let object: CachedObject
    /// Not empty.
    let range: Range<Int64>
    /// How many bytes ahead of a reader are fetched at most.
    var readAhead: Int64 = 8 << 20
    /// What has sent some of the object for the same answer, and counted that.
    var body: CachedBody?
    /// Reads the object.
    let source: ByteSource
    /// Whether an error, which ended what another reader began to fetch, says nothing about this one.
    var isAnothers: @Sendable (any Error) -> Bool = { _ in false }

    private static let bytesPerTurn = 1 << 20

    /// - Parameter begin: sets the head, before the first bytes are sent; is called again and again.
    func send(to exchange: Exchange, begin: () async throws -> Void) async throws {
        let reader = ChunkReader(
            cache,
            object,
            upTo: range.upperBound,
            readAhead: readAhead,
            isPatient: exchange.request.head.isBackground,
            executor: exchange.executor,
            isFinal: { ($0 as? SourceError)?.isFinal ?? ($0 is OriginBody.Refusal) },
            source: inTurns(on: exchange.loop)
        )
        let direct = body ?? CachedBody(cache, object, upTo: range.upperBound)
        var position = range.lowerBound
        var (turn, failures) = (0, 0)
        while position < range.upperBound {
            switch try await step(of: reader, at: position) {
            case .stored(let end) where failures < 3:
                try await begin()
                // Nor does it help to get ready what has left memory, or is out of date, when its turn comes.
                if cache.isMemoryShort || failures == 2 {
                    let sent = try await direct.sendCopy(position..<range.upperBound, to: exchange)
                    position += sent
                    failures = sent > 0 ? 0 : failures + 1
                    try await exchange.endTurn()
                    continue
                }
                // As far as the cache goes, of which the reader only knows this chunk.
                let sent = try await exchange.sendDirect(direct, position..<range.upperBound, fromSource: false)
                position += sent
                failures = sent > 0 || position >= end ? 0 : failures + 1
                if sent == 0 { await reader.prepare(at: position) }
            case .bytes(let buffer):
                try await begin()
                direct.noteFetched(object.chunk(at: position))
                position += Int64(buffer.readableBytes)
                failures = 0
                turn += buffer.readableBytes
                try await exchange.write(buffer, from: .source)
                if turn >= Self.bytesPerTurn {
                    turn = 0
                    try await exchange.endTurn()
                }
            case .stored(let end):
                // Memory is so short that what was read in is gone before it can be sent: around the cache.
                cache.noteBypass(of: object)
                failures = 0
                try await copy(position..<end, to: exchange, begin: begin)
                position = end
            case .bypass(let end):
                failures = 0
                try await copy(position..<end, to: exchange, begin: begin)
                position = end
            }
        }
    }

    /// Bytes that are in memory come without a wait: whoever fetches them would keep the event loop until all are there.
    private func inTurns(on loop: any EventLoop) -> ByteSource {
        { [source] range in
            let next = try await source(range)
            return {
                await TurnQueue.endTurnInTime(on: loop)
                return try await next()
            }
        }
    }

    /// Where the bytes at `position` are: around the cache if twice somebody else was not given them.
    private func step(of reader: ChunkReader, at position: Int64) async throws -> ChunkReader.Step {
        for _ in 0..<2 {
            do {
                return try await reader.next(at: position)
            } catch let error where isAnothers(error) {
                // This reader asks for itself now, unless again somebody else does.
            }
        }
        return .bypass(upTo: min(object.range(of: object.chunk(at: position)).upperBound, range.upperBound))
    }

    private func copy(_ range: Range<Int64>, to exchange: Exchange, begin: () async throws -> Void) async throws {
        let next = try await source(range)
        var turn = 0
        while let buffer = try await next() {
            try await begin()
            turn += buffer.readableBytes
            try await exchange.write(buffer, from: .source)
            if turn >= Self.bytesPerTurn {
                turn = 0
                try await exchange.endTurn()
            }
        }
    }
}

extension SourceError {
    /// Whether asking again at once can only give the same.
    var isFinal: Bool {
        switch code {
        case .badPath, .badReference, .notFound, .forbidden, .refused, .busy, .overloaded, .changed: true
        case .notReady, .unavailable, .timedOut: false
        }
    }
}
