import ChunkCache
import NIOCore
import SourcePlugins
import Synchronization

/// An answer of an origin whose body is coming in, for whoever comes first to where it is.
final class LiveAnswer: Sendable {
    private let response: Mutex<ForwardedResponse?>
    /// Where in the whole body it begins.
    let position: Int64
    /// How many bytes before those that are wanted are read for nothing.
    static let longestSkip: Int64 = 16 << 20

    init(_ response: ForwardedResponse, from position: Int64) {
        self.response = Mutex(response)
        self.position = position
    }

    /// The answer, if it is still there and leads to `position`.
    func take(for position: Int64) -> ForwardedResponse? {
        guard (0...Self.longestSkip).contains(position - self.position) else { return nil }
        return response.withLock { $0.take() }
    }

    /// It is not wanted any more, unless somebody has it.
    func end() { response.withLock { $0.take() }?.cancel() }
}

/// The answers that are coming in, by the numbers of their objects.
final class LiveAnswers: Sendable {
    private let answers = Mutex<[UInt64: LiveAnswer]>([:])

    func answer(for object: CachedObject) -> LiveAnswer? { answers.withLock { $0[object.number] } }

    /// Lets others have `answer` until ``close(_:of:)``.
    func open(_ answer: LiveAnswer, of object: CachedObject) { answers.withLock { $0[object.number] = answer } }

    func close(_ answer: LiveAnswer, of object: CachedObject) {
        answers.withLock { if $0[object.number] === answer { $0[object.number] = nil } }
        answer.end()
    }
}

/// Where the bytes of a stored response come from that the cache does not have: the answer under way, as far as it goes,
/// and requests for a range under the response's strong validator.
struct OriginBody: Sendable {
    /// The origin has no bytes for this request that others may have too.
    struct Refusal: Error {}

    private let live: LiveAnswer?
    private let representation: Representation
    private let ask: @Sendable (Range<Int64>, ETag) async throws -> (ForwardedResponse, isKept: Bool)

    /// - Parameter ask: asks for a range of the whole body, and tells whether what comes may be kept.
    init(
        _ representation: Representation,
        live: LiveAnswer?,
        ask: @escaping @Sendable (Range<Int64>, ETag) async throws -> (ForwardedResponse, isKept: Bool)
    ) {
        self.representation = representation
        self.live = live
        self.ask = ask
    }

    /// Reads a range of the body.
    ///
    /// - Throws: ``SourceError``: `changed` if the origin has another one now, `unavailable` if it fails; ``Refusal``.
    func read(_ range: Range<Int64>) async throws -> ByteProducer {
        if let live, let response = live.take(for: range.lowerBound) {
            return producer(response, from: live.position, range)
        }
        guard let tag = representation.response.eTag, !tag.isWeak else {
            throw SourceError(.changed, "the response is no longer whole in the cache")
        }
        let (response, isKept) = try await ask(range, tag)
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
        let size = representation.object.size
        if status == 200 {
            guard response.length == size else { throw another }
            guard range.lowerBound <= LiveAnswer.longestSkip else {
                throw SourceError(.refused, "the origin does not do ranges, and what was asked for is too far away")
            }
            return 0
        }
        guard let part = fields.first("content-range").flatMap({ ContentRange($0) }), part.total == size else {
            throw another
        }
        guard part.interval == range else { throw SourceError(.unavailable, "the origin sent another range") }
        return range.lowerBound
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
