import Config

/// The paths that a configuration names, and what is wrong with what is there.
struct ConfiguredPaths {
    private let configuration: (what: String, path: String)
    private var paths: [ConfigPath]
    private let cache: GatewayConfig.Cache
    private let files: any ConfigFiles

    init(_ loaded: LoadedConfig, files: any ConfigFiles = LocalConfigFiles()) {
        configuration = ("the configuration", loaded.mainFile)
        paths = loaded.paths
        cache = loaded.config.cache
        self.files = files
    }

    /// - Parameter paths: those among the options of a source.
    mutating func add(_ paths: [ConfigPath]) { self.paths += paths }

    /// Reports what the gateway keeps to itself and yet would give to whoever asks. Looks at no file.
    func checkPlaces(_ diagnostics: ConfigDiagnostics) {
        let kept = [configuration] + paths.filter { $0.use != .served }.map { ($0.key, $0.path) }
        for served in paths where served.use == .served {
            var told: [String] = []
            for (what, path) in kept where served.holds(path) {
                // What lies in a folder that was named moves with it.
                guard !told.contains(where: { path.hasPrefix($0 + "/") }) else { continue }
                told.append(path)
                served.report(
                    .warning,
                    found: "\(quotedForMessage(served.path)) holds \(what) (\(quotedForMessage(path)))",
                    remedy: "whoever may read this source gets that too: move one of them",
                    to: diagnostics
                )
            }
        }
    }

    /// Reports files and folders that cannot be used now, and a cache that its disk cannot hold. May wait for a disk or
    /// another machine.
    func checkContents(_ diagnostics: ConfigDiagnostics) {
        for path in paths { check(path, diagnostics) }
        if cache.enabled { checkSpace(diagnostics) }
    }

    private func checkSpace(_ diagnostics: ConfigDiagnostics) {
        guard let whole = files.fileSystemSize(cache.path) else { return }
        let (size, free) = (cache.size.bytes, cache.minFreeDisk.bytes)
        let (key, found, remedy) =
            free >= whole
            ? ("min_free_disk", "\(cache.minFreeDisk) free of", "the cache cannot keep anything: leave less free")
            : ("size", "\(cache.size) and cache.min_free_disk of", "the cache stays smaller: chunks leave before that")
        guard size > whole - min(free, whole), let origin = diagnostics.origin(of: ["cache", key]) else { return }
        // Nobody has chosen the defaults.
        if case .builtIn = origin { return }
        diagnostics.report(
            "cache.\(key)",
            at: origin,
            found: "\(found) a file system of \(humanSize(whole))",
            remedy: remedy,
            severity: .warning
        )
    }

    private func check(_ path: ConfigPath, _ diagnostics: ConfigDiagnostics) {
        func report(_ severity: ConfigFault.Severity, _ problem: some Any, _ remedy: String) {
            path.report(
                severity,
                found: "\(quotedForMessage(path.path)) \(problem)",
                remedy: remedy,
                to: diagnostics
            )
        }
        let problem = files.problem(ofDirectory: path.path)
        switch path.use {
        case .served:
            guard let problem else { return }
            report(.warning, problem, "requests for what is in it fail until that is mended")
        case .listed:
            // Where it is by default, nobody needs one.
            guard let problem, case .file = path.origin else { return }
            report(.warning, problem, "no source is read from it")
        case .kept:
            guard let problem, problem != .missing else { return }
            report(.error, problem, "expected a directory, or a place for one")
        case .appended:
            guard let slash = path.path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return }
            let parent = slash == path.path.startIndex ? "/" : String(path.path[..<slash])
            if problem == nil { return report(.error, "is a directory", "expected a file") }
            guard let problem = files.problem(ofDirectory: parent) else { return }
            report(.error, "cannot be made: its directory \(problem)", "expected a file in a directory that is there")
        case .needed:
            do {
                guard try files.read(path.path, limit: Self.largestFile).bytes.isEmpty else { return }
                report(.error, "is empty", "expected a file with something in it")
            } catch {
                report(.error, error, "expected a file that this user can read")
            }
        case .secret: return
        }
    }

    private static let largestFile = 16 << 20
}
