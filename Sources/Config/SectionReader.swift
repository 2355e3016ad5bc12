/// Reads one table strictly: every value has its type and its bounds, every key must be asked for, and all that is
/// wrong is collected. Where a value is missing or wrong the default is returned, so that reading goes on.
///
/// Ask for every key, also after a fault: ``finish()`` reports those that nobody asked for.
package final class SectionReader {
    let contents: ConfigSection
    let diagnostics: ConfigDiagnostics
    /// The keys that were asked for, in that order.
    private var known: [String] = []
    private var children: [SectionReader] = []
    private var ownPaths: [ConfigPath] = []

    init(_ section: ConfigSection, _ diagnostics: ConfigDiagnostics) {
        contents = section
        self.diagnostics = diagnostics
    }

    // MARK: What the typed readers are made of

    /// The value of `key`, which counts as asked for; `nil` if there is none.
    func entry(_ key: String) -> ConfigTable.Entry? {
        if !known.contains(key) { known.append(key) }
        return contents.table[key]
    }

    /// Reads a value with `parse`, which returns it or what is expected instead.
    func read<Value>(
        _ key: String,
        default fallback: Value,
        isSecret: Bool = false,
        literal: (Value) -> String,
        parse: (ConfigValue) -> Parsed<Value>
    ) -> Value {
        var value = fallback
        var origin = ConfigOrigin.builtIn
        if let entry = entry(key) {
            switch parse(entry.value) {
            case .value(let parsed): (value, origin) = (parsed, entry.value.origin)
            case .expected(let expected): fail(key, entry.value, expected: expected, isSecret: isSecret)
            case .reported: break
            }
        }
        record(key, isSecret ? nil : literal(value), origin)
        return value
    }

    func record(_ key: String, _ literal: String?, _ origin: ConfigOrigin) {
        diagnostics.record(ConfigReading(path: contents.path + [key], literal: literal, origin: origin))
    }

    func note(_ path: String, _ use: ConfigPath.Use?, at key: String) {
        guard let use else { return }
        let origin = contents.table[key]?.value.origin ?? .builtIn
        ownPaths.append(ConfigPath(key: contents.label(of: key), origin: origin, path: path, use: use))
    }

    /// - Parameter index: which element of the array at `key` it is, if it is one.
    func fail(
        _ key: String,
        element index: Int? = nil,
        _ value: ConfigValue,
        expected: String,
        isSecret: Bool = false
    ) {
        diagnostics.report(
            ConfigFault(
                origin: value.origin,
                key: contents.label(of: key) + (index.map { "[\($0)]" } ?? ""),
                found: isSecret ? "a secret that cannot be used" : "found \(value.found)",
                remedy: "expected \(expected)",
                showsLine: !isSecret
            )
        )
    }

    // MARK: For the owner of the section

    /// Reports that `key` has a fault of another sort than its type: at its value if it has one, else at the section.
    ///
    /// - Parameters:
    ///   - found: what was found, such as `"/media" is not a directory`.
    ///   - expected: what would have been right; "expected" is put in front.
    package func fail(_ key: String, found: String, expected: String) {
        let entry = contents.table[key]
        diagnostics.report(
            contents.label(of: key),
            at: entry?.value.origin ?? contents.origin,
            found: found,
            remedy: "expected \(expected)"
        )
    }

    /// Where the value of `key` was written; `builtIn` if it was not.
    package func origin(of key: String) -> ConfigOrigin {
        contents.table[key]?.value.origin ?? .builtIn
    }

    /// The paths that were read so far whose use was told.
    package var paths: [ConfigPath] { ownPaths + children.flatMap(\.paths) }

    /// The table at `key`; `nil` if there is none, or something that is not a table, which is reported.
    ///
    /// ``finish()`` of this reader finishes that of the table too.
    package func section(_ key: String) -> SectionReader? {
        guard let entry = entry(key) else { return nil }
        guard entry.value.table != nil else {
            fail(key, entry.value, expected: "a table")
            return nil
        }
        return child(key)
    }

    /// The table at `key`, or an empty one in its place.
    func sectionOrDefaults(_ key: String) -> SectionReader {
        section(key) ?? child(key)
    }

    private func child(_ key: String) -> SectionReader {
        let child = SectionReader(contents.section(key), diagnostics)
        children.append(child)
        return child
    }

    /// Reports every key that nobody asked for. Call it once, when everything has been read.
    package func finish() {
        for child in children { child.finish() }
        // A table of very many unknown keys is not a slip in any of them: not worth looking for its like.
        let unknown = contents.table.entries.filter { !known.contains($0.key) }
        for entry in unknown {
            let remedy = remedyForUnknown(unknown.count <= 200 ? entry.key : "")
            for (label, origin) in places(of: entry) {
                diagnostics.report(label, at: origin, found: "unknown key", remedy: remedy)
            }
        }
    }

    private func remedyForUnknown(_ key: String) -> String {
        if let suggestion = nearest(to: key, among: known) { return "did you mean \"\(suggestion)\"?" }
        return known.isEmpty ? "expected no key here" : "expected \(listed(known))"
    }

    /// One place for a key in a file, however much is below it, and one for each override.
    private func places(of entry: ConfigTable.Entry) -> [(label: String, origin: ConfigOrigin)] {
        let label = contents.label(of: entry.key)
        var places: [(String, ConfigOrigin)] = []
        if case .file = entry.keyOrigin { places.append((label, entry.keyOrigin)) }
        appendOverrides(in: entry, label: label, to: &places)
        return places
    }

    private func appendOverrides(
        in entry: ConfigTable.Entry,
        label: String,
        to places: inout [(String, ConfigOrigin)]
    ) {
        if let table = entry.value.table {
            for nested in table.entries {
                appendOverrides(in: nested, label: "\(label).\(keyForTOML(nested.key))", to: &places)
            }
        } else if case .file = entry.keyOrigin {
            return
        } else {
            places.append((label, entry.keyOrigin))
        }
    }
}

/// What came of reading one value.
enum Parsed<Value> {
    case value(Value)
    /// It is not what belongs here: this is.
    case expected(String)
    /// It is wrong in ways that were reported already.
    case reported
}
