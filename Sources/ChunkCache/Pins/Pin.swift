/// What an operator wants to stay in the cache: one path of a source, or all that begin alike.
package struct Pin: Sendable, Hashable, Codable {
    package var source: String
    /// In its bytes, as the source has it.
    package var path: [UInt8]
    /// Whether every path is meant that begins with these bytes; with none, the whole source.
    package var isPrefix: Bool

    package init(source: String, path: [UInt8], isPrefix: Bool) {
        self.source = source
        self.path = path
        self.isPrefix = isPrefix
    }

    package func contains(source: String, path: [UInt8]) -> Bool {
        guard source == self.source else { return false }
        return isPrefix ? path.starts(with: self.path) : path == self.path
    }

    func contains(_ record: ObjectRecord) -> Bool { contains(source: record.source, path: record.path) }

    /// Whether everything that `other` names is named by this too.
    func covers(_ other: Pin) -> Bool {
        contains(source: other.source, path: other.path) && (isPrefix || !other.isPrefix)
    }
}

/// Why nothing was pinned or unpinned.
package enum PinError: Error, Sendable, Hashable {
    /// What the cache has of it, and has pinned already, is more together than may be pinned. All in bytes.
    case overBudget(bytes: Int64, pinned: Int64, limit: Int64)
    /// The same of a source with a limit, nine tenths of which may be pinned.
    case overShare(source: String, bytes: Int64, pinned: Int64, limit: Int64)
    /// There are as many pins as there may be.
    case tooMany(limit: Int)
    /// There is no such pin. Another one, if there is one, has all of it.
    case notPinned(coveredBy: Pin?)
    /// Pins cannot be kept now, for this reason.
    case unavailable(String)
}
