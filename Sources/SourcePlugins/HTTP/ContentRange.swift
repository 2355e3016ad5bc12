/// What a `Content-Range` in bytes says (RFC 9110 §14.4).
package struct ContentRange: Sendable, Hashable {
    /// The bytes that follow; `nil` if the range that was asked for cannot be had.
    package let interval: Range<Int64>?
    /// The length of the whole; `nil` if it is not known.
    package let total: Int64?

    /// - Returns: `nil` for another unit, for numbers past 2^63 - 2, for an interval that is not one or lies outside
    ///   the whole, and for anything that is not in the grammar.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].lowercased() == "bytes" else { return nil }
        let slashed = parts[1].split(separator: "/", omittingEmptySubsequences: false)
        guard slashed.count == 2 else { return nil }
        if slashed[0] == "*" {
            guard let total = byteCount(slashed[1]) else { return nil }
            (interval, self.total) = (nil, total)
            return
        }
        let ends = slashed[0].split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count == 2, let first = byteCount(ends[0]), let last = byteCount(ends[1]), first <= last else {
            return nil
        }
        interval = first..<(last + 1)
        guard slashed[1] != "*" else {
            total = nil
            return
        }
        guard let total = byteCount(slashed[1]), last < total else { return nil }
        self.total = total
    }
}

/// A number of bytes as headers write it: digits and nothing else.
///
/// - Returns: `nil` for anything else, and for numbers that have no successor in 64 bits.
func byteCount(_ text: some StringProtocol) -> Int64? {
    guard (1...19).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
        let number = Int64(text), number < .max
    else { return nil }
    return number
}
