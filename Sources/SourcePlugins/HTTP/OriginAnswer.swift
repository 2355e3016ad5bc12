/// What a head says of the object and of the body that follows. Nothing an origin says is believed that was not asked,
/// or does not agree with itself.
package enum OriginAnswer {
    /// What the first answer tells of an object.
    package struct Facts: Sendable {
        package let version: ObjectVersion
        package let mediaType: String?
        /// The bytes that follow, of a 206.
        package let interval: Range<Int64>?
        /// Whether a range was asked for and all of the object came.
        package let ignoresRanges: Bool
    }

    /// The body that follows a head.
    package enum Body: Sendable, Hashable {
        /// Exactly these bytes of the object.
        case part(Range<Int64>)
        /// All bytes of the object, from the first on.
        case whole
    }

    /// - Parameter asked: the range that was asked for; it may go beyond the object's end.
    /// - Returns: `nil` if the answer tells nothing; the object is to be asked for as a whole then.
    /// - Throws: ``SourceError``.
    package static func facts(_ head: OriginHead, asked: Range<Int64>?) throws(SourceError) -> Facts? {
        switch head.status {
        case 200:
            try checkCoding(head)
            let size = try contentLength(head)
            return facts(head, size: size, ignoresRanges: asked != nil && size.map { $0 > 1 } ?? false)
        case 206:
            guard let asked else { throw .misbehaved("a range that nobody asked for") }
            try checkCoding(head)
            let range = try contentRange(head)
            let end = min(asked.upperBound, range.total ?? .max)
            // A part of what was asked for tells as much; the rest can be asked for.
            guard let interval = range.interval, interval.lowerBound == asked.lowerBound, interval.upperBound <= end
            else {
                throw .misbehaved("another range than was asked for")
            }
            return range.total.flatMap { facts(head, size: $0, interval: interval, ignoresRanges: false) }
        // An empty object has no first byte.
        case 416 where asked != nil: return nil
        default: throw SourceError(status: head.status)
        }
    }

    private static func facts(
        _ head: OriginHead,
        size: Int64?,
        interval: Range<Int64>? = nil,
        ignoresRanges: Bool
    ) -> Facts {
        Facts(
            version: ObjectVersion(head, size: size),
            mediaType: mediaType(head),
            interval: interval,
            ignoresRanges: ignoresRanges
        )
    }

    /// - Parameters:
    ///   - asked: the bytes that are wanted; from 0 to `Int64.max` if the length is not known.
    ///   - version: what they have to be of.
    /// - Throws: ``SourceError``: `changed` if the object is another by now.
    package static func body(
        _ head: OriginHead,
        asked: Range<Int64>,
        of version: ObjectVersion
    ) throws(SourceError) -> Body {
        switch head.status {
        case 200:
            try checkCoding(head)
            guard version.matches(head) else { throw .changedAtOrigin }
            if let size = version.size, let length = try contentLength(head), length != size {
                throw .changedAtOrigin
            }
            return .whole
        case 206:
            try checkCoding(head)
            guard version.matches(head) else { throw .changedAtOrigin }
            let range = try contentRange(head)
            guard let size = version.size, let interval = range.interval else {
                throw .misbehaved("a range that nobody asked for")
            }
            guard let total = range.total else { throw .misbehaved("a range without the length of the whole") }
            guard total == size else { throw .changedAtOrigin }
            guard interval.lowerBound == asked.lowerBound, interval.upperBound <= asked.upperBound else {
                throw .misbehaved("another range than was asked for")
            }
            return .part(interval)
        case 412, 416: throw .changedAtOrigin
        default: throw SourceError(status: head.status)
        }
    }

    /// The one `Content-Range` of a 206, which the length of the body does not contradict.
    private static func contentRange(_ head: OriginHead) throws(SourceError) -> ContentRange {
        guard !head.tokens("content-type").contains("multipart/byteranges") else {
            throw .misbehaved("several ranges instead of one")
        }
        guard let text = head.single("content-range"), let range = ContentRange(text), let interval = range.interval
        else { throw .misbehaved("a range without a Content-Range that can be understood") }
        if let length = try contentLength(head), length != interval.upperBound - interval.lowerBound {
            throw .misbehaved("a body of another length than its Content-Range")
        }
        return range
    }

    /// Whether the length of the body is said in front, so that it can be held against its Content-Range.
    static func isMeasured(_ head: OriginHead) -> Bool {
        head.values("transfer-encoding").isEmpty && !head.values("content-length").isEmpty
    }

    /// - Returns: `nil` if the length is not said.
    private static func contentLength(_ head: OriginHead) throws(SourceError) -> Int64? {
        let values = Set(head.values("content-length"))
        guard let text = values.first, head.values("transfer-encoding").isEmpty else { return nil }
        guard values.count == 1, let length = byteCount(text) else {
            throw .misbehaved("a Content-Length that cannot be understood")
        }
        return length
    }

    private static func checkCoding(_ head: OriginHead) throws(SourceError) {
        guard head.tokens("content-encoding").allSatisfy({ $0 == "identity" }) else {
            throw SourceError(.refused, "the origin sends the object compressed, although it was asked not to")
        }
        // Only the chunks are taken off on the way.
        guard [[], ["chunked"]].contains(head.tokens("transfer-encoding")) else {
            throw .misbehaved("a transfer coding that was not asked for")
        }
    }

    /// - Returns: `nil` if the origin says nothing, or what servers say that do not know.
    private static func mediaType(_ head: OriginHead) -> String? {
        guard let text = head.single("content-type"), (3...255).contains(text.utf8.count), text.contains("/"),
            text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }),
            head.tokens("content-type").first != "application/octet-stream"
        else { return nil }
        return text
    }
}

extension SourceError {
    /// What an answer without the object means.
    init(status: Int) {
        switch status {
        case 404, 410: self.init(.notFound, "the origin has no such object")
        case 401, 403, 407: self.init(.forbidden, "the origin does not give this object to the gateway")
        case 408, 425: self.init(.notReady, "the origin asks to come back later")
        case 429, 503: self.init(.overloaded, "the origin has too much to do")
        case 400..<500: self.init(.refused, "the origin refuses the request with status \(status)")
        case 500...: self.init(.unavailable, "the origin failed with status \(status)")
        default: self.init(.unavailable, "the origin answered with status \(status), which is no answer to a GET")
        }
    }

    static let changedAtOrigin = SourceError(.changed, "the object changed at the origin")

    /// - Parameter what: what was sent.
    static func misbehaved(_ what: String) -> SourceError {
        SourceError(.unavailable, "the origin sent \(what)")
    }
}
