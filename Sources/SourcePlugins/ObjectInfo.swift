/// What the gateway needs to know of an object to answer for it without asking its source.
package struct ObjectInfo: Sendable, Hashable {
    /// Length in bytes; `nil` if unknown, and then the object is passed through and never cached.
    package var size: Int64?
    /// Differs whenever any byte does, and is equal on every node. `nil` if the source cannot promise that;
    /// then pieces of two reads may not be joined.
    package var revision: Revision?
    package var lastModified: Timestamp?
    /// An Internet media type the source knows better than the file extension does.
    package var mediaType: String?
    package var validity: Validity
    /// Tells apart, on this machine alone, what `revision` cannot: two files of the same size and time, say. Part of the
    /// key of cached chunks, and never sent.
    package var localRevision: String
    /// What an origin says of it to caches; `nil` for sources that are none.
    package var caching: OriginCaching?

    package init(
        size: Int64?,
        revision: Revision?,
        lastModified: Timestamp? = nil,
        mediaType: String? = nil,
        validity: Validity,
        localRevision: String = "",
        caching: OriginCaching? = nil
    ) {
        self.size = size
        self.revision = revision
        self.lastModified = lastModified
        self.mediaType = mediaType
        self.validity = validity
        self.localRevision = localRevision
        self.caching = caching
    }
}

/// What an origin's answer says to the caches between it and the client (RFC 9111 §5, RFC 9211).
package struct OriginCaching: Sendable, Hashable {
    package var cacheControl: String?
    package var expires: String?
    /// What the caches behind did for that answer.
    package var cacheStatus: String?
    /// How old the answer was when it came, and when that was: not the time of day, as a clock that is set ages nothing.
    package var age: Duration
    package var since: ContinuousClock.Instant

    package init(
        cacheControl: String?,
        expires: String?,
        cacheStatus: String?,
        age: Duration,
        since: ContinuousClock.Instant
    ) {
        self.cacheControl = cacheControl
        self.expires = expires
        self.cacheStatus = cacheStatus
        self.age = age
        self.since = since
    }

    /// Whether a lifetime in seconds takes the place of ``expires`` (RFC 9111 §5.2.2.1, §5.2.2.10).
    package var hasMaxAge: Bool {
        let directives = cacheControl?.lowercased().split(separator: ",") ?? []
        return directives.contains { directive in
            let name = directive.drop { $0 == " " || $0 == "\t" }
            return name.hasPrefix("max-age=") || name.hasPrefix("s-maxage=")
        }
    }

    /// The value of `Age`, in seconds.
    package func age(at now: ContinuousClock.Instant) -> Int64 {
        let passed = max(now - since, .zero).components.seconds
        let (sum, carry) = age.components.seconds.addingReportingOverflow(passed)
        // As far as the field goes (RFC 9111 §1.2.2).
        return carry ? 1 << 31 : min(max(sum, 0), 1 << 31)
    }
}

/// How long an ``ObjectInfo`` may be believed.
package enum Validity: Sendable, Hashable {
    /// For ever: the path names the content.
    case immutable
    /// For this long; after that the source is asked again before the next answer.
    case recheck(after: Duration)
}

/// A strong validator of an object's bytes (RFC 9110 §8.8.1): the opaque part of its ETag.
///
/// Only the characters that need no quoting in an entity tag are allowed, so that a revision can be written into a
/// header as it is.
package struct Revision: Sendable, Hashable, CustomStringConvertible {
    package let opaque: String

    /// - Returns: `nil` unless `opaque` is 1 to 128 characters of `etagc` in US-ASCII (RFC 9110 §8.8.3).
    package init?(_ opaque: String) {
        let bytes = opaque.utf8
        guard (1...128).contains(bytes.count), bytes.allSatisfy({ $0 == 0x21 || (0x23...0x7E).contains($0) }) else {
            return nil
        }
        self.opaque = opaque
    }

    package var description: String { opaque }
}

/// A point in time in nanoseconds since 1970-01-01 00:00:00 UTC, leap seconds not counted.
package struct Timestamp: Sendable, Hashable, Comparable {
    package var nanoseconds: Int64

    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// - Returns: the nearest timestamp that can be expressed, years 1678 to 2262.
    package init(seconds: Int64, nanoseconds: Int64 = 0) {
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = scaled.addingReportingOverflow(nanoseconds)
        self.nanoseconds = overflow || carry ? (seconds < 0 ? .min : .max) : sum
    }

    /// Whole seconds since 1970, rounded down.
    package var seconds: Int64 {
        nanoseconds >= 0 ? nanoseconds / 1_000_000_000 : -((999_999_999 &- nanoseconds) / 1_000_000_000)
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.nanoseconds < right.nanoseconds }
}
