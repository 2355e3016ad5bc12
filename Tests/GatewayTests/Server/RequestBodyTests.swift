import Gateway
import NIOCore
import SourceContract
import Testing

@Suite("Bodies of requests", .timeLimit(.minutes(2)))
struct RequestBodyTests {
    private static func body(_ size: Int) -> [UInt8] { PatternBytes("body").bytes(0..<Int64(size)) }

    private static func post(_ path: String, _ body: [UInt8], fields: [String] = [], isChunked: Bool = false) -> [UInt8]
    {
        let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(body.count)"
        let head = (["POST \(path) HTTP/1.1", "Host: h", framing] + fields).joined(separator: "\r\n") + "\r\n\r\n"
        guard isChunked else { return Array(head.utf8) + body }
        var message = Array(head.utf8)
        for start in stride(from: 0, to: body.count, by: 50_000) {
            let chunk = body[start..<min(start + 50_000, body.count)]
            message += Array("\(String(chunk.count, radix: 16))\r\n".utf8) + chunk + Array("\r\n".utf8)
        }
        return message + Array("0\r\n\r\n".utf8)
    }

    private static let ping = Array("GET /ping HTTP/1.1\r\nHost: h\r\n\r\n".utf8)

    // MARK: - A client that closes its side

    @Test(
        "a body arrives whole though the client closes its side behind it",
        arguments: [1000, 20_000, 100_000, 1_000_000, 2_000_000, 6_000_000],
        [false, true]
    )
    func halfClosed(size: Int, isChunked: Bool) async throws {
        try await BodyServer.with { server in
            let client = try await server.client()
            let body = Self.body(size)
            async let sending: Void = {
                try await client.send(bytes: Self.post("/echo", body, isChunked: isChunked))
                try await client.closeOutput()
            }()
            let answer = try await client.answer()
            #expect(answer.status == 200)
            #expect(answer.body == body)
            #expect(try await client.untilClosed().isEmpty)
            try await sending
        }
    }

    @Test("a request behind a body is answered though the client has closed its side", arguments: ["/echo", "/upload"])
    func halfClosedBehindAnother(path: String) async throws {
        try await BodyServer.with { server in
            let client = try await server.client()
            let body = Self.body(100_000)
            try await client.send(bytes: Self.post(path, body) + Self.post(path, [1, 2]) + Self.ping)
            try await client.closeOutput()
            #expect(try await client.answer().body == body)
            #expect(try await client.answer().body == [1, 2])
            #expect(try await client.answer().text == "pong")
            #expect(try await client.untilClosed().isEmpty)
        }
    }

    @Test("a client that closes its side behind a body has not left: its answer may take a while")
    func notGone() async throws {
        let adjust: (inout ConnectionServices.Limits) -> Void = { $0.goneClient = .milliseconds(1) }
        try await BodyServer.with(limits: adjust) { server in
            let client = try await server.client()
            try await client.send(bytes: Self.post("/held", [1, 2, 3]))
            try await client.closeOutput()
            try await server.routes.gate.untilWaiting()
            try await server.pass(.milliseconds(100))
            server.routes.gate.open()
            let answer = try await client.answer()
            #expect(answer.body == [1, 2, 3])
            #expect(answer["Connection"] == "close")
        }
    }

    @Test(
        "a body that ends before its time is a bad request, and is not taken for a whole one",
        arguments: [false, true]
    )
    func truncated(isChunked: Bool) async throws {
        try await BodyServer.with { server in
            let client = try await server.client()
            try await client.send(
                bytes: Array(Self.post("/echo", Self.body(100_000), isChunked: isChunked).dropLast(4))
            )
            try await client.closeOutput()
            #expect(try await client.answer().status == 400)
            #expect(try await client.untilClosed().isEmpty)
            #expect(server.routes.readings.value.last == .failed(status: 400))
        }
    }

    // MARK: - What follows a body

    @Test("a body that was read leaves the connection to the next request")
    func keepAlive() async throws {
        try await BodyServer.with { server in
            let client = try await server.client()
            for (size, isChunked) in [(0, true), (1, false), (300_000, true), (300_000, false)] {
                try await client.send(bytes: Self.post("/echo", Self.body(size), isChunked: isChunked) + Self.ping)
                let answer = try await client.answer()
                #expect(answer.body == Self.body(size))
                #expect(answer["Connection"] == nil)
                #expect(try await client.answer().text == "pong")
            }
        }
    }

