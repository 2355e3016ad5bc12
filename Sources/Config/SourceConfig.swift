/// One source, as far as it concerns every kind.
package struct SourceConfig: Sendable {
    /// 1 to 32 lower-case letters, digits and dashes; unique.
    package let name: String
    /// One of the kinds the loader knows.
    package let kind: String
    package let enabled: Bool
    /// Where in the URL space: `/` or `/name`, without a slash at its end; unique, and not within another but `/`.
    package let mount: String
    /// Whether its chunks may be in the cache, if there is one.
    package let isCached: Bool
    /// What its chunks may take of the cache; `nil`: all of it. At least eight chunks.
    package let cacheSize: CachePart?
    package let firstByteDeadline: Duration
    /// `[options]`, which the kind reads.
    package let options: ConfigSection
    /// Who said whether the source is enabled; for one that nobody enabled or disabled, where the source is.
    package let enabledOrigin: ConfigOrigin
    /// The dotted key that says so.
    package let enabledKey: String
}

/// A mount in its one spelling: a slash in front, none at the end.
///
/// - Returns: `nil` unless every part is made of the characters that need no escaping in a URL, and none is `.` or
///   `..`.
func normalisedMount(_ text: String) -> String? {
    let slash = UInt8(ascii: "/")
    var path = text.utf8[...]
    if path.first == slash { path.removeFirst() }
    if path.last == slash { path.removeLast() }
    guard !path.isEmpty else { return text.isEmpty || text == "//" ? nil : "/" }
    for segment in path.split(separator: slash, omittingEmptySubsequences: false) {
        let isPlain = !segment.isEmpty && segment.allSatisfy { isHostNameByte($0) || $0 == UInt8(ascii: "~") }
        guard isPlain, Substring(segment) != ".", Substring(segment) != ".." else { return nil }
    }
    return "/" + String(Substring(path))
}

/// Whether one of two normalised mounts is the other, or within it. `/` is where all others are not.
func mountsOverlap(_ first: String, _ second: String) -> Bool {
    if first == second { return true }
    guard first != "/", second != "/" else { return false }
    return first.hasPrefix(second + "/") || second.hasPrefix(first + "/")
}

func isSourceName(_ name: String) -> Bool {
    (1...32).contains(name.utf8.count)
        && name.utf8.allSatisfy { isDigit($0) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || $0 == dash }
}
