import Gateway
import NIOCore
import NIOEmbedded
import NIOHTTP1
import SourceContract
import Testing

@Suite struct HeadScannerTests {
    private static func scan(_ text: String) -> HeadScanner.Outcome {
        var scanner = HeadScanner()
        return scanner.scan(ByteBuffer(string: text))
    }

    private static func head(_ text: String) -> RequestHead? {
        if case .head(let head, let length) = scan(text), length == text.utf8.count { head } else { nil }
    }

    @Test("a player's head is read from the bytes")
    func plain() throws {
        let head = try #require(
            Self.head(
                "GET /media/a%20b.mkv?download HTTP/1.1\r\nHost: example:8080\r\nRange:bytes=0-\t \r\n"
                    + "If-Range: \"x\"\r\nUser-Agent:  Lavf \r\nX-Other: y\r\n\r\n"
            )
        )
        #expect(head.method == .get)
        #expect(head.target == "/media/a%20b.mkv?download")
        #expect(head.minorVersion == 1)
        #expect(head.fields[.host] == "example:8080")
        #expect(head.fields[.range] == "bytes=0-")
        #expect(head.fields[.ifRange] == "\"x\"")
        #expect(head.fields[.userAgent] == "Lavf")
        #expect(head.isKeepAlive)
    }

    @Test(
        "the connection goes on as RFC 9112 says",
        arguments: [
            ("1.1", nil, true), ("1.1", "close", false), ("1.1", "Close", false), ("1.1", "TE, close", false),
            ("1.1", "close, TE", false), ("1.1", "keep-alive", true), ("1.1", "closed", true), ("1.0", nil, false),
            ("1.0", "Keep-Alive", true), ("1.0", "close", false), ("1.0", "keep-alive, close", false),
        ] as [(String, String?, Bool)]
    )
    func keepAlive(version: String, connection: String?, expected: Bool) throws {
        let field = connection.map { "Connection: \($0)\r\n" } ?? ""
        let head = try #require(Self.head("GET / HTTP/\(version)\r\nHost: h\r\n\(field)\r\n"))
        #expect(head.isKeepAlive == expected)
    }

    @Test("fields of one name are one list, and hosts are counted")
    func repeated() throws {
        let head = try #require(
            Self.head("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\nConnection: TE\r\nConnection: close\r\n\r\n")
        )
        #expect(head.fields.hostCount == 2)
        #expect(head.fields[.connection] == "TE, close")
        #expect(!head.isKeepAlive)
    }

    @Test(
        "what is rare or malformed is left to llhttp",
        arguments: [
            "POST / HTTP/1.1\r\nHost: h\r\n\r\n", "get / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.2\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n", "GET /\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n", "GET /a b HTTP/1.1\r\n\r\n",
            "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET /#f HTTP/1.1\r\nHost: h\r\n\r\n", "GET /\u{e9} HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost : h\r\n\r\n", "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\n folded\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\u{0}b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost\r\n\r\n", "GET / HTTP/1.1\r\n: x\r\n\r\n", "GET / HTTP/1.1\nHost: h\n\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: h\r\nA: b\nC: d\r\n\r\n", "GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n", "GET / HTTP/1.1\r\nExpect: 100-continue\r\n\r\n",
            "\r\nGET / HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n",
        ]
    )
    func unusual(text: String) {
        let outcome = Self.scan(text)
        guard case .unusual = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }

    @Test("a head that is not complete is waited for, at every byte")
    func incomplete() throws {
        let text = "GET /media/film.mp4 HTTP/1.1\r\nHost: h\r\nRange: bytes=0-\r\n\r\n"
        var scanner = HeadScanner()
        var buffer = ByteBuffer()
        for byte in text.utf8.dropLast() {
            buffer.writeInteger(byte)
            guard case .needMoreBytes = scanner.scan(buffer) else {
                Issue.record("not waited for after \(buffer.readableBytes) bytes")
                return
            }
        }
        buffer.writeInteger(UInt8(ascii: "\n"))
        guard case .head(let head, let length) = scanner.scan(buffer) else {
            Issue.record("not read when complete")
            return
        }
        #expect(length == text.utf8.count)
        #expect(head.fields[.range] == "bytes=0-")
    }

    @Test("what follows the head is left alone")
    func following() {
        guard case .head(_, let length) = Self.scan("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\n") else {
            Issue.record("no head")
            return
        }
        #expect(length == 28)
    }

    @Test("a head over the limits is refused, complete or not")
    func limits() {
        let long = String(repeating: "a", count: 9000)
        let fields = (0..<101).map { "X-\($0): y\r\n" }.joined()
        let big = (0..<6).map { "X-\($0): \(String(repeating: "y", count: 7000))\r\n" }.joined()
        func isTooLong(_ text: String, _ expected: HeadScanner.TooLong) -> Bool {
            if case .tooLong(let what) = Self.scan(text) { what == expected } else { false }
        }
        #expect(isTooLong("GET /\(long) HTTP/1.1\r\nHost: h\r\n\r\n", .target))
        #expect(isTooLong("GET /\(long)", .target))
        #expect(isTooLong("GET / HTTP/1.1\r\nX: \(long)\r\n\r\n", .fields))
        #expect(isTooLong("GET / HTTP/1.1\r\n\(fields)\r\n", .fields))
        #expect(isTooLong("GET / HTTP/1.1\r\n\(big)\r\n", .fields))
        #expect(isTooLong("GET / HTTP/1.1\r\n\(big)", .fields))
    }

    @Test("what the scanner accepts, llhttp reads the same", arguments: [UInt64(1), 2, 3, 4])
    func agreesWithLLHTTP(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let pieces = [
            "GET ", "HEAD ", "OPTIONS ", "POST ", "/", "/a", "?q=1", "%20", " HTTP/1.1", " HTTP/1.0", "\r\n", "\n",
            "\r",
            "Host: h", "Range: bytes=0-", "Connection: close", "Content-Length: 3", "Transfer-Encoding: chunked",
            "X:y", ": ", ":", " ", "\t", "Expect: 100-continue", "é", "\u{0}", "#", "\\", "|", "*", "http://h/",
        ]
        var accepted = 0
        for _ in 0..<20_000 {
            // Mostly well-formed, with something odd put in.
            var parts = ["GET ", "/a", " HTTP/1.1", "\r\n", "Host: h", "\r\n", "X: y", "\r\n", "\r\n"]
            for _ in 0..<(random.next() % 3) {
                let piece = pieces[Int(random.next() % UInt64(pieces.count))]
                let place = Int(random.next() % UInt64(parts.count))
                if random.next() % 2 == 0 { parts.insert(piece, at: place) } else { parts[place] = piece }
            }
            let text = parts.joined()
            guard case .head(let head, let length) = Self.scan(text) else { continue }
            accepted += 1
            let decoded = try #require(try Self.decode(Array(text.utf8.prefix(length))), "\(text.debugDescription)")
            #expect(decoded.method == head.method, "\(text.debugDescription)")
            #expect(decoded.target == head.target)
            #expect(decoded.minorVersion == head.minorVersion)
            #expect(decoded.fields.hostCount == head.fields.hostCount)
            for field in KnownField.allCases {
                #expect(decoded.fields[field] == head.fields[field], "\(text.debugDescription)")
            }
        }
        #expect(accepted > 1000)
    }

    private static func decode(_ bytes: [UInt8]) throws -> RequestHead? {
        let channel = EmbeddedChannel(handler: ByteToMessageHandler(HTTPRequestDecoder()))
        defer { _ = try? channel.finish() }
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        guard case .head(let head) = try channel.readInbound(as: HTTPServerRequestPart.self) else { return nil }
        return RequestHead(head)
    }
}
