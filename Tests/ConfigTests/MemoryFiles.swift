import Config

/// A file system of a few files, with a working directory of `/etc/media-gateway`.
struct MemoryFiles: ConfigFiles {
    static let root = "/etc/media-gateway"

    var workingDirectory: String { Self.root }
    private var files: [String: ConfigFileContent] = [:]
    private var problems: [String: ConfigFileProblem] = [:]
    private var worldWritableDirectories: Set<String> = []

    init() {}

    /// - Parameter files: text by path, relative to the working directory.
    init(_ files: [String: String]) {
        for (path, text) in files { add(path, Array(text.utf8)) }
    }

    mutating func add(
        _ path: String,
        _ bytes: [UInt8],
        isWorldReadable: Bool = false,
        isWorldWritable: Bool = false
    ) {
        files[Self.absolute(path)] = ConfigFileContent(
            bytes: bytes,
            isWorldReadable: isWorldReadable,
            isWorldWritable: isWorldWritable
        )
    }

    /// Lets reading or listing `path` fail. A file that fails is listed all the same.
    mutating func fail(_ path: String, with problem: ConfigFileProblem) {
        problems[Self.absolute(path)] = problem
    }

    mutating func makeWorldWritable(directory path: String) {
        worldWritableDirectories.insert(Self.absolute(path))
    }

    func read(_ path: String, limit: Int) throws(ConfigFileProblem) -> ConfigFileContent {
        if let problem = problems[path] { throw problem }
        guard let file = files[path] else { throw .missing }
        guard file.bytes.count <= limit else { throw .tooLarge }
        return file
    }

    func list(_ path: String) throws(ConfigFileProblem) -> ConfigDirectoryContent {
        if let problem = problems[path] { throw problem }
        let below = path + "/"
        let inside = (Array(files.keys) + Array(problems.keys)).filter { $0.hasPrefix(below) }
        guard !inside.isEmpty else { throw .missing }
        return ConfigDirectoryContent(
            names: inside.map { String($0.dropFirst(below.count)) },
            isWorldWritable: worldWritableDirectories.contains(path)
        )
    }

    private static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : "\(root)/\(path)"
    }
}

/// The options of the one kind these tests know.
struct DiskOptions: Equatable {
    var root: String?
    var followSymlinks: Bool
}

extension LoadedConfig {
    /// Reads the options of every source as its kind would.
    func readOptions() -> [DiskOptions] {
        config.sources.map { source in
            let reader = source.options.reader(diagnostics)
            defer { reader.finish() }
            return DiskOptions(
                root: reader.requiredPath("root"),
                followSymlinks: reader.bool("follow_symlinks", default: false)
            )
        }
    }
}

/// Loads `config.toml` of these files, and the options of its sources.
func load(
    _ files: [String: String],
    environment: [String: String] = [:],
    overrides: [String] = []
) -> LoadedConfig {
    load(MemoryFiles(files), environment: environment, overrides: overrides)
}

func load(
    _ files: MemoryFiles,
    environment: [String: String] = [:],
    overrides: [String] = []
) -> LoadedConfig {
    let loaded = ConfigLoader(kinds: ["disk"], files: files)
        .load(path: "config.toml", environment: environment, overrides: overrides)
    _ = loaded.readOptions()
    return loaded
}
