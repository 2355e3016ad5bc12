import Config
import SourceContract
import SourcePlugins
import Testing

@Suite("Disk: configuration", .timeLimit(.minutes(1)))
struct DiskKindTests {
    /// What the kind makes of the settings, and what is reported of them.
    private func make(_ overrides: [String]) async throws -> (source: (any MediaSource)?, report: String) {
        try await TestContext.with { context in
            let base = ["sources.media.kind=disk"]
            let loaded = ConfigLoader(kinds: SourceKind.builtIn.map(\.name), files: NoFiles())
                .load(overrides: base + overrides.map { "sources.media.options.\($0)" })
            let options = try #require(loaded.config.sources.first).options.reader(loaded.diagnostics)
            let source = SourceKind.disk.make(options: options, context: context.source)
            return (source, loaded.diagnostics.hasErrors ? loaded.diagnostics.render() : "")
        }
    }

    @Test("a root that does not exist makes a source, since making one does no I/O")
    func made() async throws {
        let made = try await make(["root=/nonexistent/media", "follow_symlinks=true"])
        #expect(made.source is DiskSource)
        #expect(made.report.isEmpty)
    }

    @Test(
        "a fault is reported with its key",
        arguments: [
            (["follow_symlinks=true"], "root"), (["root=/media", "follow_symlinks=perhaps"], "follow_symlinks"),
            (["root=/media", "follow_links=true"], "follow_links"),
        ]
    )
    func faults(_ overrides: [String], _ key: String) async throws {
        #expect(try await make(overrides).report.contains(key))
    }

    @Test("without a root there is no source")
    func rootless() async throws {
        #expect(try await make([]).source == nil)
    }
}

/// A file system without files.
private struct NoFiles: ConfigFiles {
    var workingDirectory: String { "/" }

    func read(_ path: String, limit: Int) throws(ConfigFileProblem) -> ConfigFileContent { throw .missing }
    func list(_ path: String) throws(ConfigFileProblem) -> ConfigDirectoryContent { throw .missing }
}
