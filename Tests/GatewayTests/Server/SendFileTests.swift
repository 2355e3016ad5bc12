import Gateway
import SourceContract
import SourcePlugins
import Testing

private let size: Int64 = 24 << 20
private let film = PatternBytes("film.mkv")

@Suite("Files sent by the kernel", .timeLimit(.minutes(2)))
struct SendFileTests {
    private func withGateway(
        size: Int64 = size,
        _ body: @Sendable (TestGateway, TemporaryDirectory) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            try directory.write("film.mkv", film, size: size)
            try await TestContext.with { context in
                let source = DiskSource(root: directory.path, sendsFiles: true, context: context.source)
                let object = try await source.open(try MediaPath(percentEncoded: "/film.mkv".utf8))
                // Else these tests would be of another way to send.
                #expect((object as? any FileBackedObject)?.maySendFile == true)
                try await TestGateway.with(source) { gateway in try await body(gateway, directory) }
            }
        }
    }

    @Test("ranges, whole files and what comes between them are exact and in order")
    func ranges() async throws {
        try await withGateway { gateway, _ in
            let client = try await gateway.client()
            for (first, last) in [(0, 0), (1, 4096), (4095, 4097), ((1 << 20) - 1, 1 << 20), (777, 5 << 20)]
                as [(Int64, Int64)]
            {
                let answer = try await client.request("/media/film.mkv", fields: ["Range: bytes=\(first)-\(last)"])
                #expect(answer.status == 206)
                #expect(answer.body == film.bytes(first..<last + 1))
                #expect(try await client.request("/ping").text == "pong")
            }
            let whole = try await client.request("/media/film.mkv")
            #expect(whole.body == film.bytes(0..<size))
        }
    }

    @Test("pipelined requests are answered in turn")
    func pipelined() async throws {
        try await withGateway { gateway, _ in
            let client = try await gateway.client()
            let one = { (range: String) in
                "GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\nRange: bytes=\(range)\r\n\r\n"
            }
            let ping = "GET /ping HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
            try await client.send(one("0-9999999") + ping + one("5-7") + ping + one("10000000-19999999"))
            #expect(try await client.answer().body == film.bytes(0..<10_000_000))
            #expect(try await client.answer().text == "pong")
            #expect(try await client.answer().body == film.bytes(5..<8))
            #expect(try await client.answer().text == "pong")
            #expect(try await client.answer().body == film.bytes(10_000_000..<20_000_000))
        }
    }

    @Test("a client that stops reading goes on where it was")
    func stopped() async throws {
        try await withGateway { gateway, _ in
            let client = try await gateway.client()
            try await client.setReading(false)
            try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            await gateway.untilCounted(#"requests_in_flight{plane="data",route="media"} 1"#)
            // Another client has its answers meanwhile.
            let other = try await gateway.client()
            #expect(
                try await other.request("/media/film.mkv", fields: ["Range: bytes=-3"]).body
                    == film.bytes(size - 3..<size)
            )
            try await client.setReading(true)
            #expect(try await client.answer().body == film.bytes(0..<size))
            #expect(try await client.request("/ping").text == "pong")
        }
    }

    @Test("a file that is changed while it is sent ends the connection before the announced length")
    func changed() async throws {
        try await withGateway(size: 64 << 20) { gateway, directory in
            let client = try await gateway.client()
            try await client.takeBeginning(of: "GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            try directory.overwrite("film.mkv", PatternBytes("film.mkv", generation: 1), (64 << 20) - 10..<64 << 20)
            try await client.setReading(true)
            let received = try await client.untilClosed()
            #expect(received.count < 64 << 20)
        }
    }

    @Test("a client that leaves in the middle is let go")
    func left() async throws {
        try await withGateway { gateway, _ in
            let client = try await gateway.client()
            try await client.takeBeginning(of: "GET /media/film.mkv HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
            try await client.close()
            await gateway.untilCounted(#"aborted_total{cause="client_gone",plane="data"} 1"#)
        }
    }
}
