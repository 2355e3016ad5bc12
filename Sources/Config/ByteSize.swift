/// A number of bytes, as configuration writes it: `"64MiB"`.
package struct ByteSize: Sendable, Hashable, Comparable {
    package var bytes: Int64

    package init(bytes: Int64) {
        self.bytes = bytes
    }

    /// Digits and a unit, B, KiB, MiB, GiB or TiB, with nothing between.
    ///
    /// - Returns: `nil` for anything else, and for sizes past `Int64.max` bytes.
    package init?(_ text: String) {
        guard let (count, unit) = splitNumber(text),
            let factor = Self.units.first(where: { $0.name == unit })?.bytes
        else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: factor)
        guard !overflow else { return nil }
        self.bytes = bytes
    }

    package static func < (left: ByteSize, right: ByteSize) -> Bool { left.bytes < right.bytes }

    /// Largest first.
    private static let units: [(name: String, bytes: Int64)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]
}

extension ByteSize: CustomStringConvertible {
    /// In the largest unit that gives a whole number.
    package var description: String {
        let unit = Self.units.first { bytes != 0 && bytes.isMultiple(of: $0.bytes) } ?? ("B", 1)
        return "\(bytes / unit.bytes)\(unit.name)"
    }
}

/// Splits decimal digits from what follows them; `nil` without a digit in front or past `Int64.max`.
func splitNumber(_ text: String) -> (Int64, Substring)? {
    let digits = text.utf8.prefix(while: isDigit)
    guard let digitText = Substring(digits).isEmpty ? nil : Substring(digits), let number = Int64(digitText) else {
        return nil
    }
    return (number, text[digits.endIndex...])
}
