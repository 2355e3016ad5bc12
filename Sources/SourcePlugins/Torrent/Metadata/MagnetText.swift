/// What a pasted magnet link comes down to once its wrapping is off.
enum MagnetText {
    case hash(InfoHash)
    /// The parameters, separated by `&`, their values still encoded.
    case query([UInt8])

    /// - Throws: ``SourceError`` `badReference` if `text` is neither.
    init(_ text: String) throws {
        var bytes = text.utf8.filter { $0 > 0x1F && $0 != 0x7F }
        // Encoded once, encoded twice, and once more for a client that encodes what it is given.
        for _ in 0..<4 {
            bytes = Self.unwrapped(Self.withoutEntities(bytes))
            if let hash = InfoHash(text: bytes.filter { !Self.isBlank($0) }) {
                self = .hash(hash)
                return
            }
            let query = Self.withoutScheme(bytes)
            if Self.namesTorrent(query) {
                self = .query(query)
                return
            }
            guard bytes.contains(UInt8(ascii: "%")) else { break }
            bytes = PercentEncoding.decodedLeniently(bytes).filter { $0 > 0x1F && $0 != 0x7F }
        }
        throw SourceError(.badReference, "this is no magnet link and no info-hash: there is no xt=urn:btih: in it")
    }

    /// A blank, or what forms write for one.
    static func isBlank(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: " ") || byte == UInt8(ascii: "+")
    }

    /// The key in lower case without a number at its end (`tr.1` is `tr`), and the value as it stands.
    static func parameter(_ item: ArraySlice<UInt8>) -> (key: String, value: ArraySlice<UInt8>)? {
        guard let equals = item.firstIndex(of: UInt8(ascii: "=")) else { return nil }
        let key = String(
            decoding: PercentEncoding.decodedLeniently(item[..<equals].filter { !isBlank($0) }),
            as: UTF8.self
        ).lowercased()
        guard let dot = key.lastIndex(of: "."), let first = key[key.index(after: dot)...].utf8.first,
            (0x30...0x39).contains(first)
        else { return (key, item[(equals + 1)...]) }
        return (String(key[..<dot]), item[(equals + 1)...])
    }

    private static func namesTorrent(_ query: [UInt8]) -> Bool {
        query.split(separator: UInt8(ascii: "&")).contains { parameter($0)?.key == "xt" }
    }

    private static func withoutScheme(_ bytes: [UInt8]) -> [UInt8] {
        var rest = bytes[...]
        let scheme = "magnet:".utf8
        if rest.prefix(scheme.count).map({ $0 | 0x20 }).elementsEqual(scheme) { rest = rest.dropFirst(scheme.count) }
        return Array(rest.drop { isBlank($0) || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") })
    }

    /// `&amp;` is how HTML writes an ampersand; copied twice it is `&amp;amp;`.
    private static func withoutEntities(_ bytes: [UInt8]) -> [UInt8] {
        let entities = ["amp;", "#38;", "#038;", "#x26;"].map { Array($0.utf8) }
        var plain: [UInt8] = []
        var index = 0
        while index < bytes.count {
            plain.append(bytes[index])
            index += 1
            guard bytes[index - 1] == UInt8(ascii: "&") else { continue }
            while let entity = entities.first(where: { bytes[index...].prefix($0.count).map(lowered) == $0 }) {
                index += entity.count
            }
        }
        return plain
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        (0x41...0x5A).contains(byte) ? byte | 0x20 : byte
    }

    /// Without blanks, quotes and angle brackets at either end.
    private static func unwrapped(_ bytes: [UInt8]) -> [UInt8] {
        var rest = bytes[...]
        while let mark = wrapping.first(where: { rest.starts(with: $0) }) { rest = rest.dropFirst(mark.count) }
        while let mark = wrapping.first(where: { rest.suffix($0.count).elementsEqual($0) }) {
            rest = rest.dropLast(mark.count)
        }
        // Around a link that is not encoded itself; what is at its end alone may belong to it.
        guard let opening = encodedWrapping.first(where: { rest.starts(with: $0) }) else { return Array(rest) }
        rest = rest.dropFirst(opening.count)
        if let closing = encodedWrapping.first(where: { rest.suffix($0.count).elementsEqual($0) }) {
            rest = rest.dropLast(closing.count)
        }
        return Array(rest)
    }

    private static let encodedWrapping = ["%22", "%27", "%3C", "%3c", "%3E", "%3e"].map { Array($0.utf8) }

    private static let wrapping: [[UInt8]] = [
        " ", "+", "\"", "'", "`", "<", ">", "\u{201C}", "\u{201D}", "\u{201E}", "\u{2018}", "\u{2019}", "\u{00AB}",
        "\u{00BB}", "\u{2039}", "\u{203A}", "\u{00A0}", "\u{200B}", "\u{FEFF}",
    ].map { Array($0.utf8) }
}
