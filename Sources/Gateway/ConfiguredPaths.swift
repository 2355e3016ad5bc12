import Config

/// The paths that a configuration names, and what is wrong with what is there.
struct ConfiguredPaths {
    /// What the gateway keeps to itself: the sources' part of it, and everything else's.
    private var kept: [(what: String, path: String)]
    private var paths: [ConfigPath] = []
    private let files: any ConfigFiles

    init(_ config: GatewayConfig, files: any ConfigFiles = LocalConfigFiles()) {
        self.files = files
        kept = [("the folder of sources", config.pluginsDirectory)]
        if config.cache.enabled { kept.append(("the cache", config.cache.path)) }
        if let token = config.admin.tokenFile { kept.append(("the admin token", token)) }
        if case .file(let log) = config.log.access { kept.append(("the access log", log)) }
    }

    /// - Parameter source: the name of the source that has them among its options.
    mutating func add(_ paths: [ConfigPath], of source: String) {
        self.paths += paths
        for path in paths {
            switch path.use {
            case .kept: kept.append(("the state of \"\(source)\"", path.path))
            case .needed: kept.append(("a secret or certificate of \"\(source)\"", path.path))
            case .served: break
            }
        }
    }

    /// Reports files that are missing, and what the gateway keeps to itself and yet would give to whoever asks.
    func checkPlaces(_ diagnostics: ConfigDiagnostics) {
        for path in paths where path.use == .needed {
            do {
                _ = try files.read(path.path, limit: Self.largestFile)
            } catch {
                path.report(
                    .error,
                    found: "\(quotedForMessage(path.path)) \(error)",
                    remedy: "expected a file that this user can read",
                    to: diagnostics
                )
            }
        }
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

    /// Reports folders that cannot be served now.
    func checkServed(_ diagnostics: ConfigDiagnostics) {
        for path in paths where path.use == .served {
            guard let problem = files.problem(ofDirectory: path.path) else { continue }
            path.report(
                .warning,
                found: "\(quotedForMessage(path.path)) \(problem)",
                remedy: "what is asked of this source is answered with 503 until that is mended",
                to: diagnostics
            )
        }
    }

    private static let largestFile = 16 << 20
}
