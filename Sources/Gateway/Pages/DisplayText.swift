import FoundationEssentials
import SourcePlugins

extension MediaPath.Component {
    /// The name on one line for people: no control characters, and none that turn the direction of the text around
    /// them, which could make `gpj.exe` look like a picture. Such scalars and bytes that are not UTF-8 are replaced.
    var displayText: String { singleLine(description) }
}

extension Timestamp {
    /// In UTC, as RFC 3339 writes it.
    var rfc3339: String { Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601) }
}

/// `text` without controls and direction overrides.
func singleLine(_ text: String) -> String {
    var scalars = String.UnicodeScalarView()
    scalars.append(contentsOf: text.unicodeScalars.lazy.map { isUnfitForOneLine($0) ? "\u{FFFD}" : $0 })
    return String(scalars)
}

private func isUnfitForOneLine(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
}

/// A length for people, in the units of IEC 80000: `1.4 GiB`.
func humanSize(_ bytes: Int64) -> String {
    guard bytes >= 1024 else { return "\(max(bytes, 0)) B" }
    var value = Double(bytes)
    var unit = ""
    for name in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        value /= 1024
        unit = name
        // Below what rounds to 1024.
        if value < 1023.95 { break }
    }
    let tenths = Int((value * 10).rounded())
    return value < 100 ? "\(tenths / 10).\(tenths % 10) \(unit)" : "\(Int(value.rounded())) \(unit)"
}
