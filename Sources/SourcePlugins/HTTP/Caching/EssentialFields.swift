/// The fields that say what a message is and how caches may treat it.
///
/// None of them belongs to one connection or one client alone, so that a directive or a `Connection` field that takes
/// one of them away is not followed (RFC 9110 §7.6.1).
enum EssentialFields {
    /// In lower case.
    static let names: Set<String> = [
        "age", "authorization", "cache-control", "cdn-cache-control", "content-encoding", "content-length",
        "content-range", "content-type", "date", "etag", "expires", "host", "last-modified", "vary",
    ]
}
