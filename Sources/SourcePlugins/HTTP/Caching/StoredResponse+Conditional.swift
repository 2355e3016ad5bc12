extension StoredResponse {
    /// Whether a client that sends `request` has this response already, so that 304 answers it (RFC 9111 §4.3.2).
    ///
    /// `If-Match` and `If-Unmodified-Since` are for the origin, `If-Range` for whoever serves ranges.
    package func isNotModified(for request: RequestMessage) -> Bool {
        guard (200...299).contains(status) else { return false }
        if let condition = ETagCondition(request.fields) {
            guard case .tags(let tags) = condition else { return true }
            return eTag.map { own in tags.contains { $0.matchesWeakly(own) } } ?? false
        }
        let since = request.fields.first("if-modified-since").flatMap {
            HeaderDate.parse($0, now: freshness.responseTime)
        }
        return since.map { (lastModified ?? date) <= $0 } ?? false
    }

    /// The fields of a 304 from the cache at `now`: all but those that are about the body (RFC 9110 §15.4.5).
    package func notModifiedFields(at now: Timestamp) -> HeaderFields {
        fields(at: now).filtered { !Self.bodyFields.contains($0) }
    }

    private static let bodyFields: Set<String> = [
        "content-digest", "content-disposition", "content-encoding", "content-language", "content-length",
        "content-md5", "content-range", "content-type", "repr-digest",
    ]
}
