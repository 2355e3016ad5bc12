/// What the cache knows of one revision of one object.
///
/// The record is all there is to an object's being cached: chunks are found by its number, so that to remove or to
/// replace the record is to forget them all.
package struct ObjectRecord: Sendable, Hashable {
    /// Names the object's chunks; never used again, not for another revision of the same object either.
    package var number: UInt64
    package var source: String
    package var path: [UInt8]
    package var variant: String
    /// Length of the whole object in bytes, not negative.
    package var size: Int64
    /// The source's strong validator for this revision.
    package var revision: String
    /// Nanoseconds since 1970.
    package var lastModified: Int64?
    package var mediaType: String?
    /// The path names the content: it never has to be asked for again.
    package var isImmutable: Bool
    /// When the record was made, in nanoseconds since 1970.
    package var created: Int64
    /// What whoever stores the object wants to know of it; means nothing to the cache.
    package var attributes: [UInt8]

    package init(
        number: UInt64,
        source: String,
        path: [UInt8],
        variant: String = "",
        size: Int64,
        revision: String,
        lastModified: Int64? = nil,
        mediaType: String? = nil,
        isImmutable: Bool,
        created: Int64,
        attributes: [UInt8] = []
    ) {
        self.number = number
        self.source = source
        self.path = path
        self.variant = variant
        self.size = size
        self.revision = revision
        self.lastModified = lastModified
        self.mediaType = mediaType
        self.isImmutable = isImmutable
        self.created = created
        self.attributes = attributes
    }

    package var key: ObjectKey { ObjectKey(source: source, path: path, variant: variant) }
}
