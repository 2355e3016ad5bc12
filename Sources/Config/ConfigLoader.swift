/// Loads a configuration: the main file, the plugins directory, the environment and the command line, each above the
/// one before. Everything that is wrong is collected; nothing is thrown.
package struct ConfigLoader: Sendable {
    /// The main file if none is named.
    package static let defaultPath = "config.toml"

    private let kinds: [String]
    private let files: any ConfigFiles

    /// - Parameter kinds: the names of the kinds of source there are.
    package init(kinds: [String], files: any ConfigFiles = LocalConfigFiles()) {
        self.kinds = kinds
        self.files = files
    }

    /// - Parameters:
    ///   - path: the main file, which must be there. With `nil` it is `config.toml` in the working directory, and its
    ///     absence means the built-in configuration.
    ///   - environment: of the process; only `MEDIA_GATEWAY__…` counts.
    ///   - overrides: `KEY=VALUE` with a dotted key, as given to `--set`.
    /// - Returns: the configuration, with defaults where something is wrong. It may be used only if its diagnostics
    ///   have no errors.
    package func load(
        path: String? = nil,
        environment: [String: String] = [:],
        overrides: [String] = []
    ) -> LoadedConfig {
        var loading = Loading(kinds: kinds, files: files, path: path)
        let all =
            ConfigOverride.environment(environment, loading.diagnostics)
            + ConfigOverride.flags(overrides, loading.diagnostics)
        let config = loading.run(all)
        return LoadedConfig(
            config: config,
            mainFile: loading.mainFile,
            paths: loading.paths,
            diagnostics: loading.diagnostics
        )
    }
}

/// One run of the loader.
private struct Loading {
    let kinds: [String]
    let files: any ConfigFiles
    let path: String?
    /// Absolute; it need not be there.
    let mainFile: String
    let bases: PathBases
    let diagnostics = ConfigDiagnostics()
    var paths: [ConfigPath] = []
    private var filesRead = 0
    private var drafts: [SourceDraft] = []
    /// Whether every file could be read, so that a source that is not there was not meant to be.
    private var hasAllFiles = true

    private static let mostSources = 256

    init(kinds: [String], files: any ConfigFiles, path: String?) {
        self.kinds = kinds
        self.files = files
        self.path = path
        mainFile = joined(files.workingDirectory, path ?? ConfigLoader.defaultPath)
        bases = PathBases(configDirectory: joined(mainFile, ".."), workingDirectory: files.workingDirectory)
    }

    mutating func run(_ overrides: [ConfigOverride]) -> GatewayConfig {
        var (table, origin) = readMain()
        for override in overrides where override.path.first != "sources" {
            if !table.override(override.path[...], with: override.value) { reportTable(override) }
        }
        let contents = ConfigSection(label: "", path: [], table: table, origin: origin, bases: bases)
        let root = contents.reader(diagnostics)
        var config = GatewayConfig()
        config.server = GatewayConfig.Server(root.sectionOrDefaults("server"))
        config.admin = GatewayConfig.Admin(
            root.sectionOrDefaults("admin"),
            dataListeners: config.server.listen,
            files: files
        )
        config.cache = GatewayConfig.Cache(root.sectionOrDefaults("cache"))
        config.limits = GatewayConfig.Limits(root.sectionOrDefaults("limits"))
        config.log = GatewayConfig.Log(root.sectionOrDefaults("log"))
        let compat = root.sectionOrDefaults("compat")
        config.compat = GatewayConfig.Compat(compat)
        let plugins = root.sectionOrDefaults("plugins")
        config.pluginsDirectory = plugins.path("directory", default: config.pluginsDirectory, use: .listed)
        draftSources(root)
        root.finish()
        paths = root.paths
        readPlugins(plugins, config.pluginsDirectory)
        apply(overrides.filter { $0.path.first == "sources" })
        var decoder = SourceDecoder(
            kinds: kinds,
            bases: bases,
            defaultDeadline: config.server.firstByteDeadline,
            cache: config.cache,
            compat: config.compat.enabled ? compat.origin(of: "enabled") : nil,
            diagnostics: diagnostics
        )
        config.sources = drafts.compactMap { decoder.decode($0) }
        return config
    }

    // MARK: Files

    private mutating func readMain() -> (ConfigTable, ConfigOrigin) {
        let name = path ?? ConfigLoader.defaultPath
        let isOptional = path == nil
        do {
            let content = try files.read(mainFile, limit: TOMLParser.sizeLimit)
            let text = text(name, mainFile, content.bytes)
            return (parse(text) ?? ConfigTable(), .file(text))
        } catch {
            let origin = ConfigOrigin.file(text(name, mainFile, []))
            if isOptional, error == .missing { return (ConfigTable(), .builtIn) }
            hasAllFiles = false
            diagnostics.report("file", at: origin, found: error.description, remedy: "expected a file that can be read")
            return (ConfigTable(), origin)
        }
    }

