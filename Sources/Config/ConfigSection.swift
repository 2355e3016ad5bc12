/// One table of a configuration, to be read later by whoever it belongs to.
package struct ConfigSection: Sendable {
    /// The dotted key of the table as messages show it; empty for the root.
    let label: String
    /// The keys that lead to the table in the effective configuration.
    let path: [String]
    let table: ConfigTable
    /// Where the table is, or, if nobody wrote it, what it is missing from.
    let origin: ConfigOrigin
    let bases: PathBases

    /// A reader of this table that reports to, and is recorded by, `diagnostics`.
    package func reader(_ diagnostics: ConfigDiagnostics) -> SectionReader {
        SectionReader(self, diagnostics)
    }

    func label(of key: String) -> String {
        label.isEmpty ? keyForTOML(key) : "\(label).\(keyForTOML(key))"
    }

    /// The table at `key` as a section of its own; empty if there is no table there.
    func section(_ key: String) -> ConfigSection {
        let entry = table[key]
        let nested = entry?.value.table
        return ConfigSection(
            label: label(of: key),
            path: path + [key],
            table: nested ?? ConfigTable(),
            origin: nested == nil ? origin : entry?.keyOrigin ?? origin,
            bases: bases
        )
    }
}

/// Where relative paths start that no file names.
struct PathBases: Sendable {
    /// For built-in values: the directory of the main file. Absolute.
    let configDirectory: String
    /// For the environment and the command line. Absolute.
    let workingDirectory: String

    /// `path` made absolute from where it was written, with `.`, `..` and doubled slashes taken out of the text; links
    /// are not followed.
    func absolutePath(_ path: String, from origin: ConfigOrigin) -> String {
        switch origin {
        case .builtIn: joined(configDirectory, path)
        case .file(let text, _, _, _): joined(text.directory, path)
        case .environment, .flag: joined(workingDirectory, path)
        }
    }
}

/// `path` as seen from the absolute directory `base`.
func joined(_ base: String, _ path: String) -> String {
    let slash = UInt8(ascii: "/")
    var components: [Substring.UTF8View] = []
    for component in (path.utf8.first == slash ? path : "\(base)/\(path)")[...].utf8.split(separator: slash) {
        switch Substring(component) {
        case ".": break
        case "..": _ = components.popLast()
        default: components.append(component)
        }
    }
    return "/" + components.map { String(Substring($0)) }.joined(separator: "/")
}
