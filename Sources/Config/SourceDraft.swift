/// A source on its way from its table to a ``SourceConfig``.
struct SourceDraft {
    let name: String
    /// How its keys are named in messages: as they are written in the file it is from.
    let label: String
    /// Where the source is: its header, its file, or what first named it.
    let origin: ConfigOrigin
    var table: ConfigTable

    func section(_ bases: PathBases) -> ConfigSection {
        ConfigSection(label: label, path: ["sources", name], table: table, origin: origin, bases: bases)
    }
}

/// Decodes sources one after the other, knowing those before.
struct SourceDecoder {
    let kinds: [String]
    let bases: PathBases
    let defaultDeadline: Duration
    let cache: GatewayConfig.Cache
    /// Who enabled the routes of the replaced backend; `nil` if they are not.
    let compat: ConfigOrigin?
    let diagnostics: ConfigDiagnostics
    private var mounts: [(mount: String, name: String, origin: ConfigOrigin)] = []

    /// Kinds that the documentation describes and that not every version has.
    private static let describedKinds = ["disk", "external", "http", "torrent"]
    /// What the gateway answers itself.
    private static let reservedMounts = ["/ping"]

    init(
        kinds: [String],
        bases: PathBases,
        defaultDeadline: Duration,
        cache: GatewayConfig.Cache,
        compat: ConfigOrigin?,
        diagnostics: ConfigDiagnostics
    ) {
        self.kinds = kinds
        self.bases = bases
        self.defaultDeadline = defaultDeadline
        self.cache = cache
        self.compat = compat
        self.diagnostics = diagnostics
    }

    /// - Returns: `nil` if the source has no kind or no options that can be read; that, like every other fault, is
    ///   reported.
    mutating func decode(_ draft: SourceDraft) -> SourceConfig? {
        let reader = draft.section(bases).reader(diagnostics)
        let kind = readKind(reader)
        let enabled = reader.bool("enabled", default: true)
        let mount = readMount(reader, draft)
        let isCached = reader.bool("cache", default: true)
        let cacheSize = readCacheSize(reader)
        let deadline = reader.firstByteDeadline(default: defaultDeadline)
        let options = readOptions(reader)
        reader.finish()
        guard let kind, let options else { return nil }
        return SourceConfig(
            name: draft.name,
            kind: kind,
            enabled: enabled,
            mount: mount,
            isCached: isCached,
            cacheSize: cacheSize,
            firstByteDeadline: deadline,
            options: options,
            enabledOrigin: reader.contents.table["enabled"]?.value.origin ?? draft.origin,
            enabledKey: reader.contents.label(of: "enabled")
        )
    }

    private func readKind(_ reader: SectionReader) -> String? {
        guard let entry = reader.entry("kind") else {
            reader.fail("kind", found: "missing", expected: listed(kinds))
            return nil
        }
        guard let kind = entry.value.text, kinds.contains(kind) else {
            if let kind = entry.value.text, Self.describedKinds.contains(kind) {
                let found = "\(quotedForMessage(kind)) is not available in this version"
                reader.fail("kind", found: found, expected: listed(kinds))
            } else {
                reader.fail("kind", entry.value, expected: listed(kinds))
            }
            return nil
        }
        reader.record("kind", quotedForTOML(kind), entry.value.origin)
        return kind
    }

    private func readCacheSize(_ reader: SectionReader) -> CachePart? {
        let least = ByteSize(bytes: GatewayConfig.Cache.fewestChunks * cache.chunkSize.bytes)
        return reader.read("cache_size", default: nil, literal: Self.partOrNone) { value in
            if value.text == "" { return .value(nil) }
            guard let part = value.text.flatMap(CachePart.init),
                (least.bytes...largestDisk.bytes).contains(part.bytes(of: cache.size))
            else {
                return .expected(
                    "a size from \(least), which is eight chunks, to \(largestDisk), a part of cache.size such as "
                        + "\"25%\" that is no less, or \"\" for no limit"
                )
            }
            return .value(part)
        }
    }

    private static func partOrNone(_ part: CachePart?) -> String { quotedForTOML(part?.description ?? "") }

    private func readOptions(_ reader: SectionReader) -> ConfigSection? {
        if let options = reader.entry("options"), options.value.table == nil {
            reader.fail("options", options.value, expected: "a table")
            return nil
        }
        return reader.contents.section("options")
    }

    private mutating func readMount(_ reader: SectionReader, _ draft: SourceDraft) -> String {
        let mount = reader.value(
            "mount",
            default: "/\(draft.name)",
            expected: "a path such as \"/media\", of letters, digits and the characters - . _ ~"
        ) { text, _ in normalisedMount(text) }
        if Self.reservedMounts.contains(where: { mountsOverlap($0, mount) }) {
            reader.fail("mount", found: "\"\(mount)\" is answered by the gateway itself", expected: "another path")
        }
        if let compat,
            let route = GatewayConfig.Compat.segments.first(where: { mountsOverlap("/\($0)", mount) })
        {
            reader.fail(
                "mount",
                found: "\"\(mount)\" is where the old route \"/\(route)\" is (compat.enabled, \(compat))",
                expected: "another path, or compat.enabled = false"
            )
        }
        if let other = mounts.first(where: { mountsOverlap($0.mount, mount) }) {
            let relation = other.mount == mount ? "is the mount" : "overlaps \"\(other.mount)\", the mount"
            reader.fail(
                "mount",
                found: "\"\(mount)\" \(relation) of \"\(other.name)\" at \(other.origin.place)",
                expected: "a path of its own"
            )
        }
        mounts.append((mount, draft.name, reader.contents.table["mount"]?.value.origin ?? draft.origin))
        return mount
    }
}
