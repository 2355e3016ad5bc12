import Config
import SourcePlugins
import Testing

@Suite("Torrents: configuration", .timeLimit(.minutes(5)))
struct TorrentSettingsTests {
    /// What `options` are read as, what is reported of them, and what `config show` prints.
    private func read(_ options: String) throws -> (settings: TorrentSettings, report: String, shown: String) {
        let text = "[sources.torrents]\nkind = \"torrent\"\n[sources.torrents.options]\n\(options)\n"
        let loaded = ConfigLoader(kinds: ["torrent"], files: OneFile(text: text)).load(path: "/etc/gateway/config.toml")
        let reader = try #require(loaded.config.sources.first).options.reader(loaded.diagnostics)
        let settings = TorrentSettings(reader)
        reader.finish()
        return (settings, loaded.diagnostics.hasErrors ? loaded.diagnostics.render() : "", loaded.show())
    }

    @Test(
        "a proxy or tracker that is refused is not shown if it may have a secret, nor is what stands beside it",
        arguments: [
            ("proxy = \"socks5://user:hush@vpn.example:1080\"", "4:9: error: sources.torrents.options.proxy"),
            ("proxy = \"http://vpn.example:1080?key=hush\"", "4:9: error: sources.torrents.options.proxy"),
            ("trackers = [\"udp://u:hush@a.example:6969\"]", "4:12: error: sources.torrents.options.trackers"),
            ("trackers = [\"ftp://a.example/?key=hush\"]", "4:12: error: sources.torrents.options.trackers"),
            (
                "trackers = [\"ftp://a.example/\", \"http://a.example/announce?key=hush\"]",
                "4:12: error: sources.torrents.options.trackers"
            ),
        ]
    )
    func secret(_ options: String, _ place: String) throws {
        let (settings, report, shown) = try read(options)
        #expect(settings.proxy == nil && settings.trackers.isEmpty)
        #expect(report.contains(place), "\(report)")
        #expect(report.contains("without user name"), "\(report)")
        #expect(report.hasSuffix("1 error\n"), "\(report)")
        #expect(!report.contains("hush") && !shown.contains("hush"), "\(report)\(shown)")
    }

    @Test("a proxy or tracker without a secret that is refused is shown")
    func faults() throws {
        let report = try read("proxy = \"vpn.example\"\ntrackers = [\"ftp://a.example/\"]").report
        #expect(report.contains("4:9: error: sources.torrents.options.proxy: found \"vpn.example\""), "\(report)")
        #expect(report.contains("options.trackers[0]: found \"ftp://a.example/\""), "\(report)")
        #expect(report.hasSuffix("2 errors\n"), "\(report)")
    }

    @Test("a tracker with a key in its query is used, and `config show` leaves it out")
    func key() throws {
        let trackers = ["udp://a.example:6969", "https://b.example/announce?key=hush"]
        let (settings, report, shown) = try read("trackers = \(trackers)\nproxy = \"socks5://vpn.example:1080\"")
        #expect(report.isEmpty)
        #expect(settings.trackers == trackers)
        #expect(shown.contains("trackers = [\"udp://a.example:6969\", \"<redacted>\"]"), "\(shown)")
        #expect(shown.contains("proxy = \"socks5://vpn.example:1080\""), "\(shown)")
        #expect(!shown.contains("hush"), "\(shown)")
    }
}

/// A file system with one file.
private struct OneFile: ConfigFiles {
    let text: String

    var workingDirectory: String { "/" }

    func read(_ path: String, limit: Int) throws(ConfigFileProblem) -> ConfigFileContent {
        guard path == "/etc/gateway/config.toml" else { throw .missing }
        return ConfigFileContent(bytes: Array(text.utf8))
    }

    func list(_ path: String) throws(ConfigFileProblem) -> ConfigDirectoryContent { throw .missing }
}
