import FoundationEssentials

/// How every JSON document of the data listener is written: keys in order, so that equal answers are equal bytes.
package enum JSONBody {
    package static let mediaType = "application/json"

    package static func encode(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Encoding fails for numbers that are not finite and for keys that are not strings; no document has either.
        return (try? encoder.encode(value)).map(Array.init) ?? Array("{}".utf8)
    }
}
