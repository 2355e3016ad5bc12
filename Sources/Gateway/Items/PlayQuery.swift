import SourcePlugins

/// The query of `{mount}/play`: a magnet link's own, `?xt=…&dn=…`, or `?magnet=…` with a whole link or a hash as a form
/// sends it; and `&file=3` for a file by its number.
package struct PlayQuery: Sendable, Hashable {
    /// What names the item, for its source to read.
    package let reference: String
    package let file: Int?

    /// - Throws: ``RequestProblem`` if it names no item, or a file by anything but a number.
    package init(_ query: Substring?) throws(RequestProblem) {
        var rest: [Substring] = []
        var (magnet, file) = (String?.none, Int?.none)
        for parameter in (query ?? "").split(separator: "&") {
            let value = parameter.drop { $0 != "=" }.dropFirst()
            switch parameter.prefix(while: { $0 != "=" }) {
            case "magnet": magnet = try Self.formValue(value)
            case "file":
                guard let number = Int(value), number >= 0 else {
                    throw RequestProblem(400, .badRequest, "file is the number of a file of the item")
                }
                file = number
            default: rest.append(parameter)
            }
        }
        guard magnet != nil || rest.contains(where: { $0.lowercased().hasPrefix("xt") }) else {
            throw RequestProblem(
                400,
                .badReference,
                "play needs the query of a magnet link, such as ?xt=urn:btih:…, or ?magnet= with a whole one"
            )
        }
        reference = magnet ?? "magnet:?" + rest.joined(separator: "&")
        self.file = file
    }

    /// As forms send it: percent-encoded, and a plus is a space.
    static func formValue(_ value: Substring) throws(RequestProblem) -> String {
        guard let bytes = PercentEncoding.decoded(value.utf8.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 })
        else {
            throw RequestProblem(400, .badRequest, "a % is not followed by two hexadecimal digits")
        }
        return String(decoding: bytes, as: UTF8.self).trimmingWhitespace
    }
}

extension String {
    /// Without the white space around it, as it comes with what people copy.
    var trimmingWhitespace: String {
        var text = drop(while: \.isWhitespace)
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
