/// A configuration with all that was found out while loading it.
package struct LoadedConfig: Sendable {
    /// What was configured; defaults stand where something is wrong.
    package let config: GatewayConfig
    /// The absolute path of the main file, which need not be there.
    package let mainFile: String
    /// What the main file names, those of sources not among them.
    package let paths: [ConfigPath]
    /// What is wrong, and what was read. Give it to the kinds when they read their options.
    package let diagnostics: ConfigDiagnostics

    /// The configuration in effect as TOML, each value with a comment that says where it is from.
    ///
    /// It has what was read so far: options of sources appear once their kinds have read them. Secrets do not appear.
    package func show() -> String {
        let readings = diagnostics.readings
        var order: [[String]: Int] = [:]
        var tables: [[String]: [ConfigReading]] = [:]
        for (index, reading) in readings.enumerated() {
            let table = Array(reading.path.dropLast())
            // What belongs to a source stays with it, though its options are read later.
            for path in [table, Array(table.prefix(2))] where order[path] == nil { order[path] = index }
            tables[table, default: []].append(reading)
        }
        let position = { (table: [String]) in (order[Array(table.prefix(2))] ?? 0, order[table] ?? 0) }
        return tables.sorted { position($0.key) < position($1.key) }
            .map { table, readings in Self.block(table, readings) }
            .joined(separator: "\n")
    }

    private static func block(_ table: [String], _ readings: [ConfigReading]) -> String {
        let lines = readings.map { reading in
            let key = keyForTOML(reading.path.last ?? "")
            return "\(key) = \(reading.literal ?? "\"<redacted>\"")  # \(reading.origin)\n"
        }
        return "[\(table.map(keyForTOML).joined(separator: "."))]\n" + lines.joined()
    }
}
