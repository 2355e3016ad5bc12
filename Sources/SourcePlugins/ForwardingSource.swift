/// A source that answers requests rather than holding objects: every method and every status passes through it, and
/// what it answers is cached by the rules of HTTP.
package protocol ForwardingSource: MediaSource {
    /// What the operator decides about caching.
    var caching: CachingPolicy { get }
    /// The most bytes that the body of a request may have.
    var requestBodyLimit: Int64 { get }
    /// Whether the origin is told which host was asked, and may answer by it.
    var forwardsHost: Bool { get }

    /// The URI that a target below the mount stands for.
    ///
    /// - Parameter target: path and query, percent-encoded as they came, with or without a slash at the start.
    /// - Returns: `nil` if it lies outside of what the source may be asked for.
    func uri(of target: Substring) -> ForwardedURI?

    /// What a URI is below the mount; `nil` if it lies elsewhere.
    func uri(at uri: TargetURI) -> ForwardedURI?

    /// Sends a request to the origin. Whatever status that answers with is a response.
    ///
    /// - Throws: ``SourceError`` if there is none, or `CancellationError`.
    func forward(_ request: ForwardedRequest, for client: ForwardedClient) async throws -> ForwardedResponse
}

/// What is asked for at an origin.
package struct ForwardedURI: Sendable, Hashable {
    /// Identifies the resource, whatever it is mounted as.
    package let uri: TargetURI
    /// What of it lies below the source's base: path without a slash at the start, and query.
    package let target: String
    /// What else the origin is told that it may answer by, see ``ForwardedClient/site(forwardsHost:)``.
    package var site: String

    package init(uri: TargetURI, target: String, site: String = "http") {
        self.uri = uri
        self.target = target
        self.site = site
    }
}