    private mutating func readPlugins(_ plugins: SectionReader, _ directory: String) {
        let content: ConfigDirectoryContent
        do {
            content = try files.list(directory)
        } catch {
            guard error != .missing else { return }
            hasAllFiles = false
            let found = "\(quotedForMessage(directory)) \(error)"
            plugins.fail("directory", found: found, expected: "a directory that can be read")
            return
        }
        if content.isWorldWritable {
            let found = "\(quotedForMessage(directory)) can be written by everybody"
            plugins.fail("directory", found: found, expected: "a directory that only its owner and group can write")
        }
        let names = content.names.filter { $0.hasSuffix(".toml") && !$0.hasPrefix(".") }
        for name in names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            readPlugin(name, in: directory)
        }
    }

    private mutating func readPlugin(_ fileName: String, in directory: String) {
        let absolute = joined(directory, fileName)
        let content: ConfigFileContent
        do {
            content = try files.read(absolute, limit: TOMLParser.sizeLimit)
        } catch {
            hasAllFiles = false
            let origin = ConfigOrigin.file(text(shownName(absolute), absolute, []))
            diagnostics.report("file", at: origin, found: error.description, remedy: "expected a file that can be read")
            return
        }
        let text = text(shownName(absolute), absolute, content.bytes)
        if content.isWorldWritable {
            let remedy = "expected a file that only its owner and group can write"
            diagnostics.report("file", at: .file(text), found: "can be written by everybody", remedy: remedy)
        }
        guard let table = parse(text) else { return }
        let name = String(fileName.dropLast(".toml".count))
        add(SourceDraft(name: name, label: keyForTOML(name), origin: .file(text), table: table))
    }

    private mutating func parse(_ text: ConfigText) -> ConfigTable? {
        let table = TOMLParser.parse(text, diagnostics)
        if table == nil { hasAllFiles = false }
        return table
    }

    private mutating func text(_ name: String, _ absolute: String, _ bytes: [UInt8]) -> ConfigText {
        filesRead += 1
        return ConfigText(name: name, directory: joined(absolute, ".."), order: filesRead, bytes: bytes)
    }

    /// A file of the plugins directory as messages name it: the way the user named the main file, if it is beside it.
    private func shownName(_ absolute: String) -> String {
        let beside = bases.configDirectory == "/" ? "/" : bases.configDirectory + "/"
        guard absolute.hasPrefix(beside) else { return absolute }
        let main = path ?? ConfigLoader.defaultPath
        let directory = main.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(main[...$0]) } ?? ""
        return directory + absolute.dropFirst(beside.count)
    }

    // MARK: Sources

    private mutating func draftSources(_ root: SectionReader) {
        guard let sources = root.entry("sources") else { return }
        guard let table = sources.value.table else {
            root.fail("sources", sources.value, expected: "a table")
            return
        }
        for entry in table.entries {
            let label = "sources.\(keyForTOML(entry.key))"
            if let table = entry.value.table {
                add(SourceDraft(name: entry.key, label: label, origin: entry.keyOrigin, table: table))
            } else {
                let found = "found \(entry.value.found)"
                diagnostics.report(label, at: entry.value.origin, found: found, remedy: "expected a table")
            }
        }
    }

    private mutating func add(_ draft: SourceDraft) {
        guard isSourceName(draft.name) else {
            report(draft, "found the name \(quotedForMessage(draft.name))", "1 to 32 of a to z, 0 to 9 and -")
            return
        }
        if let other = drafts.first(where: { $0.name == draft.name }) {
            report(draft, "a source of this name is at \(other.origin.place) too", "each name once")
            return
        }
        guard drafts.count < Self.mostSources else {
            report(draft, "one source too many", "at most \(Self.mostSources)")
            return
        }
        drafts.append(draft)
    }

    private func report(_ draft: SourceDraft, _ found: String, _ expected: String) {
        diagnostics.report(draft.label, at: draft.origin, found: found, remedy: "expected \(expected)")
    }

    /// Overrides go to sources that are there; one that sets a kind may bring a new one.
    private mutating func apply(_ overrides: [ConfigOverride]) {
        for override in overrides where override.path.count == 3 && override.path[2] == "kind" {
            guard index(of: override.path[1]) == nil else { continue }
            let name = override.path[1].replacing("_", with: "-")
            add(
                SourceDraft(
                    name: name,
                    label: "sources.\(name)",
                    origin: override.value.origin,
                    table: ConfigTable()
                )
            )
        }
        for override in overrides {
            guard override.path.count >= 3 else {
                report(override, found: "found no key of a source", remedy: "expected sources.NAME.KEY")
                continue
            }
            if let index = index(of: override.path[1]) {
                if !drafts[index].table.override(override.path[2...], with: override.value) { reportTable(override) }
            } else if hasAllFiles {
                report(override, found: "no source has this name", remedy: remedyForUnknown(override.path[1]))
            }
        }
    }

    private func index(of name: String) -> Int? {
        drafts.firstIndex { matches($0.name, name) }
    }

    private func reportTable(_ override: ConfigOverride) {
        report(override, found: "found \(override.value.found)", remedy: "expected a table")
    }

    private func report(_ override: ConfigOverride, found: String, remedy: String) {
        let key = override.path.joined(separator: ".")
        diagnostics.report(key, at: override.value.origin, found: found, remedy: remedy)
    }

    private func remedyForUnknown(_ name: String) -> String {
        if let suggestion = nearest(to: name, among: drafts.map(\.name)) { return "did you mean \"\(suggestion)\"?" }
        return drafts.isEmpty ? "expected a kind for a new source" : "expected \(listed(drafts.map(\.name)))"
    }
}
