/// What a second of a film takes, as the command line has it: `"5Mbit/s"`.
package struct BitRate: Sendable, Hashable {
    private static let units = [("Gbit/s", Int64(1_000_000)), ("Mbit/s", 1000), ("kbit/s", 1)]
    private static let largest: Int64 = 1_000_000_000

    private let kilobits: Int64

    /// - Returns: `nil` for anything else, blanks included, and for 0.
    package init?(_ text: String) {
        guard let (unit, factor) = Self.units.first(where: { text.hasSuffix($0.0) }),
            let count = Int64(digits: text.dropLast(unit.count)), (1...Self.largest / factor).contains(count)
        else { return nil }
        kilobits = count * factor
    }

    /// - Parameter megabits: the nearest from 1 to 1,000,000 is taken.
    package init(megabits: Int) {
        kilobits = Int64(min(max(megabits, 1), 1_000_000)) * 1000
    }

    package var bytesPerSecond: Int64 { kilobits * 125 }
}

extension BitRate: CustomStringConvertible {
    /// In the largest unit that gives a whole number.
    package var description: String {
        let (unit, factor) = Self.units.first { kilobits.isMultiple(of: $0.1) } ?? ("kbit/s", 1)
        return "\(kilobits / factor)\(unit)"
    }
}
