import Foundation
import LoadBench
import NIOCore
import Testing

@Suite struct LoadTargetTests {
    @Test(
        "an address is a server and a path, as it was given",
        arguments: [
            ("http://127.0.0.1:8080/media/a%20b.mkv?x=1", "127.0.0.1", 8080, "/media/a%20b.mkv?x=1"),
            ("HTTP://localhost", "localhost", 80, "/"), ("http://[::1]:81/a#part", "::1", 81, "/a"),
            ("http://[::1]/", "::1", 80, "/"), ("http://films.example?list", "films.example", 80, "/?list"),
        ]
    )
    func read(_ url: String, _ host: String, _ port: Int, _ path: String) throws {
        let target = try #require(LoadTarget(url))
        #expect(target.host == host)
        #expect(target.port == port)
        #expect(target.path == path)
    }

    @Test(
        "what is no address, or cannot be sent as it is, is refused",
        arguments: [
            "", "/media/", "https://127.0.0.1/", "http://", "http:///x", "http://a b/", "http://127.0.0.1:0/",
            "http://127.0.0.1:99999/", "http://user@host/", "http://127.0.0.1/a b", "http://127.0.0.1/a\r\nX: y",
            "http://127.0.0.1/é",
        ]
    )
    func refused(_ url: String) {
        #expect(LoadTarget(url) == nil)
    }

    @Test(
        "a path's last part names a file",
        arguments: [
            ("/a/film%20one.mkv?x", "film one.mkv"), ("/100%.mkv", "100%.mkv"), ("/a/", nil), ("/%2e%2e", nil),
            ("/a/..%2Fb", nil),
        ] as [(String, String?)]
    )
    func fileName(_ path: String, _ name: String?) throws {
        #expect(try #require(LoadTarget("http://127.0.0.1\(path)")).fileName == name)
    }

    @Test("a listing's films are on the same server")
    func listing() throws {
        let folder = try #require(LoadTarget("http://127.0.0.1:8080/media/"))
        let listing = """
            {"path": "/media/", "entries": [
            {"name": "a", "type": "directory", "url": "/media/a/"},
            {"name": "b.mkv", "type": "file", "size": 5, "url": "/media/b.mkv", "media_type": "video/x-matroska"},
            {"name": "c.txt", "type": "file", "size": 5, "url": "/media/c.txt", "media_type": "text/plain"},
            {"name": "e.mkv", "type": "file", "size": 0, "url": "/media/e.mkv", "media_type": "video/x-matroska"},
            {"name": "f.mp3", "type": "file", "url": "http://127.0.0.1:8080/f.mp3", "media_type": "audio/mpeg"},
            {"name": "g.mkv", "type": "file", "url": "http://elsewhere/g.mkv", "media_type": "video/x-matroska"},
            {"name": "h.mkv", "type": "file", "url": "//elsewhere/h.mkv", "media_type": "video/x-matroska"}]}
            """
        let films = try LoadCatalogue.films(in: Array(listing.utf8), of: folder)
        #expect(films.map(\.description) == ["http://127.0.0.1:8080/media/b.mkv", "http://127.0.0.1:8080/f.mp3"])
    }

    /// What a file of films with this content has.
    private static func films(inFile content: String) throws -> [String] {
        let file = FileManager.default.temporaryDirectory.appending(path: "load-bench.\(UUID().uuidString)")
        try Data(content.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try LoadCatalogue.read(file: file.path).map(\.description)
    }

    @Test("a list has a film in each line, with blanks around it or without")
    func list() throws {
        let lines = [
            "# Films", "", "http://127.0.0.1:8080/a", " \thttp://127.0.0.1:8080/b \t\r", " ", "  # another", "",
        ]
        let content = lines.joined(separator: "\n")
        #expect(try Self.films(inFile: content) == ["http://127.0.0.1:8080/a", "http://127.0.0.1:8080/b"])
    }

    @Test("blanks within an address are a mistake in the list, with its line")
    func blanks() throws {
        let refusal = #expect(throws: LoadRefusal.self) {
            try Self.films(inFile: "http://127.0.0.1/a\nhttp://127.0.0.1/b c\n")
        }
        #expect(refusal?.description.contains(":2: not an address") == true)
        #expect(refusal?.code == .wrongUsage)
    }

    @Test(
        "a folder that is elsewhere without its slash is to be named with it",
        arguments: ["/film.mkv", "/film.mkv/"]
    )
    func redirectedListing(_ path: String) async throws {
        try await FaultyServer.with { _ in
            FaultyServer.Reply(
                head: "HTTP/1.1 308 Permanent Redirect\r\nLocation: /film.mkv/\r\nContent-Length: 0\r\n\r\n"
            )
        } _: { server in
            let folder = try #require(LoadTarget("http://127.0.0.1:\(server.port)\(path)"))
            let listed = try LoadServer(folder, allowsRemote: false)
            let refusal = await #expect(throws: LoadRefusal.self) { try await LoadCatalogue.list(folder, on: listed) }
            #expect(refusal?.description.contains("status 308") == true)
            #expect(refusal?.description.hasSuffix("add the slash at its end") == !path.hasSuffix("/"))
        }
    }

    @Test("what is no listing is refused", arguments: ["", "<html>", "[]", "{\"entries\": [{\"name\": 5}]}"])
    func noListing(_ text: String) throws {
        let folder = try #require(LoadTarget("http://127.0.0.1:8080/media/"))
        #expect(throws: LoadRefusal.self) { try LoadCatalogue.films(in: Array(text.utf8), of: folder) }
    }

    @Test(
        "a server of another machine is refused unless that is wanted",
        arguments: ["192.0.2.1", "[2001:db8::1]", "0.0.0.0"]
    )
    func remote(_ host: String) throws {
        let target = try #require(LoadTarget("http://\(host):8080/"))
        let refusal = #expect(throws: LoadRefusal.self) { try LoadServer(target, allowsRemote: false) }
        #expect(refusal?.code == .wrongUsage)
        #expect(refusal?.description.contains("--allow-remote") == true)
        #expect(throws: Never.self) { try LoadServer(target, allowsRemote: true) }
    }

    @Test("a server at an address of this machine's network interfaces is not")
    func interfaces() throws {
        let hosts = try System.enumerateDevices().compactMap(\.address?.ipAddress)
        #expect(!hosts.isEmpty)
        for host in hosts {
            let target = try #require(LoadTarget("http://\(host.contains(":") ? "[\(host)]" : host):8080/"))
            #expect(throws: Never.self) { try LoadServer(target, allowsRemote: false) }
        }
    }

    @Test("a server of this machine is not", arguments: ["127.0.0.1", "127.8.9.10", "[::1]", "localhost"])
    func local(_ host: String) throws {
        let target = try #require(LoadTarget("http://\(host):8080/"))
        #expect(try LoadServer(target, allowsRemote: false).address.port == 8080)
    }
}
