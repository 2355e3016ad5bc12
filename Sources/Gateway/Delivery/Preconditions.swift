package import SourcePlugins

/// The conditional fields of a request (RFC 9110 §13), evaluated in the order of §13.2.2.
package struct Preconditions: Sendable, Hashable {
    package var ifMatch: String?
    package var ifUnmodifiedSince: String?
    package var ifNoneMatch: String?
    package var ifModifiedSince: String?
    package var ifRange: String?

    package init(
        ifMatch: String? = nil,
        ifUnmodifiedSince: String? = nil,
        ifNoneMatch: String? = nil,
        ifModifiedSince: String? = nil,
        ifRange: String? = nil
    ) {
        self.ifMatch = ifMatch
        self.ifUnmodifiedSince = ifUnmodifiedSince
        self.ifNoneMatch = ifNoneMatch
        self.ifModifiedSince = ifModifiedSince
        self.ifRange = ifRange
    }

    package enum Verdict: Sendable, Hashable {
        case proceed
        /// 304: the client has these bytes.
        case notModified
        /// 412: the client asked for other bytes than there are.
        case failed
    }

    /// The verdict for GET and HEAD of an object.
    ///
    /// An object without a revision has no validator at all: its dates are not compared either, since it may change
    /// within the second they count in.
    package func evaluate(_ info: ObjectInfo) -> Verdict {
        let modified = info.revision == nil ? nil : info.lastModified?.seconds
        if let ifMatch {
            guard EntityTagList(field: ifMatch).contains(info.revision, where: { $0.matchesStrongly($1) }) else {
                return .failed
            }
        } else if let since = ifUnmodifiedSince.flatMap(HTTPDate.parse), let modified, modified > since {
            return .failed
        }
        if let ifNoneMatch {
            if EntityTagList(field: ifNoneMatch).contains(info.revision, where: { $0.matchesWeakly($1) }) {
                return .notModified
            }
        } else if let since = ifModifiedSince.flatMap(HTTPDate.parse), let modified, modified <= since {
            return .notModified
        }
        return .proceed
    }

    /// Whether a `Range` field counts (RFC 9110 §13.1.5): no `If-Range`, or one that names exactly these bytes.
    package func allowsRange(_ info: ObjectInfo) -> Bool {
        guard let ifRange else { return true }
        guard let revision = info.revision else { return false }
        if let (tag, rest) = EntityTag.parsePrefix(of: ifRange[...]) {
            return rest.isEmpty && tag.matchesStrongly(revision)
        }
        guard let date = HTTPDate.parse(ifRange) else { return false }
        return date == info.lastModified?.seconds
    }
}
