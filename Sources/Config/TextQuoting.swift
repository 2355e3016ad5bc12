/// `text` without characters that could drive a terminal or break a line.
func printable(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
        result.unicodeScalars.append(isPrintable(scalar) ? scalar : "\u{FFFD}")
    }
    return result
}

/// `text` as one printable line of bounded length.
func shortened(_ text: String, to limit: Int = 120) -> String {
    let shown = text.unicodeScalars.prefix(limit)
    let isCut = text.unicodeScalars.dropFirst(limit).first != nil
    return printable(String(String.UnicodeScalarView(shown))) + (isCut ? "…" : "")
}

/// `text` between quotes for a message: short, on one line.
package func quotedForMessage(_ text: String) -> String {
    let limit = 60
    let shown = text.unicodeScalars.prefix(limit)
    let isCut = text.unicodeScalars.dropFirst(limit).first != nil
    return quotedForTOML(String(String.UnicodeScalarView(shown)) + (isCut ? "…" : ""))
}

/// `text` as a TOML basic string.
func quotedForTOML(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\t": result += "\\t"
        case "\r": result += "\\r"
        case _ where isPrintable(scalar): result.unicodeScalars.append(scalar)
        default: result += escaped(scalar)
        }
    }
    return result + "\""
}

/// `key` as it stands in TOML: bare where that is allowed.
func keyForTOML(_ key: String) -> String {
    let isBare = !key.isEmpty && key.utf8.allSatisfy { isLetterOrDigit($0) || $0 == UInt8(ascii: "_") || $0 == dash }
    return isBare ? key : quotedForTOML(key)
}

func isLetterOrDigit(_ byte: UInt8) -> Bool {
    isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
}

func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

let dash = UInt8(ascii: "-")

/// Neither a control character nor one that turns the direction of the text around it.
private func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: false
    default: true
    }
}

private func escaped(_ scalar: Unicode.Scalar) -> String {
    let digits = String(scalar.value, radix: 16, uppercase: true)
    return "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}
