/// One value of a configuration tree, with the place it was written at.
package struct ConfigValue: Sendable {
    package enum Content: Sendable {
        case string(String)
        case integer(Int64)
        case float(Double)
        case boolean(Bool)
        /// In RFC 3339 form.
        case date(String)
        case array([ConfigValue])
        case table(ConfigTable)
        /// From the environment or the command line: whatever type the key that is read wants it to be.
        case untyped(String)
    }

    package var content: Content
    package var origin: ConfigOrigin

    package init(_ content: Content, origin: ConfigOrigin) {
        self.content = content
        self.origin = origin
    }

    var table: ConfigTable? {
        if case .table(let table) = content { table } else { nil }
    }

    /// The text of a string; also of a value without type.
    var text: String? {
        switch content {
        case .string(let text), .untyped(let text): text
        default: nil
        }
    }

    /// What a message says was found.
    var found: String {
        switch content {
        case .string(let text), .untyped(let text): quotedForMessage(text)
        case .integer(let value): "\(value)"
        case .float(let value): "\(value)"
        case .boolean(let value): "\(value)"
        case .date(let text): "the date \(text)"
        case .array: "an array"
        case .table: "a table"
        }
    }
}

/// The entries of one table. A key occurs once.
package struct ConfigTable: Sendable {
    package struct Entry: Sendable {
        package let key: String
        package var keyOrigin: ConfigOrigin
        package var value: ConfigValue
    }

    package private(set) var entries: [Entry] = []

    package init() {}

    package subscript(key: String) -> Entry? {
        entries.first { $0.key == key }
    }

    /// Adds an entry whose key is known not to be there yet.
    mutating func append(_ entry: Entry) {
        entries.append(entry)
    }

    /// Puts `value` at `path`, making the tables on the way.
    ///
    /// - Returns: false if there is a table already, which stays. A value on the way that is not a table stays too; it
    ///   is a fault already, and reported by whoever reads it.
    mutating func override(_ path: ArraySlice<String>, with value: ConfigValue) -> Bool {
        guard let segment = path.first else { return true }
        let rest = path.dropFirst()
        guard let index = entries.firstIndex(where: { matches($0.key, segment) }) else {
            append(Entry(key: segment, keyOrigin: value.origin, value: Self.wrap(value, in: rest)))
            return true
        }
        if var table = entries[index].value.table {
            guard !rest.isEmpty else { return false }
            let isPlaced = table.override(rest, with: value)
            entries[index].value.content = .table(table)
            return isPlaced
        }
        if rest.isEmpty {
            entries[index].keyOrigin = value.origin
            entries[index].value = value
        }
        return true
    }

    /// `value` within tables of one key each.
    private static func wrap(_ value: ConfigValue, in path: ArraySlice<String>) -> ConfigValue {
        path.reversed().reduce(value) { inner, key in
            var table = ConfigTable()
            table.append(Entry(key: key, keyOrigin: inner.origin, value: inner))
            return ConfigValue(.table(table), origin: inner.origin)
        }
    }
}

/// Whether the part of an override names this key. Variable names have no dashes and one case, so a dash matches `_`.
func matches(_ key: String, _ segment: String) -> Bool {
    key == segment || key.lowercased().replacing("-", with: "_") == segment.lowercased().replacing("-", with: "_")
}
