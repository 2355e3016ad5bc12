import CTOML

/// Turns the bytes of a file into a tree, through the C parser. The only place that touches its pointers.
enum TOMLParser {
    /// The most bytes a file may have.
    static let sizeLimit = Int(CTOML_MAX_BYTES)

    /// - Returns: the root table; `nil` if the file is not TOML, which is reported.
    static func parse(_ text: ConfigText, _ diagnostics: ConfigDiagnostics) -> ConfigTable? {
        var document: OpaquePointer?
        var error = ctoml_error()
        let code = text.bytes.withUnsafeBytes { bytes in
            ctoml_parse(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, &document, &error)
        }
        defer { ctoml_free(document) }
        guard code == 0, let document else {
            diagnostics.report(fault(of: error, code: Int(code), in: text))
            return nil
        }
        var count = 0
        let nodes = UnsafeBufferPointer(start: ctoml_nodes(document, &count), count: count)
        return Tree(nodes: nodes, text: text).table(at: 0)
    }

    private static func fault(of error: ctoml_error, code: Int, in text: ConfigText) -> ConfigFault {
        let message = withUnsafeBytes(of: error.message) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        let (found, remedy) =
            switch code {
            case Int(CTOML_TOO_LARGE): ("more than 1 MiB", "expected a smaller file")
            case Int(CTOML_TOO_DEEP): ("nested too deeply", "expected at most \(CTOML_MAX_DEPTH) levels")
            case Int(CTOML_TOO_MANY_TABLES): (message, "expected at most \(CTOML_MAX_TABLES)")
            default: explain(message)
            }
        return ConfigFault(
            origin: .file(text, line: Int(error.line), column: Int(error.column), width: 1),
            key: "syntax",
            found: printable(found),
            remedy: printable(remedy)
        )
    }

    /// The parser says "Error while parsing WHERE: expected THIS, saw THAT", or what is wrong in other words.
    private static func explain(_ message: String) -> (found: String, remedy: String) {
        var rest = message[...]
        var place = ""
        let preamble = "Error while parsing "
        if rest.hasPrefix(preamble), let colon = rest.firstRange(of: ": ") {
            place = " in the " + rest[..<colon.lowerBound].dropFirst(preamble.count)
            rest = rest[colon.upperBound...]
        }
        if rest.hasPrefix("expected "), let saw = rest.firstRange(of: ", saw ") {
            return ("found \(rest[saw.upperBound...])\(place)", String(rest[..<saw.lowerBound]))
        }
        let lowered = rest.prefix(1).lowercased() + rest.dropFirst()
        return (lowered + place, "expected TOML 1.0")
    }
}

/// The nodes of one document while it is turned into values. Recursion is bounded by `CTOML_MAX_DEPTH`.
private struct Tree {
    let nodes: UnsafeBufferPointer<ctoml_node>
    let text: ConfigText

    func table(at index: Int) -> ConfigTable {
        var table = ConfigTable()
        forEachChild(of: index) { child in
            let node = nodes[child]
            table.append(
                ConfigTable.Entry(
                    key: string(node.key, node.key_length),
                    keyOrigin: origin(node.key_region),
                    value: value(at: child)
                )
            )
        }
        return table
    }

    private func value(at index: Int) -> ConfigValue {
        let node = nodes[index]
        let content: ConfigValue.Content =
            switch node.type {
            case CTOML_TABLE: .table(table(at: index))
            case CTOML_ARRAY: .array(elements(of: index))
            case CTOML_STRING: .string(string(node.text, node.text_length))
            case CTOML_INTEGER: .integer(node.integer)
            case CTOML_FLOAT: .float(node.floating)
            case CTOML_BOOLEAN: .boolean(node.integer != 0)
            default: .date(string(node.text, node.text_length))
            }
        return ConfigValue(content, origin: origin(node.region))
    }

    private func elements(of index: Int) -> [ConfigValue] {
        var elements: [ConfigValue] = []
        forEachChild(of: index) { elements.append(value(at: $0)) }
        return elements
    }

    private func forEachChild(of index: Int, _ body: (Int) -> Void) {
        var child = index + 1
        while child < Int(nodes[index].next) {
            body(child)
            child = Int(nodes[child].next)
        }
    }

    private func string(_ bytes: UnsafePointer<CChar>?, _ length: Int) -> String {
        String(decoding: UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : length), as: UTF8.self)
    }

    private func origin(_ region: ctoml_region) -> ConfigOrigin {
        // A value over several lines is marked to the end of its first.
        let width =
            region.line == region.end_line
            ? max(1, Int(region.end_column) - Int(region.column)) : Int.max
        return .file(text, line: Int(region.line), column: Int(region.column), width: width)
    }
}
