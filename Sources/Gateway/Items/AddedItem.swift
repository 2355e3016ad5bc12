import FoundationEssentials
package import NIOCore
package import SourcePlugins

/// What the body of a POST brings in: a magnet link or a hash as text, in a form or in JSON, or a whole description.
package struct AddedItem: Sendable {
    /// Of a body, in bytes: the .torrent of very many files.
    package static let bodyLimit = 10 << 20

    package let reference: ItemReference
    /// Whether nobody has to be asked for more.
    package let isWhole: Bool

    /// - Throws: ``RequestProblem`` for a body of another type; ``SourceError`` `badReference` if it names no item.
    package init(_ body: ByteBuffer, contentType: String?, source: any ItemSource) throws {
        let bytes = Array(body.readableBytesView)
        switch Self.essence(contentType) {
        case "application/x-bittorrent", "application/octet-stream":
            reference = try source.reference(file: bytes)
            isWhole = true
        case "application/json":
            reference = try source.reference(Self.uri(inJSON: bytes))
            isWhole = false
        case "text/plain":
            reference = try source.reference(Self.text(bytes))
            isWhole = false
        // What curl says of everything it sends, and what a client that says nothing sends.
        case "application/x-www-form-urlencoded", "":
            isWhole = Self.looksBencoded(bytes)
            reference = try isWhole ? source.reference(file: bytes) : source.reference(Self.uri(inForm: bytes))
        default:
            throw RequestProblem(
                415,
                .unsupportedMediaType,
                "a magnet link as text/plain, as JSON {\"uri\": …} or in a form, or a .torrent as "
                    + "application/x-bittorrent is expected here"
            )
        }
    }

    private static func essence(_ contentType: String?) -> String {
        (contentType ?? "").prefix { $0 != ";" }.trimmingBlanks.lowercased()
    }

    /// A dictionary of bencode begins with `d` and the length of its first key.
    private static func looksBencoded(_ bytes: [UInt8]) -> Bool {
        bytes.count > 2 && bytes[0] == UInt8(ascii: "d")
            && (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[1])
            && bytes.prefix(12).contains(UInt8(ascii: ":"))
    }

    private static func text(_ bytes: [UInt8]) throws -> String {
        guard let text = String(validating: bytes, as: UTF8.self)?.trimmingWhitespace, !text.isEmpty else {
            throw SourceError(.badReference, "the body is no text; a magnet link or an info-hash is expected")
        }
        return text
    }

    private static func uri(inJSON bytes: [UInt8]) throws -> String {
        struct Document: Decodable {
            let uri: String
        }
        guard let document = try? JSONDecoder().decode(Document.self, from: Data(bytes)) else {
            throw SourceError(.badReference, "the body is not JSON of the form {\"uri\": \"magnet:…\"}")
        }
        return document.uri.trimmingWhitespace
    }

    /// The field `magnet` or `uri`, or all of it where that is a link or a hash as it stands.
    private static func uri(inForm bytes: [UInt8]) throws -> String {
        let text = try text(bytes)
        if text.lowercased().hasPrefix("magnet:") { return text }
        for parameter in text.split(separator: "&") {
            guard let name = ["magnet=", "uri="].first(where: { parameter.hasPrefix($0) }) else { continue }
            return try PlayQuery.formValue(parameter.dropFirst(name.count))
        }
        return text
    }
}
