package import SourcePlugins

/// `Content-Disposition` (RFC 6266): whether a browser shows a file or saves it, and under which name.
package struct ContentDisposition: Sendable, Hashable {
    package enum Mode: String, Sendable {
        case inline, attachment
    }

    /// The header's value: printable US-ASCII, whatever bytes the name holds.
    package let value: String

    /// Names that plain ASCII cannot hold get a `filename*` (RFC 8187) beside the plain likeness for old clients.
    package init(_ mode: Mode, name: MediaPath.Component) {
        let text = name.displayText
        let plain = String(text.unicodeScalars.map { isPlain($0) ? Character($0) : "_" })
        let extended = plain == text ? "" : "; filename*=UTF-8''\(percentEncodedValue(text))"
        value = "\(mode.rawValue); filename=\"\(plain)\"\(extended)"
    }
}

/// What every client reads alike inside quotes. A `%` is not among it: some would decode it (RFC 6266 appendix D).
private func isPlain(_ scalar: Unicode.Scalar) -> Bool {
    (0x20...0x7E).contains(scalar.value) && scalar != "\"" && scalar != "\\" && scalar != "%" && scalar != "/"
}

/// `value-chars` of RFC 8187 §3.2.1.
private func percentEncodedValue(_ text: String) -> String {
    var encoded = ""
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"):
            encoded.unicodeScalars.append(Unicode.Scalar(byte))
        case _ where "!#$&+-.^_`|~".utf8.contains(byte):
            encoded.unicodeScalars.append(Unicode.Scalar(byte))
        default:
            encoded += byte < 16 ? "%0" : "%"
            encoded += String(byte, radix: 16, uppercase: true)
        }
    }
    return encoded
}
