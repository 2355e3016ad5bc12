import Config
import SourceContract
import SourcePlugins
import Testing

@Suite("HTTP: configuration", .timeLimit(.minutes(5)))
struct HTTPSettingsTests {
    /// What `options` are read as, and what is reported of them.
    private func read(_ options: String) throws -> (settings: HTTPSettings?, report: String) {
        let text = "[sources.origin]\nkind = \"http\"\n[sources.origin.options]\n\(options)\n"
        let loaded = ConfigLoader(kinds: ["http"], files: OneFile(text: text)).load(path: "/etc/gateway/config.toml")
        let reader = try #require(loaded.config.sources.first).options.reader(loaded.diagnostics)
        let settings = HTTPSettings(reader)
        reader.finish()
        return (settings, loaded.diagnostics.hasErrors ? loaded.diagnostics.render() : "")
    }

    private static let base = "base_url = \"https://origin.example/vod\"\n"

    @Test("a base URL is enough")
    func defaults() throws {
        let (settings, report) = try read(Self.base)
        let read = try #require(settings)
        #expect(report.isEmpty)
        #expect(read.baseURL.description == "https://origin.example/vod/")
        #expect(read.firstByteTimeout == .seconds(15))
        #expect(read.headers.isEmpty && read.fallbacks.isEmpty && !read.allowsPrivateAddresses)
        #expect(read.caching.setCookie == .store && !read.forwardsHost)
    }

    @Test("every option is read")
    func everything() throws {
        let (settings, report) = try read(
            Self.base + """
                profile = "media"
                headers = { Authorization = { file = "secrets/origin" }, X-Edge = "lima" }
                allow_private_addresses = true
                connect_timeout = "1s"
                first_byte_timeout = "2s"
                idle_timeout = "3s"
                connections = 4
                retries = 5
                redirects = 6
                fallbacks = ["http://mirror.example", "http://10.0.0.1:8080/vod/"]
                breaker_failures = 7
                breaker_pause = "8s"
                set_cookie = "refuse"
                forward_host = true
                """
        )
        let read = try #require(settings)
        #expect(report.isEmpty)
        let headers = [
            OriginHeader("Authorization", .file("/etc/gateway/secrets/origin")), OriginHeader("X-Edge", .text("lima")),
        ]
        #expect(read.headers == headers)
        #expect(read.allowsPrivateAddresses)
        #expect(
            [read.connectTimeout, read.firstByteTimeout, read.idleTimeout] == [.seconds(1), .seconds(2), .seconds(3)]
        )
        #expect([read.connections, read.retries, read.redirects, read.breakerFailures] == [4, 5, 6, 7])
        #expect(read.fallbacks.map(\.description) == ["http://mirror.example/", "http://10.0.0.1:8080/vod/"])
        #expect(read.breakerPause == .seconds(8))
        #expect(read.caching.setCookie == .refuse && read.forwardsHost)
    }

    @Test(
        "a fault is reported with its place, its key, and what was expected",
        arguments: [
            ("base_url = \"ftp://a.example/\"", "4:12: error: sources.origin.options.base_url", "http or https"),
            (
                "base_url = \"http://u:p@a.example/\"", "4:12: error: sources.origin.options.base_url",
                "without user name"
            ),
            ("base_url = \"http://a.example/?q\"", "4:12: error: sources.origin.options.base_url", "query"),
            ("base_url = 7", "4:12: error: sources.origin.options.base_url", "a URL"),
            ("retries = 1", "sources.origin.options.base_url: missing", "a string"),
            (base + "profile = \"other\"", "5:11: error: sources.origin.options.profile", "media"),
            (base + "set_cookie = \"drop\"", "5:14: error: sources.origin.options.set_cookie", "omit"),
            (base + "retries = 11", "5:11: error: sources.origin.options.retries", "0 to 10"),
            (base + "idle_timeout = \"0s\"", "5:16: error: sources.origin.options.idle_timeout", "1ms"),
            (base + "fallbacks = [\"a\"]", "5:14: error: sources.origin.options.fallbacks[0]", "http or https"),
            (base + "headers = 7", "5:11: error: sources.origin.options.headers", "a table"),
            (base + "headers = { Host = \"x\" }", "options.headers.Host", "does not set itself"),
            (base + "headers = { cookie = \"x\" }", "options.headers.cookie", "does not set itself"),
            (base + "headers = { \"a b\" = \"x\" }", "options.headers.\"a b\"", "the name of a header"),
            (base + "headers = { A = 7 }", "options.headers.A", "a string"),
            (base + "headers = { A = {} }", "options.headers.A.file", "a path"),
            (base + "headers = { A = { file = \"x\", mode = 7 } }", "options.headers.A.mode", "file"),
            (base + "base = 1", "5:1: error: sources.origin.options.base", "base_url"),
        ]
    )
    func faults(_ options: String, _ place: String, _ expected: String) throws {
        let report = try read(options).report
        #expect(report.contains(place), "\(report)")
        #expect(report.contains(expected), "\(report)")
        #expect(report.hasSuffix("1 error\n"), "\(report)")
    }

    @Test(
        "a URL with a password or a query is refused without showing it, on whatever line of it the fault is",
        arguments: [
            "base_url = \"http://u:hush@a.example/\"",
            base + "fallbacks = [\"http://u:hush@a.example/\"]",
            base + "fallbacks = [\"ftp://a.example/\", \"http://u:hush@a.example/\"]",
            "base_url = \"http://a.example/?token=hush\"",
            base + "fallbacks = [\"ftp://a.example/\", \"http://a.example/?token=hush\"]",
        ]
    )
    func secretURL(_ options: String) throws {
        let report = try read(options).report
        #expect(report.contains("without user name"), "\(report)")
        #expect(!report.contains("hush"), "\(report)")
        #expect(report.hasSuffix("1 error\n"), "\(report)")
    }

    @Test("certificates are in a file beside the configuration, and an empty path is none")
    func authorities() throws {
        #expect(try read(Self.base + "ca_file = \"ca.pem\"").settings?.authorities == "/etc/gateway/ca.pem")
        #expect(try read(Self.base + "ca_file = \"\"").settings?.authorities == nil)
    }

    @Test("a header that cannot be sent is reported without its value")
    func secret() throws {
        let report = try read(Self.base + "headers = { Authorization = \"hush\\n\" }").report
        #expect(report.contains("options.headers.Authorization"))
        #expect(!report.contains("hush"))
    }

    @Test("making a source does no I/O, and without a base URL there is none")
    func kind() async throws {
        try await TestContext.with { context async throws in
            for (options, isMade) in [(Self.base, true), ("retries = 1\n", false)] {
                let text = "[sources.origin]\nkind = \"http\"\n[sources.origin.options]\n\(options)"
                let loaded = ConfigLoader(kinds: ["http"], files: OneFile(text: text))
                    .load(path: "/etc/gateway/config.toml")
                let reader = try #require(loaded.config.sources.first).options.reader(loaded.diagnostics)
                let source = SourceKind.http.make(options: reader, context: context.source)
                #expect((source != nil) == isMade)
            }
        }
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
