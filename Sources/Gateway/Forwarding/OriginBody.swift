import ChunkCache
import NIOCore
import SourcePlugins
import Synchronization

/// An answer of an origin whose body is coming in, for whoever comes first to where it is.
final class LiveAnswer: Sendable {
    private let response: Mutex<ForwardedResponse?>
    /// Where in the whole body it begins.
    let position: Int64

    init(_ response: ForwardedResponse, from position: Int64) {
        self.response = Mutex(response)
        self.position = position
    }

    /// Whether `position` is near enough behind where it begins for what lies between to be read for nothing.
    func leads(to position: Int64, of object: CachedObject) -> Bool {
        (0...object.chunkSize).contains(position - self.position)
    }

    /// The answer, if it is still there and leads to `position`.
    func take(for position: Int64, of object: CachedObject) -> ForwardedResponse? {
        leads(to: position, of: object) ? response.withLock { $0.take() } : nil
    }

    /// It is not wanted any more, unless somebody has it.
    func end() { response.withLock { $0.take() }?.cancel() }
}

/// The answers that are coming in, by the numbers of their objects, and what is known of how objects can be asked for.
final class LiveAnswers: Sendable {
    private static let rangelessLimit = 4096

    private let answers = Mutex<[UInt64: LiveAnswer]>([:])
    private let rangeless = Mutex<Set<UInt64>>([])

    /// Whether the origin gives parts of `object`, as far as is known.
    func givesParts(of object: CachedObject) -> Bool { rangeless.withLock { !$0.contains(object.number) } }

    /// Notes what the origin made of a request for a part of `object`.
    func note(givesParts: Bool, of object: CachedObject) {
        rangeless.withLock { rangeless in
            if givesParts {
                rangeless.remove(object.number)
            } else {
                if rangeless.count >= Self.rangelessLimit { rangeless.removeAll() }
                rangeless.insert(object.number)
            }
        }
    }

    func answer(for object: CachedObject) -> LiveAnswer? { answers.withLock { $0[object.number] } }

    /// Lets others have `answer` until ``close(_:of:)``.
    func open(_ answer: LiveAnswer, of object: CachedObject) { answers.withLock { $0[object.number] = answer } }

    func close(_ answer: LiveAnswer, of object: CachedObject) {
        answers.withLock { if $0[object.number] === answer { $0[object.number] = nil } }
        answer.end()
    }
}

extension ForwardedResponse {
    /// What a 206 brings, if it says in front how much, and that is as much as its one `Content-Range` says: nobody could
    /// tell later that there are other bytes among them.
    var part: (interval: Range<Int64>, total: Int64)? {
        let ranges = head.fields.values("content-range")
        guard head.status == 206, ranges.count == 1, let range = ContentRange(ranges[0]), let total = range.total,
            let interval = range.interval, length == Int64(interval.count)
        else { return nil }
        return (interval, total)
    }
}

/// Where the bytes of a stored response that the cache does not have come from for one client: the answer under way, as
/// far as it goes, and requests for a range under the response's strong validator.
final class OriginBody: Sendable {
    /// The origin has no bytes for this request that others may have too.
    struct Refusal: Error {}

    /// Asks for a range of the whole body, or for all of it, and tells whether what comes may be kept.
    typealias Ask = @Sendable (Range<Int64>?, ETag) async throws -> (ForwardedResponse, isKept: Bool)

    private struct State {
        var isBegun: Bool
        /// Whether a part came that is of no use.
        var hadBadPart = false
        /// Whether the origin's answer to this client has ended a read.
        var isAnswered = false
    }

    /// How many bytes before those that are wanted are read for nothing, where there is no other way.
    private static let longestSkip: Int64 = 1 << 30

    private let live: LiveAnswer?
    private let answers: LiveAnswers
    private let representation: Representation
    private let ask: Ask
    private let state: Mutex<State>

    /// - Parameter isBegun: whether the client has a part of the body already.
    init(_ representation: Representation, _ answers: LiveAnswers, isBegun: Bool, ask: @escaping Ask) {
        self.representation = representation
        self.answers = answers
        live = answers.answer(for: representation.object)
        state = Mutex(State(isBegun: isBegun))
        self.ask = ask
    }

    private var isBegun: Bool { state.withLock { $0.isBegun } }

    /// Notes that the client gets bytes: from now on nothing else can answer it.
    func begin() { state.withLock { $0.isBegun = true } }

    /// Whether `error`, which ended a fill, was said to another client alone.
    func isAnothers(_ error: any Error) -> Bool { Self.isSaidToOne(error) && !state.withLock { $0.isAnswered } }

