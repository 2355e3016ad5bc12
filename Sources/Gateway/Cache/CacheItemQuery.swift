/// Which objects of the cache to list, and in what order.
package struct CacheItemQuery: Sendable, Hashable {
    package enum Order: String, Sendable, CaseIterable {
        /// The one with the most bytes first.
        case bytes
        /// By source and path.
        case name
        /// The one with the most chunks first.
        case chunks
        /// The one of which the most chunks were sent first.
        case hits
        /// The one that was asked for most lately first.
        case heat
        /// The oldest first.
        case age
    }

    package static let limits = 1...10_000

    package var source: String?
    /// Only paths that begin with these bytes.
    package var prefix: [UInt8]
    package var order: Order
    package var limit: Int

    package init(source: String? = nil, prefix: [UInt8] = [], order: Order = .bytes, limit: Int = 100) {
        self.source = source
        self.prefix = prefix
        self.order = order
        self.limit = limit
    }

    func contains(_ item: (source: String, path: [UInt8])) -> Bool {
        (source ?? item.source) == item.source && item.path.starts(with: prefix)
    }
}

extension CacheItemQuery {
    /// Reads `source=…&prefix=…&sort=bytes|name|chunks|hits|heat|age&limit=…`, all of which may be left out.
    ///
    /// - Throws: ``RequestProblem`` for anything else.
    init(_ query: QueryParameters) throws(RequestProblem) {
        try query.allowOnly(["source", "prefix", "sort", "limit"])
        self.init(source: try query.text("source"), prefix: query.path("prefix") ?? [])
        if let limit = try query.number("limit", in: Self.limits) { self.limit = limit }
        if let name = try query.text("sort") {
            guard let order = Order(rawValue: name) else {
                throw RequestProblem(400, .badRequest, "sort is one of bytes, name, chunks, hits, heat and age")
            }
            self.order = order
        }
    }

    /// As ``init(_:)`` reads it.
    var query: String {
        var parameters = ["sort=\(order.rawValue)", "limit=\(limit)"]
        if let source { parameters.append("source=\(percentEncoded(source))") }
        if !prefix.isEmpty { parameters.append("prefix=\(percentEncoded(prefix))") }
        return parameters.joined(separator: "&")
    }
}
