package import FoundationEssentials

/// How every JSON document of the data listener is written: keys in order, so that equal answers are equal bytes.
package enum JSONBody {
    package static let mediaType = "application/json"

    /// - Parameter keys: in another spelling than the one of the gateway's own documents, if need be.
    package static func encode(
        _ value: some Encodable,
        keys: JSONEncoder.KeyEncodingStrategy = .convertToSnakeCase
    ) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = keys
        // Encoding fails for numbers that are not finite and for keys that are not strings; no document has either.
        return (try? encoder.encode(value)).map(Array.init) ?? Array("{}".utf8)
    }
}
