import Foundation
import Testing

@Suite(.timeLimit(.minutes(1))) struct CommandLineTests {
    @Test("check says that a right configuration is right")
    func checkRight() async throws {
        let folder = try Folder(Folder.configuration)
        let ended = try await Program.run(["check"], in: folder.url)
        #expect(ended.status == 0)
        #expect(ended.output == "config.toml: no errors, 1 source enabled\n")
    }

    @Test("check names every mistake with its place, and exits with 78")
    func checkWrong() async throws {
        var files = Folder.configuration
        files["config.toml", default: ""] += "[log]\nlevle = \"info\"\n"
        files["plugins.d/media.toml"] = "kind = \"disk\"\n[options]\nroot = 5\n"
        let folder = try Folder(files)
        let ended = try await Program.run(["check"], in: folder.url)
        #expect(ended.status == 78)
        #expect(ended.errors.contains("config.toml:6:1: error: log.levle: "))
        #expect(ended.errors.contains("plugins.d/media.toml:3:8: error: media.options.root: found 5; expected"))
        #expect(ended.errors.hasSuffix("2 errors\n"))
    }

    @Test("check names a file that is missing, and exits with 78")
    func checkMissingFile() async throws {
        var files = Folder.configuration
        files["plugins.d/origin.toml"] =
            "kind = \"http\"\n[options]\nbase_url = \"https://origin.example/\"\nca_file = \"ca.pem\"\n"
            + "headers = { x-key = \"hunter2\", authorization = { file = \"token\" } }\n"
        let folder = try Folder(files)
        let ended = try await Program.run(["check"], in: folder.url)
        #expect(ended.status == 78)
        #expect(ended.errors.contains("plugins.d/origin.toml:4:11: error: origin.options.ca_file: "))
        #expect(ended.errors.contains(" does not exist; expected a file that this user can read"))
        #expect(ended.errors.contains("error: origin.options.headers.authorization.file: "))
        #expect(!ended.errors.contains("hunter2"))
        #expect(ended.errors.hasSuffix("\n2 errors\n"))
        let disabled = try await Program.run(["check", "--set", "sources.origin.enabled=false"], in: folder.url)
        #expect(disabled.status == 0)
    }

    @Test(
        "check names what serve would stop at, or do without",
        arguments: [
            ("log.access=nowhere/access.log", "log.access: "), ("log.access=media", "log.access: "),
            ("cache.path=config.toml", "cache.path: "),
        ]
    )
    func checkPlaces(_ override: String, _ place: String) async throws {
        let folder = try Folder(Folder.configuration)
        let ended = try await Program.run(["check", "--set", override], in: folder.url)
        #expect(ended.status == 78)
        #expect(ended.errors.contains("error: \(place)"))
    }

    @Test(
        "check warns of a cache that its disk cannot hold",
        arguments: [
            ("size", "1024TiB", "1024TiB and cache.min_free_disk of a file system of "),
            ("min_free_disk", "1024TiB", "1024TiB free of a file system of "),
        ]
    )
    func checkSpace(_ key: String, _ value: String, _ found: String) async throws {
        var files = Folder.configuration
        files["config.toml", default: ""] += "[cache]\n\(key) = \"\(value)\"\npath = \"not/made/yet\"\n"
        let folder = try Folder(files)
        let ended = try await Program.run(["check"], in: folder.url)
        #expect(ended.status == 0)
        #expect(ended.errors.contains("config.toml:6:\(key.count + 4): warning: cache.\(key): \(found)"))
        #expect(ended.errors.hasSuffix("\n1 warning\n"))
        let without = try await Program.run(["check", "--set", "cache.enabled=false"], in: folder.url)
        #expect(without.errors.isEmpty)
    }

    @Test("check warns of a folder that is not there, and of one that gives away the gateway's own files")
    func checkFolders() async throws {
        var files = Folder.configuration
        files["plugins.d/films.toml"] = "kind = \"disk\"\n[options]\nroot = \"/nonexistent/films\"\n"
        files["config.toml", default: ""] += "[plugins]\ndirectory = \"plugins.d\"\n"
        files["plugins.d/all.toml"] = "kind = \"disk\"\n[options]\nroot = \"..\"\n"
        let folder = try Folder(files)
        let ended = try await Program.run(["check"], in: folder.url)
        #expect(ended.status == 0)
        #expect(ended.output == "config.toml: no errors, 3 sources enabled\n")
        #expect(
            ended.errors.contains(
                "plugins.d/films.toml:3:8: warning: films.options.root: \"/nonexistent/films\" does not exist; "
            )
        )
        #expect(ended.errors.contains("plugins.d/all.toml:3:8: warning: all.options.root: "))
        #expect(ended.errors.contains("holds the configuration ("))
        #expect(ended.errors.contains("holds cache.path ("))
        let hidden = try await Program.run(
            ["check", "--set", "cache.path=.cache", "--set", "plugins.directory=plugins.d"],
            in: folder.url
        )
        #expect(!hidden.errors.contains("holds cache.path"))
        #expect(hidden.errors.contains("holds plugins.directory"))
    }

    @Test("serve refuses a wrong configuration with 78 and binds nothing")
    func serveWrong() async throws {
        var files = Folder.configuration
        files["config.toml"] = "[server]\nlisten = 8080\n"
        let folder = try Folder(files)
        let ended = try await Program.run(["serve"], in: folder.url)
        #expect(ended.status == 78)
        #expect(ended.errors.contains("config.toml:2:10: error: server.listen: "))
    }

    @Test("config show says where each value is from")
    func configShow() async throws {
        let folder = try Folder(Folder.configuration)
        let ended = try await Program.run(
            ["config", "show", "--set", "log.level=debug"],
            in: folder.url,
            environment: ["MEDIA_GATEWAY__LIMITS__CONNECTIONS": "17"]
        )
        #expect(ended.status == 0)
        #expect(ended.output.contains("level = \"debug\"  # flag --set log.level\n"))
        #expect(ended.output.contains("connections = 17  # environment MEDIA_GATEWAY__LIMITS__CONNECTIONS\n"))
        #expect(ended.output.contains("follow_symlinks = false  # default\n"))
    }

    @Test("an address that is taken is one clear line and exit 1")
    func addressTaken() async throws {
        let folder = try Folder(Folder.configuration)
        let taken = try TakenPort()
        let ended = try await Program.run(["serve", "--set", "server.listen=127.0.0.1:\(taken.port)"], in: folder.url)
        #expect(ended.status == 1)
        #expect(ended.errors.contains("cannot listen on 127.0.0.1:\(taken.port)"))
    }

    @Test("more connections than the descriptor limit has room for are refused at start")
    func descriptorLimit() async throws {
        let folder = try Folder(Folder.configuration)
        let ended = try await Program.run(
            ["-c", "ulimit -n 300; exec \"$0\" serve", Program.gateway],
            program: "/bin/sh",
            in: folder.url
        )
        #expect(ended.status == 1)
        #expect(ended.errors.contains("limits.connections = 4000"))
    }

    @Test("play says why it cannot: no gateway, no source of torrents, or no address")
    func play() async throws {
        let folder = try Folder(Folder.configuration)
        let magnet = "magnet:?xt=urn:btih:\(String(repeating: "a", count: 40))"
        let nobody = try await Program.run(["play", magnet, "--url", "http://127.0.0.1:1"], in: folder.url)
        #expect(nobody.status == 69)
        #expect(nobody.output == "")
        #expect(nobody.errors == "media-gateway: no gateway answers on 127.0.0.1:1; start one with serve\n")
        let noSource = try await Program.run(["play", magnet], in: folder.url)
        #expect(noSource.status == 78)
        #expect(noSource.errors.contains("has no enabled source that holds torrents"))
        for url in ["ftp://x", "127.0.0.1:8080", "http://", "http://a b/"] {
            #expect(try await Program.run(["play", magnet, "--url", url], in: folder.url).status == 64)
        }
    }

    @Test("warm says why it cannot: nothing named, no gateway, or no address")
    func warm() async throws {
        let folder = try Folder(Folder.configuration)
        for arguments in [[], ["a", "--rate", "fast"], ["a", "--rate", "1B/s"]] {
            #expect(try await Program.run(["cache", "warm"] + arguments, in: folder.url).status == 64)
        }
        #expect(try await Program.run(["cache", "warm", "--from", "none.txt"], in: folder.url).status == 66)
        let noPort = try await Program.run(["cache", "warm", "media/hello.txt"], in: folder.url)
        #expect(noPort.status == 69)
        #expect(noPort.errors.contains("server.listen in config.toml has no port of its own"))
        let nobody = try await Program.run(
            ["cache", "warm", "media/hello.txt", "--set", "server.listen=127.0.0.1:1"],
            in: folder.url
        )
        #expect(nobody.status == 69)
        #expect(nobody.errors == "media-gateway: no gateway answers on 127.0.0.1:1; start one with serve\n")
    }

    @Test("a pin is of a source or a path, and there is none without a cache")
    func pin() async throws {
        let folder = try Folder(Folder.configuration)
        for arguments in [[], ["/a"], ["media/a", "b"], ["media", "--prefix"]] {
            #expect(try await Program.run(["cache", "pin"] + arguments, in: folder.url).status == 64)
        }
        let missing = try await Program.run(["cache", "pin", "media/hello.txt"], in: folder.url)
        #expect(missing.status == 69)
        #expect(missing.errors.contains("there is no cache in "))
    }

    @Test("the version and the help are printed")
    func help() async throws {
        #expect(try await Program.run(["--version"]).output == "0.1.0\n")
        let help = try await Program.run(["--help"])
        for command in ["serve", "play", "check", "config", "bench"] { #expect(help.output.contains(command)) }
    }
}

/// A port of this machine that somebody listens on.
private final class TakenPort {
    let port: Int
    private let descriptor: Int32

    init() throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutableBytes(of: &address) { bytes in
            let pointer = bytes.assumingMemoryBound(to: sockaddr.self).baseAddress
            return bind(descriptor, pointer, length) == 0 && listen(descriptor, 1) == 0
                && getsockname(descriptor, pointer, &length) == 0
        }
        try #require(isListening)
        self.descriptor = descriptor
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }
}
