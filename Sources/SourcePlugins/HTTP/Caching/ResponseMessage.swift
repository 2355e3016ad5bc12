/// The head of a response of an origin, and when it was asked for and came.
package struct ResponseMessage: Sendable, Hashable {
    package var status: Int
    package var fields: HeaderFields
    package var requestTime: Timestamp
    package var responseTime: Timestamp

    package init(status: Int, fields: HeaderFields, requestTime: Timestamp, responseTime: Timestamp) {
        self.status = status
        self.fields = fields
        self.requestTime = requestTime
        self.responseTime = responseTime
    }

    /// `Date` in seconds since 1970, or the time the response came if there is none that can be read
    /// (RFC 9110 §6.6.1).
    package var date: Int64 {
        fields.first("date").flatMap { HeaderDate.parse($0, now: responseTime) } ?? responseTime.seconds
    }

    package var lastModified: Int64? {
        fields.first("last-modified").flatMap { HeaderDate.parse($0, now: responseTime) }
    }

    package var eTag: ETag? { fields.first("etag").flatMap { ETag($0) } }

    /// Whether there is an entity tag that is not known to the byte.
    var hasRepairedTag: Bool { fields.values("etag").contains(where: FieldSyntax.isRepaired) }
}
