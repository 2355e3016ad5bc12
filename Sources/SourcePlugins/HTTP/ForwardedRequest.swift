package import NIOCore

/// A request that goes to the origin as it came, but for what concerns one connection.
package struct ForwardedRequest: Sendable {
    package let method: String
    /// Below the base URL: path without a leading slash and query, percent-encoded as the client sent it.
    package let target: String
    /// The fields that go beyond one connection; `Host` and `Content-Length` are not among them.
    package let fields: HeaderFields
    package let body: (any ForwardedBody)?

    /// - Parameter fields: as they came. Those of the connection (RFC 9110 §7.6.1), `Host`, `Content-Length` and
    ///   `Expect`, which is for whoever reads the body, are left out.
    package init(method: String, target: String, fields: HeaderFields, body: (any ForwardedBody)? = nil) {
        self.method = method
        self.target = target
        self.fields = fields.endToEnd.filtered { !Self.ownFields.contains($0) && !$0.hasPrefix("proxy-") }
        self.body = body
    }

    private static let ownFields: Set<String> = ["content-length", "expect", "host", "http2-settings"]
}

/// The body of a ``ForwardedRequest``. It is read once, and by one task at a time.
package protocol ForwardedBody: Sendable {
    /// `nil` if the length is not known: sent in chunks.
    var length: Int64? { get }

    /// The next bytes; `nil` at the end. Called only when the origin takes more.
    ///
    /// Waits for as long as its own limits allow: a client that is slow to send is no fault of the origin's. The task
    /// is cancelled when nobody wants the rest.
    func next() async throws -> ByteBuffer?
}
