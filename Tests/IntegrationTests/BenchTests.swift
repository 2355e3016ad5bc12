import Foundation
import Testing

@Suite(.timeLimit(.minutes(1))) struct BenchTests {
    @Test("bench refuses a server of another machine, and says how to have it all the same")
    func remote() async throws {
        for arguments in [["ping", "http://192.0.2.1/"], ["players", "--listing", "http://192.0.2.1/media/"]] {
            let ended = try await Program.run(["bench"] + arguments)
            #expect(ended.status == 64)
            #expect(ended.errors.hasPrefix("media-gateway: 192.0.2.1:80 is not this machine; "))
            #expect(ended.errors.hasSuffix("--allow-remote\n"))
        }
    }

    @Test(
        "bench says what is wrong with its arguments, and exits with 64",
        arguments: [
            (["ping", "https://127.0.0.1/"], "<url>"), (["ping", "http://127.0.0.1:1/", "--stages", "5"], "--stages"),
            (["ping", "http://127.0.0.1:1/", "--stages", "0:1s,2000:1s"], "--limit"),
            (["ping", "http://127.0.0.1:1/", "--rate", "fast"], "--rate"), (["players"], "--listing"),
            (["ping", "http://127.0.0.1:1/", "--duration", "0s"], "--duration"),
            (["players", "http://127.0.0.1:1/", "--bit-rate", "0Mbit/s"], "--bit-rate"),
            (["players", "http://127.0.0.1:1/", "http://127.0.0.1:2/"], "--against"),
            (["range", "http://127.0.0.1:1/", "--compare", "x", "--no-compare"], "--no-compare"),
            (["players", "http://127.0.0.1:1/a", "http://127.0.0.1:1/b", "--compare", #filePath], "--compare"),
        ]
    )
    func usage(_ arguments: [String], _ named: String) async throws {
        let ended = try await Program.run(["bench"] + arguments)
        #expect(ended.status == 64)
        #expect(ended.errors.contains(named))
    }

    @Test(
        "bench says what a value should look like that it does not understand",
        arguments: [
            ("--rate", "fast", "54/s"), ("--duration", "30", "30s"), ("--stages", "5", "0:10s,20:30s"),
            ("--against", "127.0.0.1", "http://127.0.0.1:8081"),
        ]
    )
    func expectedForm(_ option: String, _ value: String, _ expected: String) async throws {
        let ended = try await Program.run(["bench", "ping", "http://127.0.0.1:1/", option, value])
        #expect(ended.status == 64)
        #expect(ended.errors.contains("'\(value)' is invalid for '\(option)"))
        #expect(ended.errors.contains(expected))
    }

    @Test(
        "bench that is interrupted tells what it has measured, and exits with 128 and the signal's number",
        arguments: [SIGINT, SIGTERM, SIGHUP]
    )
    func interrupted(by signal: Int32) async throws {
        // A server that interrupts who asks it for the second time.
        let script = """
            import socket, subprocess, sys
            socket.setdefaulttimeout(30)
            with socket.create_server(("127.0.0.1", 0)) as server:
                url = f"http://127.0.0.1:{server.getsockname()[1]}/"
                bench = subprocess.Popen([sys.argv[1], "bench", "ping", url, "--connections", "1", "--duration", "1h"])
                try:
                    client, _ = server.accept()
                    client.recv(4096)
                    client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\npong")
                    client.recv(4096)
                    bench.send_signal(int(sys.argv[2]))
                    sys.exit(bench.wait(30))
                finally:
                    bench.kill()
            """
        let ended = try await Program.run(
            ["python3", "-c", script, Program.gateway, "\(signal)"],
            program: "/usr/bin/env"
        )
        #expect(ended.status == 128 + signal)
        #expect(ended.output.contains(", interrupted\n"))
        #expect(ended.output.contains(#/requests +1\n/#))
    }

    @Test("bench finds that a gateway is right, and exits with 0")
    func right() async throws {
        var files = Folder.configuration
        files["media/film.mkv"] = (0..<50_000).map { "line \($0)\n" }.joined()
        let folder = try Folder(files)
        let directory = folder.url
        try await Program.serving(in: directory) { address in
            let film = "\(address)/media/film.mkv"
            let loads = [
                (["ping", "\(address)/ping", "--rate", "50/s"], "due and not sent"),
                (["players", "--listing", "\(address)/media/", "--players", "2"], film),
                (["players", film, "--players", "1", "--compare", "media"], " 100.0 %\n"),
                (["range", film, "--length", "64KiB", "--compare", "media/film.mkv"], " 100.0 %\n"),
                (["range", film, "--length", "64KiB", "--against", address, "--rounds", "2"], "  ratio\n"),
            ]
            for (arguments, expected) in loads {
                let ended = try await Program.run(["bench"] + arguments + ["--duration", "1s"], in: directory)
                #expect(ended.status == 0, "\(ended.output)\(ended.errors)")
                #expect(ended.output.contains(expected))
            }
        }
    }

    @Test("bench finds that a film is not the one of --compare, and exits with 1")
    func wrong() async throws {
        var files = Folder.configuration
        let film = String(repeating: "x", count: 200_000)
        files["media/film.mkv"] = film
        files["others/film.mkv"] = String(film.dropLast()) + "y"
        let folder = try Folder(files)
        let directory = folder.url
        try await Program.serving(in: directory) { address in
            let ended = try await Program.run(
                ["bench", "range", "\(address)/media/film.mkv", "--length", "1MiB", "--compare", "others"]
                    + ["--duration", "1s"],
                in: directory
            )
            #expect(ended.status == 1)
            #expect(ended.output.contains(" × wrong bytes, first: bytes=0-199999 of /media/film.mkv: other bytes"))
        }
    }

    @Test("bench does not begin a load whose report cannot be written")
    func reportFolder() async throws {
        let folder = try Folder([:])
        try FileManager.default.createDirectory(at: folder.url, withIntermediateDirectories: true)
        for option in ["--json", "--html"] {
            let ended = try await Program.run(
                ["bench", "ping", "http://127.0.0.1:1/", "--duration", "24h", option, "nowhere/load"],
                in: folder.url
            )
            #expect(ended.status == 1)
            #expect(ended.output == "")
            #expect(ended.errors.hasPrefix("media-gateway: cannot write nowhere/load: "))
        }
    }

    @Test("a report that cannot be written does not keep the other one from its file")
    func fullDevice() async throws {
        let folder = try Folder(["load.html": String(repeating: "x", count: 1_000_000)])
        let ended = try await Program.run(
            [
                "bench", "ping", "http://127.0.0.1:1/", "--duration", "200ms", "--connections", "1", "--json",
                "/dev/full",
                "--html", "load.html",
            ],
            in: folder.url
        )
        #expect(ended.status == 1)
        #expect(ended.errors == "media-gateway: cannot write /dev/full\n")
        let page = try String(contentsOf: folder.url.appending(path: "load.html"), encoding: .utf8)
        #expect(page.hasPrefix("<!DOCTYPE html>\n"))
        #expect(page.hasSuffix("</html>\n"))
    }

    @Test("no report has the secrets of an address")
    func secrets() async throws {
        let folder = try Folder([:])
        try FileManager.default.createDirectory(at: folder.url, withIntermediateDirectories: true)
        let ended = try await Program.run(
            [
                "bench", "players", "http://127.0.0.1:1/film.mkv?token=hunter2", "--duration", "200ms", "--players",
                "1",
                "--json", "load.json", "--html", "load.html",
            ],
            in: folder.url
        )
        #expect(ended.status == 1)
        let json = try String(contentsOf: folder.url.appending(path: "load.json"), encoding: .utf8)
        let page = try String(contentsOf: folder.url.appending(path: "load.html"), encoding: .utf8)
        for text in [ended.output, json, page] {
            #expect(text.contains("bytes=0- of /film.mkv?token=redacted: nobody listens there"))
            #expect(text.contains("http://127.0.0.1:1/film.mkv?token=redacted"))
            #expect(!text.contains("hunter2"))
        }
        #expect(!ended.errors.contains("hunter2"))
    }

    @Test("bench counts a connection that is refused, writes its reports, and exits with 1")
    func refused() async throws {
        let folder = try Folder([:])
        try FileManager.default.createDirectory(at: folder.url, withIntermediateDirectories: true)
        let ended = try await Program.run(
            [
                "bench", "ping", "http://127.0.0.1:1/", "--duration", "200ms", "--connections", "1", "--seed", "5",
                "--json", "load.json", "--html", "load.html",
            ],
            in: folder.url
        )
        #expect(ended.status == 1)
        #expect(ended.output.hasPrefix("ping, 1 for 200ms, seed 5\n"))
        #expect(ended.output.contains(" × refused, first: nobody listens there\n"))
        let json = try String(contentsOf: folder.url.appending(path: "load.json"), encoding: .utf8)
        #expect(json.contains("\"kind\" : \"refused\""))
        let page = try String(contentsOf: folder.url.appending(path: "load.html"), encoding: .utf8)
        #expect(page.hasPrefix("<!DOCTYPE html>\n"))
    }
}