    @Test("an answer before the end of the body ends the connection, and the wait for more")
    func early() async throws {
        try await BodyServer.with { server in
            let client = try await server.client()
            try await client.send("POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
            let answer = try await client.answer()
            #expect(answer.text == "pong")
            #expect(answer["Connection"] == "close")
            #expect(try await client.untilClosed().isEmpty)
            #expect(try await server.routes.readings.until { $0.count > 1 } == [.part(3), .cancelled])
        }
    }

    @Test(
        "a request to upgrade is answered in HTTP/1.1 and ends the connection",
        arguments: ["/ping", "/echo", "/upload"],
        [0, 3]
    )
    func upgrade(path: String, size: Int) async throws {
        try await BodyServer.with { server in
            let client = try await server.client()
            let fields = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]
            try await client.send(bytes: Self.post(path, Self.body(size), fields: fields) + Self.ping)
            let answer = try await client.answer()
            #expect(answer.status == 200)
            #expect(answer["Connection"] == "close")
            #expect(try await client.untilClosed().isEmpty)
        }
    }

    // MARK: - Slow bodies

    @Test("a body that stops is given up, and so is one that drips")
    func slow() async throws {
        let adjust: (inout ConnectionServices.Limits) -> Void = { limits in
            limits.body = .milliseconds(500)
            limits.bodyPortion = 1000
        }
        try await BodyServer.with(limits: adjust) { server in
            let stopped = try await server.client()
            try await stopped.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
            #expect(try await stopped.answer().status == 408)
            #expect(try await server.routes.readings.until { $0.count > 1 } == [.part(3), .cancelled])

            let dripping = try await server.client()
            try await dripping.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n")
            for _ in 0..<50 where server.routes.readings.value.filter({ $0 == .cancelled }).count < 2 {
                try await dripping.send("a")
                try await server.pass(.milliseconds(100))
            }
            #expect(try await dripping.answer().status == 408)
            // Else it came whole.
            #expect(server.routes.readings.value.count < 20)
        }
    }

    @Test("each portion of a body has its time, and what came fast before does not count")
    func pace() {
        var limits = ConnectionServices.Limits()
        limits.body = .seconds(60)
        limits.bodyPortion = 1000
        var pace = BodyPace()
        #expect(pace.timeLeft(limits) == .seconds(60))
        pace.received(1, after: .seconds(59), limits)
        #expect(pace.timeLeft(limits) == .seconds(1))
        pace.received(1, after: .seconds(2), limits)
        #expect(pace.timeLeft(limits) == .zero)
        pace.received(998, after: .zero, limits)
        #expect(pace.timeLeft(limits) == .seconds(60))
        pace.received(1_000_000_000, after: .zero, limits)
        pace.received(999, after: .seconds(60), limits)
        #expect(pace.timeLeft(limits) == .zero)
    }

    // MARK: - Methods

    @Test(
        "a method that nobody knows is 501, a line that is no request line 400",
        arguments: [
            ("FOO /ping HTTP/1.1", 501), ("get /ping HTTP/1.1", 501), ("GETX /ping HTTP/1.0", 501),
            ("F@O /ping HTTP/1.1", 400), ("FOO  /ping HTTP/1.1", 400), ("FOO HTTP/1.1", 400), ("FOO /ping", 400),
            ("GET\t/ping HTTP/1.1", 400), ("FOO /ping HTTP/3.0", 505),
        ]
    )
    func unknownMethod(line: String, status: Int) async throws {
        try await BodyServer.with { server in
            for isFirst in [true, false] {
                let client = try await server.client()
                if !isFirst { #expect(try await client.request("/ping").status == 200) }
                try await client.send("\(line)\r\nHost: h\r\n\r\n")
                let answer = try await client.answer()
                #expect(answer.status == status)
                #expect(answer["Connection"] == "close")
                #expect(try await client.untilClosed().isEmpty)
            }
        }
    }

    @Test("a method that nobody knows is 501 behind a body, too")
    func unknownMethodBehindBody() async throws {
        try await BodyServer.with { server in
            let client = try await server.client()
            try await client.send(bytes: Self.post("/echo", [1]) + Array("FOO /ping HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
            #expect(try await client.answer().body == [1])
            #expect(try await client.answer().status == 501)
            #expect(try await client.untilClosed().isEmpty)
        }
    }
}
