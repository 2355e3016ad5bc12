/// The head of a request, as far as caching goes.
package struct RequestMessage: Sendable, Hashable {
    package var method: String
    package var target: TargetURI
    package var fields: HeaderFields

    package init(method: String = "GET", target: TargetURI, fields: HeaderFields = [:]) {
        self.method = method
        self.target = target
        self.fields = fields
    }

    /// Whether the request changes nothing at the origin (RFC 9110 §9.2.1). A method that is not known may.
    package var isSafe: Bool { Self.safeMethods.contains(method) }

    /// Whether the request brings a body, which no cache key tells apart.
    package var hasContent: Bool {
        fields.contains("transfer-encoding") || fields.values("content-length").contains { $0 != "0" }
    }

    private static let safeMethods: Set<String> = [
        "GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY",
    ]
}
