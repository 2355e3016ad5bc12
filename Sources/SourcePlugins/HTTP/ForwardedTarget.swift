/// A path and a query that stay below a base URL, whoever decodes them and however often.
struct ForwardedTarget: Sendable, Hashable {
    /// Percent-encoded as it came, without a slash at the start.
    let text: String

    /// - Throws: ``SourceError`` `badPath` if the target has a segment that is `.` or `..`, encoded or not, or
    ///   anything that does not belong in a request line.
    init(_ text: String) throws(SourceError) {
        guard text.utf8.count <= 8192, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "#") })
        else { throw SourceError(.badPath, "the target is too long, or holds what no request line may") }
        guard !Self.climbs(Array(Self.path(of: text).utf8)) else {
            throw SourceError(.badPath, "the path has a component that is . or ..")
        }
        self.text = text
    }

    /// Without the query.
    var path: Substring { Self.path(of: text) }

    private static func path(of text: String) -> Substring { text.prefix { $0 != "?" } }

    /// Decoded several times, since some origins decode twice; what is still encoded then is suspect. Backslashes part
    /// segments too, and what follows a semicolon is no part of a name: some servers see it so.
    private static func climbs(_ path: [UInt8]) -> Bool {
        var path = path
        for _ in 0..<4 {
            for segment in path.split(whereSeparator: { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\") }) {
                let name = segment.prefix { $0 != UInt8(ascii: ";") }
                if (1...2).contains(name.count), name.allSatisfy({ $0 == UInt8(ascii: ".") }) { return true }
            }
            let decoded = PercentEncoding.decodedLeniently(path)
            if decoded.count == path.count { return false }
            path = decoded
        }
        return true
    }
}
