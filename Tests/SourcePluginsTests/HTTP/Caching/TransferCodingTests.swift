import NIOCore
import SourcePlugins
import Testing

@Suite("HTTP: transfer codings of answers", .timeLimit(.minutes(5)))
struct TransferCodingTests {
    @Test(
        "a body in a transfer coding that was not asked for is not passed on as if it were plain",
        arguments: ["gzip, chunked", "gzip", "gzip;q=1, chunked"]
    )
    func coded(_ coding: String) async throws {
        try await withHTTP(OriginScript { Self.reply(coding, to: $0) }) { http async throws in
            let error = try await sourceError { _ = try await http.forward() }
            #expect(error?.code == .unavailable)
            #expect(http.origin.requests.count == 1)
            #expect(try await http.forward("HEAD").head.status == 200)
        }
    }

    @Test(
        "chunks are taken off, and a body in none ends with its connection",
        arguments: [("chunked", true), ("Chunked", true), ("identity", false)]
    )
    func plain(coding: String, isDelimited: Bool) async throws {
        try await withHTTP(OriginScript { Self.reply(coding, to: $0) }) { http async throws in
            let response = try await http.forward()
            #expect(response.isDelimited == isDelimited)
            #expect(response.length == nil)
            #expect(try await text(response) == "hello")
        }
    }

    private static func reply(_ coding: String, to request: FaultyOrigin.Request) -> FaultyOrigin.Reply {
        let body = coding.lowercased().hasSuffix("chunked") ? "5\r\nhello\r\n0\r\n\r\n" : "hello"
        return FaultyOrigin.Reply(
            head: "HTTP/1.1 200 OK\r\nTransfer-Encoding: \(coding)\r\n\r\n",
            body: request.method == "HEAD" ? [] : [ByteBuffer(string: body)],
            ending: .close
        )
    }
}
