import ChunkCache

/// What of a source a pin is about.
package enum PinScope: Sendable, Hashable {
    /// One path, in all its variants.
    case object(source: String, path: [UInt8])
    /// Every path that begins with these bytes, of which there is at least one.
    case prefix(source: String, path: [UInt8])
    case source(String)

    package var source: String {
        switch self {
        case .object(let source, _), .prefix(let source, _), .source(let source): source
        }
    }

    init(_ pin: Pin) {
        self =
            if !pin.isPrefix {
                .object(source: pin.source, path: pin.path)
            } else if pin.path.isEmpty {
                .source(pin.source)
            } else {
                .prefix(source: pin.source, path: pin.path)
            }
    }

    var pin: Pin {
        switch self {
        case .object(let source, let path): Pin(source: source, path: path, isPrefix: false)
        case .prefix(let source, let path): Pin(source: source, path: path, isPrefix: true)
        case .source(let source): Pin(source: source, path: [], isPrefix: true)
        }
    }
}

extension PinScope {
    /// Reads what an operator writes: `media`, `media/films/one.mkv` or, for all below a folder, `media/films/`.
    ///
    /// - Parameters:
    ///   - path: may be told by itself, behind a source without one.
    ///   - isPrefix: whether all paths are meant that begin so, a slash at the end or not.
    /// - Returns: `nil` if that names nothing.
    package init?(_ text: String, path: String? = nil, isPrefix: Bool = false) {
        let source = String(text.prefix { $0 != "/" })
        let rest = text.dropFirst(source.count)
        guard !source.isEmpty, path == nil || rest.isEmpty else { return nil }
        // Paths within a source have no slash in front, though people write one.
        let bytes = Array((path.map { $0[...] } ?? rest).drop { $0 == "/" }.utf8)
        if bytes.isEmpty {
            guard !isPrefix else { return nil }
            self = .source(source)
        } else if isPrefix || bytes.last == UInt8(ascii: "/") {
            self = .prefix(source: source, path: bytes)
        } else {
            self = .object(source: source, path: bytes)
        }
    }

    /// Reads `scope=object|prefix|source&source=…&path=…`.
    ///
    /// - Throws: ``RequestProblem`` if that names nothing, or more than its scope has room for.
    init(_ query: QueryParameters) throws(RequestProblem) {
        try query.allowOnly(["scope", "source", "path"])
        let (source, path) = (try query.text("source"), query.path("path"))
        switch (try query.text("scope"), source, path) {
        case ("object", let source?, let path?) where !source.isEmpty && !path.isEmpty:
            self = .object(source: source, path: path)
        case ("prefix", let source?, let path?) where !source.isEmpty && !path.isEmpty:
            self = .prefix(source: source, path: path)
        case ("source", let source?, nil) where !source.isEmpty: self = .source(source)
        default:
            throw RequestProblem(
                400,
                .badRequest,
                "a pin is scope=object or scope=prefix with source and path, or scope=source with source"
            )
        }
    }

    /// As ``init(_:)-(QueryParameters)`` reads it.
    var query: String {
        switch self {
        case .object(let source, let path): PurgeScope.object(source: source, path: path).query
        case .prefix(let source, let path): PurgeScope.prefix(source: source, path: path).query
        case .source(let source): PurgeScope.source(source).query
        }
    }
}

extension Pin {
    /// As it is written on the command line, for people.
    var name: String { pinName(source, String(decoding: path, as: UTF8.self), isPrefix: isPrefix) }
}

/// A pin on one line.
func pinName(_ source: String, _ path: String, isPrefix: Bool) -> String {
    guard !path.isEmpty else { return singleLine(source) }
    return singleLine("\(source)/\(path)") + (isPrefix && !path.hasSuffix("/") ? "…" : "")
}
