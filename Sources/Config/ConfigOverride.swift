/// A value from the environment or the command line, for one key.
struct ConfigOverride: Sendable {
    let path: [String]
    let value: ConfigValue

    /// What every variable of ours starts with; the parts of the key follow, with two underscores between.
    static let prefix = "MEDIA_GATEWAY__"

    /// The overrides among `environment`, longer keys first, so that one that stands where a table belongs does not
    /// hide the others. A name that no key can have is reported.
    static func environment(_ environment: [String: String], _ diagnostics: ConfigDiagnostics) -> [ConfigOverride] {
        let overrides = environment.filter { $0.key.hasPrefix(prefix) }.compactMap { name, text in
            let path = split(name.dropFirst(prefix.count).lowercased()[...], separator: "__")
            return make(path, text, .environment(name), label: name, form: "\(prefix)SERVER__LISTEN", diagnostics)
        }
        return overrides.sorted { first, second in
            first.path.count == second.path.count
                ? first.path.lexicographicallyPrecedes(second.path) : first.path.count > second.path.count
        }
    }

    /// The overrides of a command line, each `KEY=VALUE` with a dotted key; a later one wins.
    static func flags(_ flags: [String], _ diagnostics: ConfigDiagnostics) -> [ConfigOverride] {
        flags.compactMap { flag in
            let parts = flag.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = parts.first.map(String.init) ?? ""
            let label = key.isEmpty ? "\"\"" : key
            guard parts.count == 2 else {
                diagnostics.report(label, at: .flag(key), found: "found no value", remedy: "expected KEY=VALUE")
                return nil
            }
            let path = split(key[...], separator: ".")
            return make(path, String(parts[1]), .flag(key), label: label, form: "server.listen", diagnostics)
        }
    }

    private static func make(
        _ path: [String],
        _ text: String,
        _ origin: ConfigOrigin,
        label: String,
        form: String,
        _ diagnostics: ConfigDiagnostics
    ) -> ConfigOverride? {
        // No key is nested nearly as deeply.
        guard path.count <= 16, path.allSatisfy({ !$0.isEmpty }) else {
            diagnostics.report(label, at: origin, found: "found no key", remedy: "expected a name such as \(form)")
            return nil
        }
        return ConfigOverride(path: path, value: ConfigValue(.untyped(text), origin: origin))
    }

    private static func split(_ text: Substring, separator: String) -> [String] {
        text.split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }
}