    /// Whether another request may fare better: the origin may go by any of a request's fields.
    private static func isSaidToOne(_ error: any Error) -> Bool {
        if error is Refusal { return true }
        return (error as? SourceError).map { $0.code == .changed || $0.code == .refused } ?? false
    }

    /// Reads a range of the body.
    ///
    /// - Throws: ``SourceError``: `changed` if the origin has another one now, `unavailable` if it fails; ``Refusal``.
    func read(_ range: Range<Int64>) async throws -> ByteProducer {
        do {
            return try await open(range)
        } catch {
            if Self.isSaidToOne(error) { state.withLock { $0.isAnswered = true } }
            throw error
        }
    }

    private func open(_ range: Range<Int64>) async throws -> ByteProducer {
        if let live, let response = live.take(for: range.lowerBound, of: representation.object) {
            return producer(response, from: live.position, range)
        }
        guard let tag = representation.response.eTag, !tag.isWeak else {
            throw SourceError(.changed, "the response is no longer whole in the cache")
        }
        let wantsAll = state.withLock { $0.isBegun && $0.hadBadPart } && range.lowerBound <= Self.longestSkip
        let (response, isKept) = try await ask(wantsAll ? nil : range, tag)
        do {
            let position = try position(of: response, tag, asked: range)
            guard isKept else { throw Refusal() }
            return producer(response, from: position, range)
        } catch {
            response.cancel()
            throw error
        }
    }

    /// Where the answer to a request for `range` begins.
    private func position(of response: ForwardedResponse, _ tag: ETag, asked range: Range<Int64>) throws -> Int64 {
        let (status, fields) = (response.head.status, response.head.fields)
        let another = SourceError(.changed, "the origin has another body now")
        switch status {
        case 200, 206: break
        case 404, 410, 412, 416: throw another
        case 408, 425, 429, 500...: throw SourceError(.unavailable, "the origin failed with status \(status)")
        default: throw Refusal()
        }
        guard fields.first("etag").flatMap({ ETag($0) })?.matchesStrongly(tag) == true,
            fields.first("content-encoding") == representation.response.fields.first("content-encoding")
        else { throw another }
        let object = representation.object
        if status == 200 {
            guard response.length == object.size else { throw another }
            answers.note(givesParts: false, of: object)
            return try positionOfAll(asked: range)
        }
        guard fields.first("content-range").flatMap({ ContentRange($0) })?.total == object.size else { throw another }
        guard response.part?.interval == range else {
            answers.note(givesParts: false, of: object)
            state.withLock { $0.hadBadPart = true }
            // Whom nothing was sent yet gets what the origin has for it, whatever that is.
            guard isBegun else { throw Refusal() }
            throw SourceError(.unavailable, "the origin sent another range, or did not say how long it is")
        }
        answers.note(givesParts: true, of: object)
        return range.lowerBound
    }

    /// Where all of the body begins, if that is of use to whoever wants `range`. Whom nothing was sent yet may have all of
    /// it too, and does not wait for what it would have to throw away.
    private func positionOfAll(asked range: Range<Int64>) throws -> Int64 {
        guard range.lowerBound > representation.object.chunkSize else { return 0 }
        guard isBegun else { throw Refusal() }
        guard range.lowerBound <= Self.longestSkip else {
            throw SourceError(.refused, "the origin does not do ranges, and what was asked for is too far away")
        }
        return 0
    }

    private func producer(_ response: ForwardedResponse, from position: Int64, _ range: Range<Int64>) -> ByteProducer {
        let reading = LiveReading(response, from: position, range)
        return { try await reading.next() }
    }
}

/// One reading of a range of an answer under way, by one task.
private final class LiveReading: Sendable {
    private let response: ForwardedResponse
    private let range: Range<Int64>
    private let position: Mutex<Int64>

    init(_ response: ForwardedResponse, from position: Int64, _ range: Range<Int64>) {
        self.response = response
        self.position = Mutex(position)
        self.range = range
    }

    deinit { response.cancel() }

    func next() async throws -> ByteBuffer? {
        while true {
            let start = position.withLock { $0 }
            guard start < range.upperBound else { return nil }
            guard var piece = try await response.next(mayDrip: false) else {
                throw SourceError(.unavailable, "the origin's answer ended too early")
            }
            let end = start + Int64(piece.readableBytes)
            position.withLock { $0 = end }
            guard end > range.lowerBound else { continue }
            if start < range.lowerBound { piece.moveReaderIndex(forwardBy: Int(range.lowerBound - start)) }
            let surplus = Int(max(end - range.upperBound, 0))
            return piece.readSlice(length: piece.readableBytes - surplus)
        }
    }
}
