/// What a client says it wants to read (RFC 9110 §12.5.1).
package enum AcceptHeader {
    /// Whether to answer with a page: browsers name `text/html`, programs say `*/*` or nothing and get JSON.
    package static func prefersHTML(_ value: String?) -> Bool {
        guard let value else { return false }
        let ranges = value.split(separator: ",").prefix(64).compactMap(MediaRange.init)
        return quality(of: "text", "html", in: ranges) > quality(of: "application", "json", in: ranges)
    }

    /// The weight of the most specific range that fits.
    private static func quality(of type: String, _ subtype: String, in ranges: [MediaRange]) -> Double {
        let fitting = ranges.filter {
            ($0.type == "*" && $0.subtype == "*") || ($0.type == type && ($0.subtype == "*" || $0.subtype == subtype))
        }
        return fitting.max { $0.specificity < $1.specificity }?.quality ?? 0
    }
}

private struct MediaRange {
    let type: String
    let subtype: String
    let quality: Double

    var specificity: Int { (type == "*" ? 0 : 1) + (subtype == "*" ? 0 : 1) }

    init?(_ text: Substring) {
        let parts = text.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" }.lowercased() }
        let names = parts.first?.split(separator: "/") ?? []
        guard names.count == 2 else { return nil }
        type = String(names[0])
        subtype = String(names[1])
        let weight = parts.dropFirst().first { $0.hasPrefix("q=") }.map { Double($0.dropFirst(2)) ?? 0 } ?? 1
        quality = (0...1).contains(weight) ? weight : 0
    }
}
