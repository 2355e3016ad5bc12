/// Which objects a purge is about.
package enum PurgeScope: Sendable, Hashable {
    /// One path of a source, in all its variants.
    case object(source: String, path: [UInt8])
    /// Every path of a source that begins with these bytes.
    case prefix(source: String, path: [UInt8])
    case source(String)
    case all

    /// `nil` if it is about all of them.
    var source: String? {
        switch self {
        case .object(let source, _), .prefix(let source, _), .source(let source): source
        case .all: nil
        }
    }

    package func contains(source: String, path: some Collection<UInt8>) -> Bool {
        switch self {
        case .object(let wanted, let bytes): source == wanted && path.elementsEqual(bytes)
        case .prefix(let wanted, let bytes): source == wanted && path.starts(with: bytes)
        case .source(let wanted): source == wanted
        case .all: true
        }
    }
}

extension PurgeScope {
    /// Reads `scope=object|prefix|source|all&source=…&path=…`; `soft` is for whoever carries it out.
    ///
    /// - Throws: ``RequestProblem`` if that names nothing, or more than its scope has room for: a purge that was
    ///   misspelt must not become a larger one.
    init(_ query: QueryParameters) throws(RequestProblem) {
        try query.allowOnly(["scope", "source", "path", "soft"])
        let (source, path) = (try query.text("source"), query.path("path"))
        switch (try query.text("scope"), source, path) {
        case ("object", let source?, let path?) where !source.isEmpty:
            self = .object(source: source, path: path)
        case ("prefix", let source?, let path?) where !source.isEmpty && !path.isEmpty:
            self = .prefix(source: source, path: path)
        case ("source", let source?, nil) where !source.isEmpty: self = .source(source)
        case ("all", nil, nil): self = .all
        default:
            throw RequestProblem(
                400,
                .badRequest,
                "a purge is scope=object or scope=prefix with source and path, scope=source with source, or scope=all"
            )
        }
    }

    /// As ``init(_:)`` reads it.
    var query: String {
        switch self {
        case .object(let source, let path):
            "scope=object&source=\(percentEncoded(source))&path=\(percentEncoded(path))"
        case .prefix(let source, let path):
            "scope=prefix&source=\(percentEncoded(source))&path=\(percentEncoded(path))"
        case .source(let source): "scope=source&source=\(percentEncoded(source))"
        case .all: "scope=all"
        }
    }
}
