package import SourcePlugins

/// Everything that is decided about an answer before its first byte: status, and the bytes that follow.
package struct DeliveryPlan: Sendable, Hashable {
    package enum Body: Sendable, Hashable {
        /// No byte of the object is sent.
        case none
        case part(Range<Int64>)
        /// All of an object whose size nobody knows.
        case unknownLength
    }

    package let status: Int
    package let body: Body
    /// `Content-Length` as announced, for HEAD too; `nil` where the field must be absent.
    package let contentLength: Int64?
    /// `Content-Range`, for 206 and 416.
    package let contentRange: ContentRangeField?

    /// - Parameters:
    ///   - isHead: HEAD has the fields of a GET without `Range` (RFC 9110 §9.3.2, §14.2).
    ///   - range: the `Range` field.
    package init(info: ObjectInfo, isHead: Bool, range: String?, preconditions: Preconditions) {
        switch preconditions.evaluate(info) {
        case .notModified:
            self.init(status: 304, body: .none, contentLength: nil)
            return
        case .failed:
            self.init(status: 412, body: .none, contentLength: 0)
            return
        case .proceed:
            break
        }
        guard let size = info.size else {
            self.init(status: 200, body: isHead ? .none : .unknownLength, contentLength: nil)
            return
        }
        guard !isHead, let request = range.flatMap({ ByteRangeRequest(field: $0) }), preconditions.allowsRange(info)
        else {
            let hasBody = !isHead && size > 0
            self.init(status: 200, body: hasBody ? .part(0..<size) : .none, contentLength: size)
            return
        }
        // Players ask for the rest of an object before they know that there is nothing of it.
        guard size > 0 || request != .from(0) else {
            self.init(status: 200, body: .none, contentLength: 0)
            return
        }
        guard let part = request.resolve(size: size) else {
            self.init(status: 416, body: .none, contentLength: 0, contentRange: .unsatisfiable(size: size))
            return
        }
        self.init(part, of: size)
    }

    /// A part of an object of `size` bytes, with status 206.
    ///
    /// - Parameter part: not empty.
    init(_ part: Range<Int64>, of size: Int64) {
        self.init(
            status: 206,
            body: .part(part),
            contentLength: part.upperBound - part.lowerBound,
            contentRange: .part(part, size: size)
        )
    }

    private init(status: Int, body: Body, contentLength: Int64?, contentRange: ContentRangeField? = nil) {
        self.status = status
        self.body = body
        self.contentLength = contentLength
        self.contentRange = contentRange
    }
}
