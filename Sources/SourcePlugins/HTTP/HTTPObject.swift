import NIOCore
import Synchronization

/// An object at an origin.
///
/// Nothing is open between reads. What makes every read one of the same bytes is the entity tag, which each answer must
/// have; an object with a weak one, or none, is read in one answer at a time, and its ``info`` has no revision.
final class HTTPObject: MediaObject {
    let info: ObjectInfo
    let path: MediaPath
    let version: ObjectVersion
    let origin: Origin
    let rangeless: RememberedPaths
    let unmeasured: RememberedPaths
    /// The base URL that had it.
    let base: Int
    /// The answer that told of it, if it has bytes that are likely to be read, and which these are.
    private let begun: Mutex<BegunAnswer?>

    init(
        _ facts: OriginAnswer.Facts,
        _ head: OriginHead,
        at path: MediaPath,
        base: Int,
        origin: Origin,
        rangeless: RememberedPaths,
        unmeasured: RememberedPaths,
        begun: BegunAnswer? = nil
    ) {
        let freshness = OriginFreshness(head, now: .now())
        info = ObjectInfo(
            size: facts.version.size,
            // Without one, nothing of the object is kept.
            revision: freshness.isStorable ? facts.version.revision : nil,
            lastModified: freshness.lastModified,
            mediaType: facts.mediaType,
            validity: freshness.validity,
            caching: freshness.caching
        )
        version = facts.version
        self.path = path
        self.base = base
        self.origin = origin
        self.rangeless = rangeless
        self.unmeasured = unmeasured
        self.begun = Mutex(begun)
    }

    deinit { begun.withLock { $0 }?.exchange.cancel() }

    /// The answer that is there already, for a read from `position` on.
    func takeBegun(at position: Int64) -> BegunAnswer? {
        begun.withLock { $0?.interval.lowerBound == position ? $0.take() : nil }
    }

    func read(_ range: Range<Int64>) async throws -> ByteStream {
        if let size = version.size {
            precondition(range.lowerBound >= 0 && range.upperBound <= size, "the range lies outside the object")
        } else {
            precondition(range == 0..<Int64.max, "an object of unknown size is read as a whole")
        }
        let read = HTTPRead(self, range)
        try await read.prepare()
        return ByteStream { try await read.next() }
    }
}

/// An answer whose body was not read yet.
struct BegunAnswer: Sendable {
    /// The bytes of the object that it has.
    let interval: Range<Int64>
    let exchange: OriginExchange
}

/// One read of an object. Its requests end with it.
final class HTTPRead: Sendable {
    private struct State {
        var progress: ReadProgress
        var pace: LeastPace
        /// The answer under way.
        var exchange: OriginExchange?
        /// The bytes that were waited for before the first pull.
        var ready: ByteBuffer?
    }

    private let object: HTTPObject
    private let state: Mutex<State>

    init(_ object: HTTPObject, _ range: Range<Int64>) {
        self.object = object
        let settings = object.origin.settings
        let progress = ReadProgress(
            range,
            of: object.version,
            retries: settings.retries,
            policy: object.origin.policy
        )
        state = Mutex(State(progress: progress, pace: LeastPace(limit: settings.idleTimeout)))
    }

    deinit { state.withLock { $0.exchange }?.cancel() }

    /// Waits for the first bytes, so that an object that cannot be read is known before anything is promised of it.
    func prepare() async throws {
        let bytes = try await pull()
        state.withLock { $0.ready = bytes }
    }

    func next() async throws -> ByteBuffer? {
        if let bytes = state.withLock({ $0.ready.take() }) { return bytes }
        return try await pull()
    }

