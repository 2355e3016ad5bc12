/// How figures are written for people.
enum FigureText {
    private static let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    /// What stands for a figure that there is not.
    static let nothing = "–"

    /// `12.3 MiB`.
    static func size(_ bytes: Double) -> String {
        var (value, unit) = (max(bytes.isNaN ? 0 : bytes, 0), 0)
        while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
        return "\(decimal(value, places: unit == 0 ? 0 : 1)) \(units[unit])"
    }

    /// With as many places as tell something.
    static func milliseconds(_ value: Double?) -> String {
        guard let value else { return nothing }
        return "\(decimal(value, places: value < 10 ? 3 : value < 1000 ? 1 : 0)) ms"
    }

    static func seconds(_ value: Double) -> String { "\(decimal(value, places: value < 10 ? 2 : 1)) s" }

    static func ratio(_ value: Double?) -> String { value.map { decimal($0, places: 3) } ?? nothing }

    static func percent(_ part: Double, of whole: Double) -> String {
        whole > 0 ? "\(decimal(100 * part / whole, places: 1)) %" : nothing
    }

    /// Rounded.
    static func decimal(_ value: Double, places: Int) -> String {
        guard value.isFinite else { return nothing }
        let scale = (0..<max(places, 0)).reduce(1.0) { scale, _ in scale * 10 }
        let scaled = (min(max(value, -1e15), 1e15) * scale).rounded()
        let (whole, rest) = Int64(min(scaled.magnitude, 1e18))
            .quotientAndRemainder(dividingBy: Int64(scale))
        let sign = scaled < 0 ? "-" : ""
        guard places > 0 else { return "\(sign)\(whole)" }
        let digits = "\(rest)"
        return "\(sign)\(whole).\(String(repeating: "0", count: places - digits.count))\(digits)"
    }
}
