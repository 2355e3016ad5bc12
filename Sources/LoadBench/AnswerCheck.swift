package import NIOHTTP1

/// What a request asks for, and what a right answer to it has in its head.
package enum LoadRequest: Sendable, Equatable {
    /// Everything, without a range: for what is no file.
    case whole
    /// From `first` to `last`, or to the end.
    case range(first: Int64, last: Int64?)

    /// The value of the field `Range`.
    var rangeField: String? {
        switch self {
        case .whole: nil
        case .range(let first, let last): "bytes=\(first)-" + (last.map { "\($0)" } ?? "")
        }
    }
}

/// The body that a right head announces.
package struct AnnouncedBody: Sendable, Equatable {
    /// Where in the object its first byte is.
    package let position: Int64
    /// `nil` if its end is told by the coding or by the connection.
    package let length: Int64?
    /// Of the object.
    package let size: Int64?
}

extension LoadRequest {
    /// - Parameter size: of the object, if it is known; another one is a failure.
    /// - Throws: what is wrong with the head.
    package func announced(
        by head: HTTPResponseHead,
        size: Int64?
    ) throws(LoadFailure) -> AnnouncedBody {
        switch self {
        case .whole:
            guard head.status.code == 200 else { throw Self.wrongStatus(head, 200) }
            return AnnouncedBody(position: 0, length: try Self.length(head), size: try Self.length(head))
        case .range(let first, let last):
            guard head.status.code == 206 else { throw Self.wrongStatus(head, 206) }
            guard let range = Self.single(head, "content-range").flatMap({ ContentRange($0) }), range.first == first,
                range.last == min(last ?? .max, range.size - 1), size == nil || range.size == size
            else {
                let found = Self.found(head, "Content-Range")
                throw LoadFailure(.range, "\(found); expected \(Self.contentRange(first, last, size))")
            }
            let length = range.last - range.first + 1
            guard try Self.length(head) == length else {
                throw LoadFailure(.length, "\(Self.found(head, "Content-Length")); expected \(length)")
            }
            return AnnouncedBody(position: first, length: length, size: range.size)
        }
    }

    private static func wrongStatus(_ head: HTTPResponseHead, _ expected: Int) -> LoadFailure {
        LoadFailure(
            .status(Int(head.status.code)),
            "status \(head.status.code) \(head.status.reasonPhrase); expected \(expected)"
        )
    }

    private static func length(_ head: HTTPResponseHead) throws(LoadFailure) -> Int64? {
        guard head.headers.contains(name: "content-length") else { return nil }
        guard let text = single(head, "content-length"), let length = Int64(digits: text) else {
            throw LoadFailure(.length, found(head, "Content-Length"))
        }
        return length
    }

    /// What the head has of a field.
    private static func found(_ head: HTTPResponseHead, _ name: String) -> String {
        let values = head.headers[name]
        return values.isEmpty ? "no \(name)" : "\(name): \(values.joined(separator: ", "))"
    }

    /// What `Content-Range` should be, with dots for what is not known.
    private static func contentRange(_ first: Int64, _ last: Int64?, _ size: Int64?) -> String {
        guard let size else { return "bytes \(first)-\(last.map { "\($0)" } ?? "…")/…" }
        return "bytes \(first)-\(min(last ?? .max, size - 1))/\(size)"
    }

    /// The value of a field that occurs once.
    private static func single(_ head: HTTPResponseHead, _ name: String) -> String? {
        let values = head.headers[name]
        return values.count == 1 ? values.first : nil
    }
}

/// `bytes first-last/size` of RFC 9110 §14.4, with a size.
struct ContentRange: Equatable {
    let first: Int64
    let last: Int64
    let size: Int64

    /// 2^60: no object is so large, and sums with it do not overflow.
    private static let largest: Int64 = 1 << 60

    init?(_ text: String) {
        guard text.hasPrefix("bytes ") else { return nil }
        let parts = text.dropFirst(6).split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let size = Int64(digits: parts[1]), size <= Self.largest else {
            return nil
        }
        let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = Int64(digits: ends[0]), let last = Int64(digits: ends[1]),
            first <= last, last < size
        else { return nil }
        (self.first, self.last, self.size) = (first, last, size)
    }
}
