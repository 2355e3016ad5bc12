import SourcePlugins

/// What a stored response makes of one request: a head, and the part of the body that follows.
struct StoredAnswer {
    let code: Int
    /// Empty if nothing follows.
    let range: Range<Int64>
    private let representation: Representation
    private let length: Int64?
    private let contentRange: ContentRangeField?

    /// Fields about the bytes of one message: those of another have other digests.
    static let digests: Set<String> = ["content-digest", "content-md5", "digest"]

    init(_ representation: Representation, for request: RequestMessage) {
        self.representation = representation
        let (response, size) = (representation.response, representation.object.size)
        guard !response.isNotModified(for: request) else {
            (code, range, length, contentRange) = (304, 0..<0, nil, nil)
            return
        }
        guard response.status == 200, request.method == "GET", let asked = Self.range(request, response) else {
            let hasNoBody = response.status == 204
            code = response.status
            range = hasNoBody || request.method == "HEAD" ? 0..<0 : 0..<size
            length = hasNoBody ? nil : size
            contentRange = nil
            return
        }
        if let part = asked.resolve(size: size) {
            (code, range, length) = (206, part, Int64(part.count))
            contentRange = .part(part, size: size)
        } else {
            (code, range, length) = (416, 0..<0, 0)
            contentRange = .unsatisfiable(size: size)
        }
    }

    /// - Parameter now: what the response's age is told by.
    func head(at now: Timestamp, _ status: CacheStatus, node: String) -> ResponseHead {
        let response = representation.response
        var fields = code == 304 ? response.notModifiedFields(at: now) : response.fields(at: now)
        fields.remove("content-range")
        if contentRange != nil { fields.remove(Self.digests) }
        var head = ResponseHead(code, fields, length.map { .length($0) } ?? .none, status, node: node)
        head.contentRange = contentRange
        return head
    }

    /// What `Range` asks for, if it counts (RFC 9110 §13.1.5).
    private static func range(_ request: RequestMessage, _ response: StoredResponse) -> ByteRangeRequest? {
        guard let range = request.fields.first("range").flatMap({ ByteRangeRequest(field: $0) }) else { return nil }
        guard let condition = request.fields.first("if-range") else { return range }
        if let tag = ETag(condition) { return response.eTag.map { $0.matchesStrongly(tag) } == true ? range : nil }
        // A date is a strong validator if the response was made a while after it (RFC 9110 §8.8.2.2).
        guard let date = HeaderDate.parse(condition, now: response.freshness.responseTime) else { return nil }
        return date == response.lastModified && response.date - date >= 60 ? range : nil
    }
}

extension ResponseHead {
    /// An answer with the fields of an origin's, but for those that tell the body's length: they are the connection's.
    init(_ status: Int, _ fields: HeaderFields, _ framing: Framing, _ cache: CacheStatus, node: String) {
        self.init(status: status, framing: framing)
        isForwarded = true
        self.cache = cache.outcome
        for line in fields.endToEnd.lines where !Self.replaced.contains(line.name.lowercased()) {
            add(line.name, line.value)
        }
        add("Cache-Status", cache.value(node, behind: fields.values("cache-status")))
    }

    private static let replaced: Set<String> = ["content-length", "cache-status"]
}
