/// What a request that came in says of its way here, for those that it causes.
package struct RequestTrace: Sendable {
    /// The members of `Via`, in their order.
    package let via: [String]
    package let traceparent: String?

    /// - Parameter fields: of the request that came in.
    package init(_ fields: HeaderFields) {
        via = fields.list("via").map(String.init)
        traceparent = fields.first("traceparent")
    }

    /// What is done for a request is done with this set to its trace; `nil` if it has none.
    @TaskLocal package static var current: RequestTrace?

    /// Whether the request has passed `node` before (RFC 9110 §7.6.3).
    package func hasPassed(_ node: String) -> Bool {
        via.contains { member in
            // Protocol, name, and perhaps a comment.
            let words = member.split { $0 == " " || $0 == "\t" }
            return words.count > 1 && FieldSyntax.isSameName(words[1], node)
        }
    }

    /// `Via` behind `node`.
    func via(behind node: String) -> String { (via + ["1.1 \(node)"]).joined(separator: ", ") }
}

/// The cause of a ``SourceError`` `refused`: the request has been here before.
package struct RequestLoop: Error {}

extension RequestTrace {
    /// A name that no other process has.
    package static let processName = "media-gateway-\(String(UInt64.random(in: .min ... .max), radix: 16))"

    /// - Throws: ``SourceError`` `refused` with the cause ``RequestLoop`` if the request has passed `node` before.
    package func check(_ node: String) throws(SourceError) {
        guard !hasPassed(node) else {
            throw SourceError(.refused, "the origin leads back to this gateway; see base_url", cause: RequestLoop())
        }
    }
}
