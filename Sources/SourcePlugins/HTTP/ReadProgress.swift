import NIOCore

/// How far a read of an object has come, over as many answers as it takes. Decides what is handed out; asks nobody.
struct ReadProgress: Sendable {
    /// The first byte that was not handed out.
    private(set) var position: Int64
    /// `Int64.max` for an object of unknown length, which ends where it ends.
    let end: Int64
    /// Whether answers may be joined, and tries made in the middle.
    private let isResumable: Bool
    private let policy: HTTPPolicy
    private let retries: Int

    /// How many bytes of the current answer lie before ``position``.
    private var skip: Int64 = 0
    /// Where in the object the current answer ends; `nil` if it ends where it ends.
    private var answerEnd: Int64?
    private var isOver = false
    private var failures = 0
    private var stalls = 0
    private let start: Int64
    /// Where the last failure was, or the end of the last answer that was too short.
    private var mark: Int64

    init(_ range: Range<Int64>, of version: ObjectVersion, retries: Int, policy: HTTPPolicy) {
        position = range.lowerBound
        start = range.lowerBound
        mark = range.lowerBound
        end = range.upperBound
        isResumable = version.validator != nil
        self.retries = retries
        self.policy = policy
    }

    var rest: Range<Int64> { position..<end }

    var isComplete: Bool { position == end || isOver }

    /// An answer begins.
    ///
    /// - Parameter size: the object's length; `nil` if unknown.
    /// - Throws: ``SourceError`` if too much of it would have to be skipped.
    mutating func begin(_ body: OriginAnswer.Body, size: Int64?) throws(SourceError) {
        switch body {
        case .part(let interval):
            skip = 0
            answerEnd = interval.upperBound
        case .whole:
            guard position <= policy.longestSkip else { throw Self.tooFar }
            skip = position
            answerEnd = size
        }
    }

    static let tooFar = SourceError(
        .refused,
        "the origin does not do ranges, and what was asked for is too far from the beginning"
    )

    /// Bytes of the current answer came.
    ///
    /// - Returns: those that are to be handed out; `nil` if none are.
    /// - Throws: ``SourceError`` if they are more than was announced; then none of them is handed out.
    mutating func take(_ buffer: ByteBuffer) throws(SourceError) -> ByteBuffer? {
        var buffer = buffer
        let count = Int64(buffer.readableBytes)
        if let answerEnd, count - skip > answerEnd - position { throw .misbehaved("more than it announced") }
        let skipped = min(skip, count)
        skip -= skipped
        buffer.moveReaderIndex(forwardBy: Int(skipped))
        // What lies behind the range in an answer that is all of the object.
        guard let wanted = buffer.readSlice(length: Int(min(Int64(buffer.readableBytes), end - position))),
            wanted.readableBytes > 0
        else { return nil }
        position += Int64(wanted.readableBytes)
        return wanted
    }

    /// The current answer has ended as it should.
    ///
    /// - Returns: whether the read is over; if not, the rest is to be asked for.
    /// - Throws: ``SourceError`` or ``OriginFailure`` if bytes are missing that will not come.
    mutating func answerEnded() throws -> Bool {
        if end == .max { isOver = true }
        if isComplete { return true }
        guard position == answerEnd, skip == 0 else {
            // The announced length of the body was kept, that of the range was not.
            throw OriginFailure(.broken)
        }
        guard isResumable else { throw SourceError.misbehaved("less than was asked for") }
        // An origin that gives little at a time may go on as long as it is no endless trickle of answers.
        if position - mark < min(64 << 10, policy.progress) { failures += 1 }
        guard failures <= retries else { throw SourceError.misbehaved("less than was asked for, again and again") }
        mark = position
        return false
    }

    /// The current answer failed.
    ///
    /// - Returns: whether the rest may be asked for once more.
    mutating func mayRetry(after failure: OriginFailure) -> Bool {
        guard isResumable || position == start, end != .max || position == start else { return false }
        if position - mark >= policy.progress { (failures, stalls) = (0, 0) }
        mark = position
        failures += 1
        if failure.kind == .timedOut { stalls += 1 }
        // One that has been silent twice has been waited for long enough.
        return failures <= retries && stalls <= 1 && failure.kind != .shuttingDown
    }
}
