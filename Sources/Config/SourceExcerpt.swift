/// A line of a file with carets below the part a message is about.
struct SourceExcerpt {
    let lines: [String]

    /// - Returns: `nil` if the origin is not a file, or there is nothing at its position to show.
    init?(_ origin: ConfigOrigin) {
        guard case .file(let text, let number, let column, let width) = origin, width > 0,
            let line = text.line(number)
        else { return nil }
        let scalars = Array(line.unicodeScalars)
        let start = min(max(column - 1, 0), scalars.count)
        // A long line is shown around the position only.
        let first = scalars.count <= Self.longestLine ? 0 : max(0, start - Self.longestLine / 4)
        let shown = scalars[first...].prefix(Self.longestLine)
        let indent = scalars[first..<start].map { $0 == "\t" ? "\t" : " " }.joined()
        let carets = min(width, max(1, shown.endIndex - start))
        let gutter = " \(number) | "
        let source = shown.map { $0 == "\t" ? "\t" : printable(String($0)) }.joined()
        lines = [
            gutter + source,
            String(repeating: " ", count: gutter.count - 2) + "| " + indent + "^"
                + String(repeating: "~", count: carets - 1),
        ]
    }

    private static let longestLine = 160
}
