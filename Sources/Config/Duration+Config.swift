extension Duration {
    /// A time as configuration writes it: digits and a unit, ms, s, m, h or d, with nothing between: `"30m"`.
    ///
    /// - Returns: `nil` for anything else, and for times past `Int64.max` milliseconds.
    package init?(configText text: String) {
        guard let (count, unit) = splitNumber(text),
            let factor = units.first(where: { $0.name == unit })?.milliseconds
        else { return nil }
        let (milliseconds, overflow) = count.multipliedReportingOverflow(by: factor)
        guard !overflow else { return nil }
        self = .milliseconds(milliseconds)
    }

    /// In the largest unit that gives a whole number; what is less than a millisecond is left out.
    package var configText: String {
        let (whole, overflow) = components.seconds.multipliedReportingOverflow(by: 1000)
        let milliseconds = overflow ? Int64.max : whole &+ components.attoseconds / 1_000_000_000_000_000
        let unit = units.first { milliseconds != 0 && milliseconds.isMultiple(of: $0.milliseconds) }
        guard let unit else { return "0s" }
        return "\(milliseconds / unit.milliseconds)\(unit.name)"
    }
}

/// Largest first.
private let units: [(name: String, milliseconds: Int64)] = [
    ("d", 86_400_000), ("h", 3_600_000), ("m", 60000), ("s", 1000), ("ms", 1),
]
