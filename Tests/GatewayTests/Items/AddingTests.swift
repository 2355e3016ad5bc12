import Foundation
import Gateway
import NIOCore
import NIOPosix
import SourceContract
import SourcePlugins
import Testing

@Suite(.timeLimit(.minutes(1))) struct AddingTests {
    private static let form = "application/x-www-form-urlencoded"

    @Test(
        "an item is brought in by whatever names it, and told where it is",
        arguments: [
            ("text/plain", "MAGNET"), ("text/plain; charset=utf-8", " \tMAGNET\r\n"), ("text/plain", "HASH"),
            ("application/json", #"{"uri": "MAGNET"}"#), ("Application/JSON", #"{"uri":"HASH","more":1}"#),
            (form, "magnet=ENCODED"), (form, "x=1&uri=ENCODED"), (form, "MAGNET"), (form, "HASH"),
            ("application/x-bittorrent", "d4:hash40:HASHe"), ("application/octet-stream", "d4:hash40:HASHe"),
            (form, "d4:hash40:HASHe"), (nil, "MAGNET"),
        ] as [(String?, String)]
    )
    func add(type: String?, body: String) async throws {
        try await ItemsUnderTest.with { items, gateway in
            let body = body.replacing("MAGNET", with: items.magnetOfB).replacing("HASH", with: items.b)
                .replacing("ENCODED", with: percentEncodedSegment(items.magnetOfB))
            let client = try await gateway.client()
            for status in [201, 200] {
                let answer = try await client.post("/torrent/", type: type, body)
                #expect(answer.status == status)
                #expect(answer["Location"] == "/torrent/\(items.b)/")
                let item = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
                #expect(item?["hash"] as? String == items.b)
                #expect((item?["files"] as? [Any])?.count == 2)
            }
            #expect(items.source.counts.value.asked == 1)
        }
    }

    @Test(
        "a body that names nothing says what it should be",
        arguments: [
            ("text/plain", "", 400), ("text/plain", "hello", 400), ("application/json", "{}", 400),
            ("application/json", "[", 400), (form, "magnet=", 400), (form, "magnet=%zz", 400),
            ("application/x-bittorrent", "d3:fooe", 400), ("application/x-bittorrent", "", 400), (nil, "", 400),
            ("text/html", "x", 415), ("multipart/form-data; boundary=x", "x", 415),
        ] as [(String?, String, Int)]
    )
    func unclear(type: String?, body: String, status: Int) async throws {
        try await ItemsUnderTest.with { items, gateway in
            let answer = try await gateway.client().post("/torrent/", type: type, body)
            #expect(answer.status == status)
            #expect(answer["Content-Type"] == ProblemDetails.mediaType)
            #expect(items.source.counts.value.resolves == 0)
        }
    }

    @Test("fifty who bring in one item at once get the same answer, and the world is asked once")
    func together() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let door = Gate()
            items.source.update(items.idOfB) { $0.answer = .waits(door) }
            let answers = try await withThrowingTaskGroup(of: RawClient.Answer.self) { tasks in
                for _ in 0..<50 {
                    tasks.addTask {
                        try await gateway.client().post("/torrent/", type: "text/plain", items.magnetOfB)
                    }
                }
                try await items.source.counts.until { $0.resolves == 50 }
                door.open()
                return try await tasks.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.map(\.status) == [Int](repeating: 201, count: 50))
            #expect(Set(answers.map(\.body)).count == 1)
            #expect(Set(answers.map { $0["Location"] }) == ["/torrent/\(items.b)/"])
            #expect(items.source.counts.value.asked == 1)
        }
    }

    @Test("a body may be long, come in chunks, and be announced first")
    func bodies() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            let long = "d4:hash40:\(items.b)" + String(repeating: "x", count: AddedItem.bodyLimit - 60) + "e"
            #expect(try await client.post("/torrent/", type: "application/x-bittorrent", long).status == 201)
            let head = "POST /torrent/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
            try await client.send(head + "Transfer-Encoding: chunked\r\n\r\n")
            for byte in items.b { try await client.send("1\r\n\(byte)\r\n") }
            try await client.send("0\r\n\r\nGET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await client.answer().status == 200)
            #expect(try await client.answer().text == "pong")
            try await client.send(head + "Expect: 100-continue\r\nContent-Length: 40\r\n\r\n")
            try await client.untilReceived(25)
            try await client.send(items.b + head + "Content-Length: 40\r\n\r\n" + items.b)
            #expect(try await client.answer(isHead: true).status == 100)
            #expect(try await client.answer().status == 200)
            #expect(try await client.answer().status == 200)
        }
    }

    @Test("a body that is too long is refused, announced or not, and ends the connection")
    func tooLong() async throws {
        try await ItemsUnderTest.with { _, gateway in
            let head = "POST /torrent/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
            let announced = try await gateway.client()
            try await announced.send(head + "Content-Length: \(AddedItem.bodyLimit + 1)\r\n\r\n")
            #expect(try await announced.answer().status == 413)
            let chunked = try await gateway.client()
            try await chunked.send(head + "Transfer-Encoding: chunked\r\n\r\n")
            let chunk = "100000\r\n" + String(repeating: "x", count: 1 << 20) + "\r\n"
            for _ in 0..<11 { try? await chunked.send(chunk) }
            #expect(try await chunked.answer().status == 413)
            try await chunked.untilClosed()
        }
    }

    @Test("a body that does not come is 408")
    func slowBody() async throws {
        try await ItemsUnderTest.with {
            $0.limits.body = .milliseconds(50)
        } _: { _, gateway in
            let client = try await gateway.client()
            try await client.send("POST /torrent/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
            #expect(try await client.answer().status == 408)
            try await client.untilClosed()
        }
    }

    @Test("nothing but the mount of a source of items takes a body")
    func methods() async throws {
        try await ItemsUnderTest.with { items, gateway in
            for (method, path) in [
                ("POST", "/"), ("POST", "/torrent/\(items.a)/"), ("POST", "/torrent/play"), ("PUT", "/torrent/"),
                ("DELETE", "/torrent/\(items.a)/"), ("DELETE", "/torrent/"), ("POST", "/metadata/\(items.a)"),
            ] {
                let answer = try await gateway.client().local(path, method: method, body: [1])
                #expect(answer.status == 405, "\(method) \(path)")
                #expect(answer["Allow"]?.contains("GET") == true)
            }
            let preflight = try await gateway.client()
                .local("/torrent/", method: "OPTIONS", ["Access-Control-Request-Method: POST"])
            #expect(preflight["Access-Control-Allow-Methods"]?.contains("POST") == true)
            #expect(preflight["Access-Control-Allow-Headers"]?.contains("Content-Type") == true)
        }
    }

    @Test(
        "play leads to the largest video, or to the file asked for",
        arguments: [
            ("xt=urn:btih:@&dn=x%20y&tr=http%3A%2F%2Ft", "Show/two.mkv"), ("xt=urn:btih:@&file=0", "Show/one.mkv"),
            ("file=4&xt=urn:btih:@", "Show/readme.txt"), ("magnet=@", "Show/two.mkv"),
            ("magnet=magnet%3A%3Fxt%3Durn%3Abtih%3A@%26dn%3Da%2Bb+c&file=3", "Show/extra/one.mkv"),
            ("magnet=++@+", "Show/two.mkv"), ("dn=x&xt.1=urn:btih:@", "Show/two.mkv"),
        ]
    )
    func play(query: String, path: String) async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            let answer = try await client.local("/torrent/play?\(query.replacing("@", with: items.a))")
            #expect(answer.status == 303)
            #expect(answer["Location"] == "/torrent/\(items.a)/\(path)")
            #expect(answer["Cache-Control"] == "no-store")
        }
    }

    @Test("a browser is led to the player's page, and to the item where there is nothing to play")
    func playInBrowser() async throws {
        try await ItemsUnderTest.with { items, gateway in
            try items.source.put("d", [("readme.txt", 10)])
            try items.source.put("e", [("a.mp3", 10), ("b.flac", 20), ("x.iso", 30)])
            let client = try await gateway.client()
            let html = ["Accept: text/html,*/*;q=0.8"]
            let film = try await client.local("/torrent/play?magnet=\(items.a)", html)
            #expect(film["Location"] == "/torrent/\(items.a)/Show/two.mkv?play")
            let text = try await client.local("/torrent/play?magnet=\(items.a)&file=4", html)
            #expect(text["Location"] == "/torrent/\(items.a)/Show/readme.txt")
            let hash = String(repeating: "d", count: 40)
            #expect(try await client.local("/torrent/play?magnet=\(hash)")["Location"] == "/torrent/\(hash)/")
            let music = String(repeating: "e", count: 40)
            #expect(try await client.local("/torrent/play?magnet=\(music)")["Location"] == "/torrent/\(music)/b.flac")
        }
    }

    @Test(
        "play that names nothing, or no file of it, says so",
        arguments: [
            ("", 400), ("xt=urn:btih:x", 400), ("magnet=", 400), ("magnet=%zz", 400), ("dn=a", 400),
            ("magnet=A&file=5", 404), ("magnet=A&file=-1", 400), ("magnet=A&file=x", 400), ("magnet=A&file=", 400),
            ("magnet=A&file=99999999999999999999", 400),
        ]
    )
    func unclearPlay(query: String, status: Int) async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            let answer = try await client.local("/torrent/play?\(query.replacing("A", with: items.a))")
            #expect(answer.status == status)
            #expect(answer["Content-Type"] == ProblemDetails.mediaType)
        }
    }

    @Test("by the address of a file that is not known yet, it is found and sent")
    func direct() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            let answer = try await client.local("/torrent/\(items.b)/film.mp4", ["Range: bytes=10-19"])
            #expect(answer.status == 206)
            #expect(answer.body == PatternBytes("\(items.b)/film.mp4").bytes(10..<20))
            #expect(items.source.counts.value.asked == 1)
            #expect(try await client.local("/torrent/\(items.none)/film.mp4").status == 504)
            #expect(try await client.local("/torrent/nothing/film.mp4").status == 404)
        }
    }

    @Test("the command line has a gateway bring in a magnet link or a file, and gets the address of the video")
    func commandLine() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let remote = RemoteItems(address: .tcp(host: "127.0.0.1", port: gateway.port), mount: "/torrent/")
            func add(_ body: @escaping @Sendable () throws -> String) async throws -> String {
                try await NIOThreadPool.singleton.runIfActive(body)
            }
            let known = try await add { try remote.add(items.magnetOfA) }
            #expect(known == "/torrent/\(items.a)/Show/two.mkv")
            let file = Array("d4:hash40:\(items.b)e".utf8)
            let new = try await add { try remote.add(file: file) }
            #expect(new == "/torrent/\(items.b)/film.mp4")
            let refused = await #expect(throws: RemoteItemsError.self) { try await add { try remote.add("nothing") } }
            #expect(refused?.code == .refused)
            #expect(refused?.description.contains("names no item") == true)
        }
        let nobody = RemoteItems(address: .tcp(host: "127.0.0.1", port: 1), mount: "/torrent/")
        let failure = #expect(throws: RemoteItemsError.self) { try nobody.add("x") }
        #expect(failure?.code == .unavailable)
    }
}