    /// One task pulls at a time, so the state is the same when it is put back.
    private func pull() async throws -> ByteBuffer? {
        try Task.checkCancellation()
        var (progress, exchange) = state.withLock { ($0.progress, $0.exchange) }
        defer {
            state.withLock { state in
                state.progress = progress
                state.exchange = exchange
            }
        }
        while !progress.isComplete {
            do {
                if exchange == nil {
                    switch try await begin(&progress) {
                    case .exchange(let begun): exchange = begun
                    case .checked(let part):
                        let bytes = try progress.take(part)
                        _ = try progress.answerEnded()
                        if let bytes { return bytes }
                    }
                }
                guard let answer = exchange else { continue }
                let start = ContinuousClock.now
                guard let part = try await answer.next(within: object.origin.settings.idleTimeout) else {
                    exchange = nil
                    if try progress.answerEnded() { return nil }
                    continue
                }
                let isFastEnough = state.withLock { $0.pace.note(part.readableBytes, after: .now - start) }
                guard isFastEnough else { throw OriginFailure(.timedOut) }
                guard let bytes = try progress.take(part) else { continue }
                if progress.isComplete {
                    answer.discard()
                    exchange = nil
                }
                return bytes
            } catch let failure as OriginFailure {
                exchange?.cancel()
                exchange = nil
                guard progress.mayRetry(after: failure) else { throw SourceError(failure) }
                object.origin.metrics.countRetry()
            } catch {
                exchange?.cancel()
                exchange = nil
                throw error
            }
        }
        return nil
    }

    private enum Answer {
        case exchange(OriginExchange)
        /// All of one that did not say its length in front.
        case checked(ByteBuffer)
    }

    /// Asks for what is missing.
    private func begin(_ progress: inout ReadProgress) async throws -> Answer {
        while true {
            if let answer = try await tryToBegin(&progress) { return answer }
        }
    }

    /// - Returns: `nil` if another way to ask has to be tried.
    private func tryToBegin(_ progress: inout ReadProgress) async throws -> Answer? {
        let version = object.version
        if let begun = object.takeBegun(at: progress.position) {
            try progress.begin(.part(begun.interval), size: version.size)
            return .exchange(begun.exchange)
        }
        let isRangeless = version.size == nil || object.rangeless.contains(object.path)
        if isRangeless { try progress.begin(.whole, size: version.size) }
        var asked = progress.rest
        if !isRangeless, object.unmeasured.contains(object.path) {
            asked = asked.lowerBound..<min(asked.upperBound, asked.lowerBound + Self.longestUnmeasured)
        }
        let request = try OriginRequest(
            object.path,
            isRangeless ? nil : asked,
            validator: version.validator,
            for: .current,
            node: object.origin.node
        )
        let response = try await object.origin.respond(to: request, preferring: object.base)
        do {
            let body = try OriginAnswer.body(response.head, asked: asked, of: version)
            switch body {
            case .whole:
                if !isRangeless { object.rangeless.insert(object.path) }
            case .part(let interval) where !OriginAnswer.isMeasured(response.head):
                return try await checked(response.exchange, interval, &progress)
            case .part: break
            }
            try progress.begin(body, size: version.size)
        } catch {
            response.exchange.discard()
            object.origin.note(error, of: object.path)
            throw error
        }
        return .exchange(response.exchange)
    }

    /// Reads a part to its end before anything of it is used: only then it is known whether it was as long as it should be.
    ///
    /// - Returns: `nil` if it is too long for that, or parts may not be joined.
    private func checked(
        _ exchange: OriginExchange,
        _ interval: Range<Int64>,
        _ progress: inout ReadProgress
    ) async throws -> Answer? {
        object.unmeasured.insert(object.path)
        guard object.version.validator != nil || interval.upperBound == progress.end else {
            object.rangeless.insert(object.path)
            exchange.cancel()
            return nil
        }
        guard interval.count <= Self.longestUnmeasured else {
            exchange.cancel()
            return nil
        }
        var bytes = ByteBuffer()
        while true {
            let start = ContinuousClock.now
            guard let part = try await exchange.next(within: object.origin.settings.idleTimeout) else { break }
            let isFastEnough = state.withLock { $0.pace.note(part.readableBytes, after: .now - start) }
            guard isFastEnough else { throw OriginFailure(.timedOut) }
            guard part.readableBytes <= interval.count - bytes.readableBytes else {
                throw SourceError.misbehaved("more than it announced")
            }
            bytes.writeImmutableBuffer(part)
        }
        guard bytes.readableBytes == interval.count else { throw OriginFailure(.broken) }
        try progress.begin(.part(interval), size: object.version.size)
        return .checked(bytes)
    }

    private static let longestUnmeasured: Int64 = 1 << 20
}
