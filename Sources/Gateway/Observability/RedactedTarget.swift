import SourcePlugins

/// A request target as it may be logged: without signatures, tokens and magnet links, which can hold a tracker's
/// passkey.
///
/// The values of such query parameters become `redacted`, and so does a path segment that is a magnet link. Names are
/// compared without regard to case and percent-encoding. A target without any of them comes back as it is.
package func redacted(target: String) -> String {
    guard mayHoldSecret(target) else { return target }
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    let path = parts[0].split(separator: "/", omittingEmptySubsequences: false)
        .map { startsLikeMagnet($0.utf8) ? "redacted" : String($0) }
        .joined(separator: "/")
    guard parts.count > 1 else { return path }
    let query = parts[1].split(separator: "&", omittingEmptySubsequences: false)
        .map(redacted(parameter:))
        .joined(separator: "&")
    return "\(path)?\(query)"
}

/// Whether `target` has a query, or a segment that could be a magnet link. Reads it once and allocates nothing.
private func mayHoldSecret(_ target: String) -> Bool {
    let bytes = target.utf8Span.span
    // The bytes before the one at hand; the start counts as a slash.
    var last = UInt8(ascii: "/")
    var lastButOne = UInt8(ascii: "/")
    for index in bytes.indices {
        let byte = bytes[index]
        switch byte {
        case UInt8(ascii: "?"): return true
        case UInt8(ascii: "%") where last == UInt8(ascii: "/"): return true
        case UInt8(ascii: "a"), UInt8(ascii: "A"), UInt8(ascii: "%"):
            if last | 0x20 == UInt8(ascii: "m"), lastButOne == UInt8(ascii: "/") { return true }
        default: break
        }
        lastButOne = last
        last = byte
    }
    return false
}

/// Parts of a magnet link, and of a signed URL. The former may be numbered, as in `tr.1`.
private let secretNames: Set<String> = ["sig", "token", "s", "xt", "tr", "xs", "as", "ws"]

private func redacted(parameter: Substring) -> String {
    let name = parameter.prefix { $0 != "=" }
    guard name.endIndex < parameter.endIndex else {
        return startsLikeMagnet(parameter.utf8) ? "redacted" : String(parameter)
    }
    let plainName = String(decoding: PercentEncoding.decodedLeniently(name.utf8), as: UTF8.self).lowercased()
    let isSecret =
        secretNames.contains(String(plainName.prefix { $0 != "." })) || plainName.contains("magnet")
        || startsLikeMagnet(parameter[name.endIndex...].utf8.dropFirst())
    return isSecret ? "\(name)=redacted" : String(parameter)
}

/// Whether `text`, decoded, starts with `magnet:`. Encoding may be twofold.
private func startsLikeMagnet(_ text: some Sequence<UInt8>) -> Bool {
    let magnet = Array("magnet:".utf8)
    // As long as seven bytes can get that are encoded twice, each byte of the first time again.
    let start = PercentEncoding.decodedLeniently(PercentEncoding.decodedLeniently(text.prefix(9 * magnet.count)))
    return start.starts(with: magnet) { $0 | 0x20 == $1 | 0x20 }
}
