/// The head of a response that a cache holds.
package struct StoredResponse: Sendable, Hashable {
    package var status: Int
    /// The fields as they may be sent again: end-to-end, always with `Date` and never with `Age`.
    package var fields: HeaderFields
    package var freshness: Freshness
    /// The requests that this answers, of those for its URI.
    package var variant: VariantKey

    package init(status: Int, fields: HeaderFields, freshness: Freshness, variant: VariantKey) {
        self.status = status
        self.fields = fields
        self.freshness = freshness
        self.variant = variant
    }

    /// The head as the origin would have sent it when the response came.
    var message: ResponseMessage {
        ResponseMessage(
            status: status,
            fields: fields,
            requestTime: freshness.responseTime,
            responseTime: freshness.responseTime
        )
    }

    package var eTag: ETag? { message.eTag }
    package var lastModified: Int64? { message.lastModified }
    package var date: Int64 { message.date }

    package var hasValidator: Bool { eTag != nil || lastModified != nil }

    /// The fields of an answer from the cache at `now`.
    package func fields(at now: Timestamp) -> HeaderFields {
        var result = fields
        result.set("Age", String(freshness.age(at: now).wholeSeconds))
        return result
    }

    /// The response, of which each use needs the origin's consent from now on (RFC 9111 §4.4: invalid).
    package var invalidated: StoredResponse {
        var result = self
        result.freshness.needsValidation = true
        result.freshness.staleness = .forbidden
        return result
    }

    /// The response for `request` among those stored for its URI: of those that match, the one the origin made last
    /// (RFC 9111 §4).
    ///
    /// - Returns: its index, or `nil` if none matches.
    package static func select(for request: RequestMessage, among stored: [StoredResponse]) -> Int? {
        guard request.method == "GET" || request.method == "HEAD", !request.hasContent else { return nil }
        var fields = SelectingFields(request.fields)
        return latest(of: stored.indices.filter { stored[$0].variant.matches(&fields) }, in: stored)
    }

    /// - Parameter indices: some of those of `stored`.
    static func latest(of indices: [Int], in stored: [StoredResponse]) -> Int? {
        guard indices.count > 1 else { return indices.first }
        // A date is text that has to be read.
        let times = indices.map { (index: $0, time: (stored[$0].date, stored[$0].freshness.responseTime)) }
        return times.max { $0.time < $1.time }?.index
    }
}
