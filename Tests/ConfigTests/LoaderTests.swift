import Config
import Testing

struct LoaderTests {
    private let media = "kind = \"disk\"\n[options]\nroot = \"../media\"\n"

    @Test("without any file the configuration is the built-in one")
    func builtIn() {
        let loaded = ConfigLoader(kinds: ["disk"], files: MemoryFiles()).load()
        #expect(loaded.diagnostics.render() == "")
        #expect(loaded.config.server == GatewayConfig.Server())
        #expect(loaded.config.pluginsDirectory == "/etc/media-gateway/plugins.d")
        #expect(loaded.config.sources.isEmpty)
    }

    @Test("a main file that was named must be there")
    func missingFile() {
        let loaded = ConfigLoader(kinds: ["disk"], files: MemoryFiles()).load(path: "etc/main.toml")
        #expect(
            loaded.diagnostics.render()
                == "etc/main.toml:1:1: error: file: does not exist; expected a file that can be read\n1 error\n"
        )
    }

    @Test(
        "a file that cannot be read is an error, in the main place and in the plugins directory",
        arguments: [
            (.notPermitted, "may not be read by this user"), (.isDirectory, "is a directory"),
            (.isSpecial, "is not a regular file"), (.tooLarge, "is too large"),
            (.system(5), "cannot be read (error 5)"),
        ] as [(ConfigFileProblem, String)]
    )
    func unreadable(_ problem: ConfigFileProblem, _ text: String) {
        for path in ["config.toml", "plugins.d/media.toml"] {
            var files = MemoryFiles(["config.toml": ""])
            files.fail(path, with: problem)
            #expect(
                load(files).diagnostics.render()
                    == "\(path):1:1: error: file: \(text); expected a file that can be read\n1 error\n"
            )
        }
    }

    @Test("an optional main file that is there and cannot be read is an error")
    func optionalUnreadable() {
        var files = MemoryFiles()
        files.fail("config.toml", with: .notPermitted)
        #expect(ConfigLoader(kinds: ["disk"], files: files).load().diagnostics.errorCount == 1)
    }

    @Test("a plugins directory that is no directory is an error, a missing one is not")
    func pluginsDirectory() {
        var files = MemoryFiles(["config.toml": "[plugins]\ndirectory = \"sources\"\n"])
        #expect(!load(files).diagnostics.hasErrors)
        files.fail("sources", with: .notADirectory)
        #expect(load(files).diagnostics.render().contains("\"/etc/media-gateway/sources\" is not a directory"))
    }

    @Test("what everybody can write is not read in silence")
    func worldWritable() {
        var files = MemoryFiles()
        files.add("config.toml", [])
        files.add("plugins.d/media.toml", Array(media.utf8), isWorldWritable: true)
        #expect(load(files).diagnostics.render().hasPrefix("plugins.d/media.toml:1:1: error: file: can be written by"))
        files.add("plugins.d/media.toml", Array(media.utf8))
        #expect(!load(files).diagnostics.hasErrors)
        files.makeWorldWritable(directory: "/etc/media-gateway/plugins.d")
        #expect(load(files).diagnostics.render().hasPrefix("config.toml:1:1: error: plugins.directory: "))
    }

    @Test("a source has what its file says, and defaults for the rest")
    func source() throws {
        let loaded = load([
            "config.toml": "[server]\nfirst_byte_deadline = \"7s\"\n",
            "plugins.d/media.toml": media,
            "plugins.d/old.toml":
                "kind = \"disk\"\nenabled = false\nmount = \"films/old/\"\nfirst_byte_deadline = \"1m\"\n"
                + "options.root = \"/o\"",
        ])
        #expect(loaded.diagnostics.render() == "")
        let first = try #require(loaded.config.sources.first)
        #expect(first.name == "media" && first.kind == "disk" && first.enabled && first.mount == "/media")
        #expect(first.firstByteDeadline == .seconds(7))
        let last = try #require(loaded.config.sources.last)
        #expect(!last.enabled && last.mount == "/films/old" && last.firstByteDeadline == .seconds(60))
        #expect(last.enabledOrigin.place == "plugins.d/old.toml:2:11" && last.enabledKey == "old.enabled")
        #expect(loaded.readOptions().map(\.root) == ["/etc/media-gateway/media", "/o"])
    }

    @Test("sources of the main file come first, those of the directory in byte order; other files are not read")
    func order() {
        var files = [
            "config.toml": "[sources.z]\nkind = \"disk\"\noptions.root = \"z\"\n", "plugins.d/.a.toml": "=",
            "plugins.d/a.toml.off": "=", "plugins.d/README.md": "=",
        ]
        for name in ["b", "a-b", "a", "a1"] { files["plugins.d/\(name).toml"] = media }
        let loaded = load(files)
        #expect(loaded.diagnostics.render() == "")
        #expect(loaded.config.sources.map(\.name) == ["z", "a-b", "a", "a1", "b"])
    }

    @Test("one source may have the root, beside others")
    func rootMount() {
        let loaded = load([
            "config.toml": "", "plugins.d/a.toml": media + "[x]", "plugins.d/b.toml": "mount = \"/\"\n" + media,
        ])
        #expect(loaded.diagnostics.render().contains("a.x: unknown key"))
        #expect(loaded.diagnostics.errorCount == 1)
        #expect(loaded.config.sources.map(\.mount) == ["/a", "/"])
    }

    @Test("relative paths start at the file that names them, and at the working directory elsewhere")
    func relativePaths() {
        let files = MemoryFiles()
        var loaded = ConfigLoader(kinds: ["disk"], files: files).load(
            overrides: ["log.access=a/./b.log", "server.listen=unix:run/../s.sock"]
        )
        #expect(loaded.config.log.access == .file("/etc/media-gateway/a/b.log"))
        #expect(loaded.config.server.listen == [.unix(path: "/etc/media-gateway/s.sock")])
        var other = MemoryFiles()
        other.add("/srv/main.toml", Array("[log]\naccess = \"x.log\"\n[plugins]\ndirectory = \"p\"\n".utf8))
        other.add("/srv/p/media.toml", Array(media.utf8))
        loaded = ConfigLoader(kinds: ["disk"], files: other).load(path: "../../srv/main.toml")
        #expect(loaded.config.log.access == .file("/srv/x.log"))
        #expect(loaded.readOptions().map(\.root) == ["/srv/media"])
        #expect(loaded.show().contains("# ../../srv/p/media.toml:1\n"))
    }

    @Test("the environment is above the files, and the command line above the environment")
    func precedence() {
        let files = ["config.toml": "[log]\nlevel = \"debug\"\nformat = \"text\"\n[limits]\nconnections = 1\n"]
        let loaded = load(
            files,
            environment: [
                "MEDIA_GATEWAY__LOG__LEVEL": "error", "MEDIA_GATEWAY__LIMITS__CONNECTIONS": "2", "LOG__LEVEL": "trace",
                "MEDIA_GATEWAY_LOG_LEVEL": "trace",
            ],
            overrides: ["limits.connections=3", "limits.connections=4"]
        )
        #expect(loaded.diagnostics.render() == "")
        #expect(loaded.config.log.format == .text)
        #expect(loaded.config.log.level == .error)
        #expect(loaded.config.limits.connections == 4)
    }

    @Test("commas separate the elements of an array in the environment")
    func arrays() {
        let variable = "MEDIA_GATEWAY__SERVER__LISTEN"
        var loaded = load(["config.toml": ""], environment: [variable: "127.0.0.1:1, [::1]:2,unix:/a"])
        #expect(loaded.config.server.listen.map(\.description) == ["127.0.0.1:1", "[::1]:2", "unix:/a"])
        loaded = load(["config.toml": ""], environment: ["MEDIA_GATEWAY__SERVER__TRUSTED_PROXIES": ""])
        #expect(loaded.diagnostics.render() == "" && loaded.config.server.trustedProxies.isEmpty)
    }

    @Test("the environment reaches sources and their options, with underscores for dashes, and can bring a source")
    func sourcesFromEnvironment() {
        let loaded = load(
            ["config.toml": "[sources.my-films]\nkind = \"disk\"\n", "plugins.d/media.toml": media],
            environment: [
                "MEDIA_GATEWAY__SOURCES__MEDIA__OPTIONS__ROOT": "/mnt",
                "MEDIA_GATEWAY__SOURCES__MEDIA__ENABLED": "false",
                "MEDIA_GATEWAY__SOURCES__MY_FILMS__OPTIONS__ROOT": "films",
                "MEDIA_GATEWAY__SOURCES__A_NEW_ONE__KIND": "disk",
                "MEDIA_GATEWAY__SOURCES__A_NEW_ONE__OPTIONS__ROOT": "/new",
                "MEDIA_GATEWAY__SOURCES__A_NEW_ONE__OPTIONS__FOLLOW_SYMLINKS": "true",
            ],
            overrides: ["sources.my-films.mount=/f"]
        )
        #expect(loaded.diagnostics.render() == "")
        #expect(loaded.config.sources.map(\.mount) == ["/f", "/media", "/a-new-one"])
        #expect(loaded.config.sources.map(\.enabled) == [true, false, true])
        #expect(loaded.config.sources[1].enabledOrigin.place == "environment MEDIA_GATEWAY__SOURCES__MEDIA__ENABLED")
        #expect(loaded.readOptions().map(\.root) == ["/etc/media-gateway/films", "/mnt", "/new"])
    }

    @Test("a broken file does not make overrides of its source look wrong")
    func brokenFileWithOverride() {
        let loaded = load(
            ["config.toml": "", "plugins.d/media.toml": "kind ="],
            environment: ["MEDIA_GATEWAY__SOURCES__MEDIA__ENABLED": "false"]
        )
        #expect(loaded.diagnostics.errorCount == 1)
    }

    @Test(
        "the admin listener has an address of its own, which all addresses of a port have not",
        arguments: [
            ("127.0.0.1:9080", "127.0.0.1:9080", true), ("0.0.0.0:9080", "127.0.0.1:9080", true),
            ("[::]:9080", "[::1]:9080", true), ("[::]:9080", "127.0.0.1:9080", false),
            ("0.0.0.0:8080", "127.0.0.1:9080", false), ("0.0.0.0:0", "127.0.0.1:0", false),
        ]
    )
    func listenersClash(_ data: String, _ admin: String, _ clash: Bool) {
        let text = "[server]\nlisten = [\"\(data)\"]\n[admin]\nlisten = \"\(admin)\"\n"
        #expect(load(["config.toml": text]).diagnostics.hasErrors == clash)
    }

    @Test("an admin listener that other machines reach needs a token file that is fit for it")
    func adminToken() {
        var files = MemoryFiles(["config.toml": "[admin]\nlisten = \"0.0.0.0:9080\"\ntoken_file = \"token\"\n"])
        files.add("token", Array("secret".utf8))
        let loaded = load(files)
        #expect(loaded.diagnostics.render() == "")
        #expect(loaded.config.admin.tokenFile == "/etc/media-gateway/token")
        files.add("token", Array("secret".utf8), isWorldReadable: true)
        #expect(load(files).diagnostics.render().contains("can be read by everybody; expected"))
        files.add("token", [])
        #expect(load(files).diagnostics.render().contains("is empty; expected"))
        files.fail("token", with: .notPermitted)
        #expect(load(files).diagnostics.render().contains("\"/etc/media-gateway/token\" may not be read by this user"))
        #expect(!load(["config.toml": "[admin]\nlisten = \"unix:admin.sock\"\n"]).diagnostics.hasErrors)
    }

    @Test("more sources than can be are an error")
    func manySources() {
        let text = (0..<300).map { "[sources.s\($0)]\nkind = \"disk\"\noptions.root = \"/\"\n" }.joined()
        let loaded = load(["config.toml": text])
        #expect(loaded.config.sources.count == 256)
        #expect(loaded.diagnostics.errorCount == 44)
    }
}
