import ChunkCache
package import Config
import FoundationEssentials
import Logging
import NIOPosix
import SourcePlugins
import Synchronization

/// A configuration that has been read whole, the options of every source included.
package struct GatewaySetup: Sendable {
    package let config: GatewayConfig
    private let loaded: LoadedConfig
    private let paths: ConfiguredPaths

    /// Reads the configuration and every source's options. Makes no connection and opens no file of a source.
    ///
    /// - Parameters:
    ///   - configPath: the main file; `nil` for `config.toml` in the working directory, if there is one.
    ///   - overrides: `KEY=VALUE` with a dotted key.
    package init(configPath: String?, environment: [String: String], overrides: [String]) {
        loaded = ConfigLoader(kinds: SourceKind.builtIn.map(\.name))
            .load(path: configPath, environment: environment, overrides: overrides)
        config = loaded.config
        // What the kinds make here is thrown away: it tells whether their options are right.
        let pool = NIOThreadPool(numberOfThreads: 1)
        var paths = ConfiguredPaths(loaded)
        for source in config.sources {
            let options = source.options.reader(loaded.diagnostics)
            _ = Self.make(source, options, logger: Logger(label: "check"), pool: pool, invalidate: { _ in })
            if source.enabled { paths.add(options.paths) }
        }
        paths.checkPlaces(loaded.diagnostics)
        self.paths = paths
    }

    /// Looks whether the files and folders are there that are named, which may wait for a disk or another machine.
    /// Without them the gateway starts all the same: they may come later, and other sources go on.
    package func checkPaths() { paths.checkContents(loaded.diagnostics) }

    package var isValid: Bool { !loaded.diagnostics.hasErrors }

    /// Every error and warning with its place, as printed by `media-gateway check`.
    package var diagnostics: String { loaded.diagnostics.render() }

    /// Every value in force and where it is from, as TOML, without secrets.
    package var effectiveConfiguration: String { loaded.show() }

    /// Where requests bring in items: the mount of the source that takes those which name none; `nil` if none does.
    package var itemMount: String? {
        let pool = NIOThreadPool(numberOfThreads: 1)
        let table = makeSources(logger: Logger(label: "check"), pool: pool, objects: ObjectTable(capacity: 1))
        return table.firstItems.map { MountAddress($0.entry.mount).url }
    }

    package var enabledSourceCount: Int { config.sources.count { $0.enabled } }

    /// The sources of a valid configuration.
    func makeSources(logger: Logger, pool: NIOThreadPool, objects: ObjectTable) -> SourceTable {
        let entries = config.sources.enumerated().compactMap { epoch, source -> SourceTable.Entry? in
            var logger = logger
            logger[metadataKey: "source"] = "\(source.name)"
            let state: SourceTable.Entry.State
            if source.enabled {
                // Read once before, without errors; what is read now is not reported again.
                let options = source.options.reader(ConfigDiagnostics())
                let made = Self.make(source, options, logger: logger, pool: pool) { path in
                    objects.remove(ObjectTable.Key(epoch: epoch, path: path))
                }
                guard let made else { return nil }
                state = .enabled(made)
            } else {
                state = .disabled(file: source.enabledOrigin.place, key: source.enabledKey)
            }
            return SourceTable.Entry(
                name: source.name,
                kind: source.kind,
                mount: source.mount,
                firstByteDeadline: source.firstByteDeadline,
                isCached: source.isCached,
                state: state,
                epoch: epoch
            )
        }
        return SourceTable(entries)
    }

    private static func make(
        _ source: SourceConfig,
        _ options: SectionReader,
        logger: Logger,
        pool: NIOThreadPool,
        invalidate: @escaping @Sendable (MediaPath) -> Void
    ) -> (any MediaSource)? {
        guard let kind = SourceKind.builtIn.first(where: { $0.name == source.kind }) else { return nil }
        let context = SourceContext(
            name: source.name,
            logger: logger,
            blockingPool: pool,
            openRecords: { directory in
                let records = try RecordStore(directory: directory)
                if let reason = records.setAside {
                    logger.error("records were damaged and set aside", metadata: ["reason": "\(reason)"])
                }
                return records
            },
            invalidate: invalidate
        )
        return kind.make(options: options, context: context)
    }
}

extension RecordStore: SourceRecords {}

extension AdminAccess {
    /// Reads the token.
    ///
    /// - Throws: if the token file cannot be read any more.
    init(_ config: GatewayConfig.Admin) throws {
        let token = try config.tokenFile.map { path in
            Array(try String(contentsOf: URL(filePath: path), encoding: .utf8).trimmedLine.utf8)
        }
        switch config.listen {
        case .unix:
            self.init(token: token, hosts: nil)
        case .tcp(let host, _):
            self.init(token: token, hosts: ["localhost", host.lowercased(), NodeName.ofHost.lowercased()])
        }
    }
}

extension String {
    fileprivate var trimmedLine: String {
        String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
