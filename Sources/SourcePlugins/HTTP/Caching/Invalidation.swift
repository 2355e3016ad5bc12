/// What an answer to a request that may change the origin makes invalid (RFC 9111 §4.4).
package enum Invalidation {
    /// The URIs whose stored responses are invalid now: the request's own, and those of `Location` and
    /// `Content-Location` if they are of its origin. Empty if the method is safe or the status an error.
    package static func targets(of request: RequestMessage, status: Int, fields: HeaderFields) -> [TargetURI] {
        guard !request.isSafe, (200...399).contains(status) else { return [] }
        var targets = [request.target]
        for name in ["location", "content-location"] {
            for target in fields.values(name).compactMap({ request.target.resolve($0) })
            where target.isSameOrigin(as: request.target) && !targets.contains(target) {
                targets.append(target)
            }
        }
        return targets
    }
}
