import Config
import Foundation
import Gateway
import NIOCore
import SourceContract
import SourcePlugins
import Testing

@Suite(.timeLimit(.minutes(4))) struct ConnectionTests {
    private static func source(_ adjust: (SyntheticSource) throws -> Void = { _ in }) throws -> SyntheticSource {
        let source = SyntheticSource()
        try source.put("film.mkv", size: 3_000_000)
        try adjust(source)
        return source
    }

    private static let film = PatternBytes("film.mkv")

    // MARK: - Answers

    @Test("a range comes with its exact bytes, and the connection goes on", arguments: [false, true])
    func ranges(isRemote: Bool) async throws {
        let source = SyntheticSource(isRemote: isRemote)
        try source.put("film.mkv", size: 3_000_000)
        try await TestGateway.with(source) { gateway in
            let client = try await gateway.client()
            for (range, expected) in [
                ("bytes=0-0", 0..<1), ("bytes=1048575-1048576", 1_048_575..<1_048_577),
                ("bytes=-5", 2_999_995..<3_000_000),
                ("bytes=2999999-9223372036854775807", 2_999_999..<3_000_000),
                ("bytes=2999999-99999999999999999999", 2_999_999..<3_000_000),
                ("bytes=2999999-9999999", 2_999_999..<3_000_000), ("bytes=100000-1500000", 100_000..<1_500_001),
            ] as [(String, Range<Int64>)] {
                let answer = try await client.request("/media/film.mkv", fields: ["Range: \(range)"])
                #expect(answer.status == 206)
                #expect(
                    answer["Content-Range"] == "bytes \(expected.lowerBound)-\(expected.upperBound - 1)/3000000"
                )
                #expect(answer.body == Self.film.bytes(expected))
                #expect(answer["ETag"] == "\"g0-3000000\"")
                #expect(answer["Access-Control-Allow-Origin"] == "*")
                #expect(answer["Cache-Status"] == "test; fwd=bypass")
            }
            let whole = try await client.request("/media/film.mkv")
            #expect(whole.status == 200)
            #expect(whole.body == Self.film.bytes(0..<3_000_000))
        }
    }

    @Test("offsets around 2^53 come with their exact bytes")
    func beyondDoublePrecision() async throws {
        let size = (Int64(1) << 53) + 2
        let source = try Self.source { try $0.put("huge", size: size) }
        try await TestGateway.with(source) { gateway in
            let client = try await gateway.client()
            for offset in [(1 << 53) - 1, 1 << 53, (1 << 53) + 1, (1 << 32) - 1, 1 << 32, (1 << 32) + 1] as [Int64] {
                let answer = try await client.request("/media/huge", fields: ["Range: bytes=\(offset)-\(offset)"])
                #expect(answer.status == 206)
                #expect(answer["Content-Range"] == "bytes \(offset)-\(offset)/\(size)")
                #expect(answer.body == PatternBytes("huge").bytes(offset..<(offset + 1)))
            }
            let beyond = try await client.request("/media/huge", fields: ["Range: bytes=\(size)-"])
            #expect(beyond.status == 416)
            #expect(beyond["Content-Range"] == "bytes */\(size)")
        }
    }

    @Test("HEAD, 304, 412 and 416 read nothing")
    func withoutBytes() async throws {
        let source = try Self.source()
        try await TestGateway.with(source) { gateway in
            let client = try await gateway.client()
            // Once with an object that has to be opened, once with one that is known.
            for _ in 0..<2 {
                let head = try await client.request("/media/film.mkv", method: "HEAD", fields: ["Range: bytes=0-1"])
                #expect(head.status == 200)
                #expect(head["Content-Length"] == "3000000")
                let fresh = try await client.request("/media/film.mkv", fields: ["If-None-Match: \"g0-3000000\""])
                #expect(fresh.status == 304)
                #expect(fresh["ETag"] == "\"g0-3000000\"")
                #expect(fresh["Content-Length"] == nil)
                let other = try await client.request("/media/film.mkv", fields: ["If-Match: \"x\""])
                #expect(other.status == 412)
                let beyond = try await client.request("/media/film.mkv", fields: ["Range: bytes=3000000-"])
                #expect(beyond.status == 416)
                #expect(beyond["Content-Range"] == "bytes */3000000")
            }
            #expect(source.counts.value.reads == 0)
        }
    }

    @Test("an object of unknown size is chunked, or ends with the connection for HTTP/1.0")
    func unknownSize() async throws {
        let source = try Self.source { try $0.put("live", size: 200_000) { $0.announcesSize = false } }
        try await TestGateway.with(source) { gateway in
            let client = try await gateway.client()
            let chunked = try await client.request("/media/live", fields: ["Range: bytes=0-1"])
            #expect(chunked.status == 200)
            #expect(chunked["Transfer-Encoding"] == "chunked")
            #expect(chunked["Accept-Ranges"] == "none")
            #expect(chunked.body == PatternBytes("live").bytes(0..<200_000))
            let old = try await gateway.client()
            let plain = try await old.request("/media/live", version: "1.0")
            #expect(plain["Transfer-Encoding"] == nil)
            #expect(plain["Connection"] == "close")
            #expect(plain.body == PatternBytes("live").bytes(0..<200_000))
        }
    }

    @Test("HTTP/1.0 with keep-alive is told that it is kept")
    func oldKeepAlive() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            for _ in 0..<2 {
                let answer = try await client.request(
                    "/ping",
                    fields: ["Connection: Keep-Alive"],
                    version: "1.0"
                )
                #expect(answer["Connection"] == "keep-alive")
                #expect(answer.text == "pong")
            }
        }
    }

    // MARK: - Bad requests

    @Test(
        "a bad request gets its status, and nothing after it is looked at",
        arguments: [
            ("GET /ping HTTP/1.1\r\n\r\n", 400), ("GET /ping HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
            ("GET /ping HTTP/1.1\r\nHost: a/b?c@d\r\n\r\n", 400), ("GET /ping HTTP/1.1\r\nHost: u@h\r\n\r\n", 400),
            ("GET /ping HTTP/1.1\r\nHost: h:99999\r\n\r\n", 400), ("GET /ping HTTP/1.1\r\nHost: ::1\r\n\r\n", 400),
            ("GET /ping HTTP/1.1\r\nHost: \r\n\r\n", 400), ("GET /ping HTTP/1.1\r\nHost : h\r\n\r\n", 400),
            ("GET /ping HTTP/1.1\nHost: h\n\n", 400), ("GET /ping\r\n\r\n", 400), ("GET /ping\r\n", 400),
            ("GET /ping HTTP/1.2\r\nHost: h\r\n\r\n", 505), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
            ("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", 501), ("CONNECT h:1 HTTP/1.1\r\nHost: h:1\r\n\r\n", 501),
            ("POST /ping HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", 405),
            ("POST /ping HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 405),
            ("GET /ping HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", 400),
            ("GET /ping HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
            ("GET /ping HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", 400),
            ("GET /ping HTTP/1.1\r\nHost: h\r\nExpect: a miracle\r\n\r\n", 417),
            ("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400), ("GET http://[::1/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
            ("GET /ping HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
            ("GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400), ("garbage\r\n\r\n", 400), ("\u{16}\u{3}\u{1}\u{2}\r\n", 400),
            ("GET /\(String(repeating: "a", count: 9000)) HTTP/1.1\r\nHost: h\r\n\r\n", 414),
            ("GET / HTTP/1.1\r\nHost: h\r\nX: \(String(repeating: "a", count: 9000))\r\n\r\n", 431),
            ("GET / HTTP/1.1\r\nHost: h\r\n\((0..<101).map { "X\($0): y\r\n" }.joined())\r\n", 431),
        ]
    )
    func refused(bytes: String, status: Int) async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            try await client.send(bytes + "GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
            let answer = try await client.answer()
            #expect(answer.status == status)
            #expect(answer["Connection"] == "close")
            #expect(answer["Content-Type"] == "application/problem+json")
            #expect(try await client.untilClosed().isEmpty)
        }
    }

    @Test("an absolute target is served by its path, and its authority must be one")
    func absoluteForm() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            #expect(try await client.request("http://other.example:81/ping").text == "pong")
            #expect(try await client.request("/ping").text == "pong")
        }
    }

    @Test("an expected 100-continue without a body is answered like any other request")
    func expectContinue() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            #expect(try await client.request("/ping", fields: ["Expect: 100-continue"]).text == "pong")
        }
    }

    @Test("a preflight is told that ranges are allowed")
    func preflight() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            let answer = try await client.request(
                "/media/film.mkv",
                method: "OPTIONS",
                fields: ["Origin: http://page.example", "Access-Control-Request-Method: GET"]
            )
            #expect(answer.status == 204)
            #expect(answer["Access-Control-Allow-Headers"]?.contains("Range") == true)
            #expect(answer["Access-Control-Allow-Methods"]?.contains("GET") == true)
        }
    }

    // MARK: - One connection, several requests

    @Test("ten thousand requests sent ahead are answered in order, though nothing is read at first")
    func pipelined() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            try await client.setReading(false)
            // Not awaited whole: the gateway stops reading while its answers are not taken.
            let sending = Task {
                for index in 0..<10_000 {
                    try await client.send(
                        "GET /media/film.mkv HTTP/1.1\r\nHost: h\r\nRange: bytes=\(index)-\(index)\r\n\r\n"
                    )
                }
            }
            try await client.setReading(true)
            for index in 0..<10_000 as Range<Int64> {
                let answer = try await client.answer()
                #expect(answer.body == Self.film.bytes(index..<(index + 1)))
            }
            try await sending.value
        }
    }

    @Test("a client that closes its side after asking still gets everything it asked for")
    func halfClosed() async throws {
        try await TestGateway.with(Self.source()) { gateway in
            let client = try await gateway.client()
            let get = "GET /media/film.mkv HTTP/1.1\r\nHost: h\r\n\r\n"
            try await client.send(get + get + get)
            try await client.closeOutput()
            for _ in 0..<3 {
                #expect(try await client.answer().body == Self.film.bytes(0..<3_000_000))
            }
            #expect(try await client.untilClosed().isEmpty)
        }
    }

    @Test("requests answered at once are not forgotten when the client closes its side behind them")
    func halfClosedBehindSeveral() async throws {
        let gate = Gate()
        let source = try Self.source { try $0.update("film.mkv") { $0.stall = (1_000_000, gate) } }
        try await TestGateway.with(source) { gateway in
            let client = try await gateway.client()
            let ping = "GET /ping HTTP/1.1\r\nHost: h\r\n\r\n"
            try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: h\r\n\r\n" + ping + ping + ping)
            try await client.closeOutput()
            try await gate.untilWaiting()
            gate.open()
            #expect(try await client.answer().status == 200)
            for _ in 0..<3 { #expect(try await client.answer().text == "pong") }
            #expect(try await client.untilClosed().isEmpty)
        }
    }

    @Test("a busy connection has no end, and a head that came in two parts leaves no clock behind")
    func busy() async throws {
        var options = TestGateway.Options()
        options.limits.head = .seconds(5)
        options.limits.idle = .seconds(5)
        try await TestGateway.with(Self.source(), options) { gateway in
            let client = try await gateway.client()
            try await client.send("GET /pi")
            try await client.send("ng HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await client.answer().text == "pong")
            let end = ContinuousClock.now + .seconds(6)
            while ContinuousClock.now < end {
                #expect(try await client.request("/ping").text == "pong")
            }
        }
    }

    // MARK: - Failing sources

    @Test("a source that fails before its first byte gives an error, and the connection goes on")
    func failsAtFirst() async throws {
        let failures: [(SourceError.Code, Int)] = [
            (.badPath, 400), (.notFound, 404), (.forbidden, 403), (.notReady, 503), (.unavailable, 502),
            (.changed, 502), (.timedOut, 504), (.badReference, 400), (.refused, 422), (.busy, 409),
            (.overloaded, 503),
        ]
        let source = try Self.source {
            for (code, _) in failures {
                try $0.put("open-\(code)", size: 10) { $0.opening = .fails(SourceError(code, "no")) }
                try $0.put("read-\(code)", size: 10) { $0.failure = (0, SourceError(code, "no")) }
            }
        }
        try await TestGateway.with(source) { gateway in
            let client = try await gateway.client()
            for (code, status) in failures {
                #expect(try await client.request("/media/open-\(code)").status == status)
                #expect(try await client.request("/media/read-\(code)").status == status)
                #expect(try await client.request("/ping").text == "pong")
            }
        }
    }

    @Test("a source that fails in the middle cuts the connection: no short body looks whole")
    func failsLater() async throws {
        let source = try Self.source {
            try $0.update("film.mkv") { $0.failure = (1_000_000, SourceError(.unavailable, "disk gone")) }
            try $0.put("live", size: 1_000_000) {
                $0.announcesSize = false
                $0.failure = (500_000, SourceError(.unavailable, "disk gone"))
            }
        }
        try await TestGateway.with(source) { gateway in
            for path in ["/media/film.mkv", "/media/live"] {
                let client = try await gateway.client()
                try await client.send("GET \(path) HTTP/1.1\r\nHost: h\r\n\r\nGET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
                let rest = try await client.untilClosed()
                await #expect(throws: RawClient.IncompleteAnswer.self) { try await client.answer() }
                #expect(!String(decoding: rest.suffix(200), as: UTF8.self).contains("pong"))
            }
            await gateway.untilCounted(#"aborted_total{cause="failed",plane="data"} 2"#)
        }
    }

    @Test("a body that ends with the connection is reset, not closed, when it is cut")
    func cutWithoutLength() async throws {
        let source = try Self.source {
            try $0.put("live", size: 1_000_000) {
                $0.announcesSize = false
                $0.failure = (500_000, SourceError(.unavailable, "disk gone"))
            }
        }
        try await TestGateway.with(source) { gateway in
            let client = try await gateway.client()
            try await client.send("GET /media/live HTTP/1.0\r\n\r\n")
            try await client.untilClosed()
            #expect(client.wasReset)
        }
    }

    @Test("an object that changes before its first byte is opened again")
    func changedOnce() async throws {
        let gate = Gate()
        let source = try Self.source { try $0.update("film.mkv") { $0.stall = (0, gate) } }
        try await TestGateway.with(source) { gateway in
            let client = try await gateway.client()
            try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: h\r\n\r\n")
            try await gate.untilWaiting()
            try source.update("film.mkv") { $0.generation = 1 }
            gate.open()
            let answer = try await client.answer()
            #expect(answer.status == 200)
            #expect(answer["ETag"] == "\"g1-3000000\"")
            #expect(answer.body == PatternBytes("film.mkv", generation: 1).bytes(0..<3_000_000))
        }
    }

    @Test("a source that never answers is given up at the first-byte deadline, and the connection goes on")
    func firstByteDeadline() async throws {
        let source = try Self.source {
            try $0.put("open", size: 10) { $0.opening = .waits(Gate()) }
            try $0.put("read", size: 10) { $0.stall = (0, Gate()) }
        }
        try await TestGateway.with(source, .init(firstByteDeadline: .milliseconds(50))) { gateway in
            let client = try await gateway.client()
            #expect(try await client.request("/media/open").status == 504)
            #expect(try await client.request("/media/read").status == 504)
            #expect(try await client.request("/ping").text == "pong")
            try await source.untilIdle()
        }
    }

    @Test("a source that falls silent in the middle is given up, and the connection cut")
    func silentLater() async throws {
        let source = try Self.source { try $0.update("film.mkv") { $0.stall = (1_000_000, Gate()) } }
        try await TestGateway.with(source, .init(firstByteDeadline: .milliseconds(50))) { gateway in
            let client = try await gateway.client()
            try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(try await client.untilClosed().count < 1_010_000)
            try await source.untilIdle()
        }
    }

    // MARK: - Clients that leave or stop

    @Test("a client that leaves while the source is silent frees its work")
    func leavesWhileWaiting() async throws {
        let gate = Gate()
        let source = try Self.source {
            try $0.put("open", size: 10) { $0.opening = .waits(gate) }
            try $0.put("read", size: 10) { ($0.stall, $0.isLoaded) = ((0, gate), true) }
        }
        var options = TestGateway.Options()
        options.limits.goneClient = .milliseconds(20)
        try await TestGateway.with(source, options) { gateway in
            for path in ["/media/open", "/media/read"] {
                let client = try await gateway.client()
                try await client.send("GET \(path) HTTP/1.1\r\nHost: h\r\n\r\n")
                try await gate.untilWaiting()
                try await client.close()
            }
            await gateway.untilCounted(#"aborted_total{cause="client_gone",plane="data"} 2"#)
            try await source.untilIdle()
        }
    }

    @Test("a reader that stops costs one buffer, and is let go when it takes nothing for too long")
    func stalled() async throws {
        let source = try Self.source { try $0.put("big", size: 1 << 40) }
        var options = TestGateway.Options()
        options.limits.stall = .milliseconds(200)
        try await TestGateway.with(source, options) { gateway in
            let client = try await gateway.client()
            try await client.setReading(false)
            try await client.send("GET /media/big HTTP/1.1\r\nHost: h\r\n\r\n")
            _ = try await source.counts.until { $0.reads == 1 && $0.openObjects == 0 }
            // What the kernel holds on both sides, and little more.
            #expect(source.counts.value.bytes < 32 << 20)
            try await client.setReading(true)
            try await client.untilClosed()
            await gateway.untilCounted(#"aborted_total{cause="stalled",plane="data"} 1"#)
        }
    }

    @Test("a stream holds its lease to its end")
    func lease() async throws {
        let gate = Gate()
        let source = try Self.source {
            try $0.update("film.mkv") { ($0.stall, $0.isLoaded) = ((2_000_000, gate), true) }
        }
        try await TestGateway.with(source) { gateway in
            let client = try await gateway.client()
            try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: h\r\n\r\n")
            try await gate.untilWaiting()
            #expect(source.counts.value.leases == 1)
            gate.open()
            _ = try await client.answer()
            try await source.untilIdle()
        }
    }

    // MARK: - Time limits and room

    @Test("a head that does not arrive in time is refused")
    func slowHead() async throws {
        var options = TestGateway.Options()
        options.limits.head = .milliseconds(50)
        try await TestGateway.with(Self.source(), options) { gateway in
            // One for the scanner, one for llhttp.
            for part in ["GET /ping HTTP/1.1\r\nHo", "POST /ping HTTP/1.1\r\nHost: h\r\n"] {
                let client = try await gateway.client()
                try await client.send(part)
                #expect(try await client.answer().status == 408)
                try await client.untilClosed()
            }
        }
    }

    @Test("a connection without requests ends")
    func idle() async throws {
        var options = TestGateway.Options()
        options.limits.idle = .seconds(1)
        try await TestGateway.with(Self.source(), options) { gateway in
            let silent = try await gateway.client()
            try await silent.untilClosed()
            // One whose turn comes late is closed before it has asked for anything.
            var client = try await gateway.client()
            while (try? await client.request("/ping")) == nil { client = try await gateway.client() }
            #expect(try await client.untilClosed().isEmpty)
        }
    }

    @Test("more connections than allowed wait for room")
    func connectionLimit() async throws {
        try await TestGateway.with(Self.source(), .init(connectionLimit: 2)) { gateway in
            let (first, second) = (try await gateway.client(), try await gateway.client())
            _ = try await (first.request("/ping"), second.request("/ping"))
            let third = try await gateway.client()
            try await third.send("GET /ping HTTP/1.1\r\nHost: h\r\n\r\n")
            #expect(gateway.connections.openConnections == 2)
            try await first.close()
            #expect(try await third.answer().text == "pong")
        }
    }

    // MARK: - Stopping

    @Test("a stop ends idle connections at once and lets answers finish")
    func drain() async throws {
        let gate = Gate()
        let source = try Self.source { try $0.update("film.mkv") { $0.stall = (2_000_000, gate) } }
        try await TestGateway.with(source) { gateway in
            let (busy, idle) = (try await gateway.client(), try await gateway.client())
            _ = try await idle.request("/ping")
            try await busy.send("GET /media/film.mkv HTTP/1.1\r\nHost: h\r\n\r\n")
            try await gate.untilWaiting()
            await gateway.stop()
            try await idle.untilClosed()
            gate.open()
            #expect(try await busy.answer().body == Self.film.bytes(0..<3_000_000))
            #expect(try await busy.untilClosed().isEmpty)
            await #expect(throws: (any Error).self) { _ = try await gateway.client() }
        }
    }

    @Test("a stop has an end: answers under way are cut at the drain deadline")
    func drainDeadline() async throws {
        let source = try Self.source { try $0.update("film.mkv") { $0.stall = (2_000_000, Gate()) } }
        try await TestGateway.with(source, .init(drainDeadline: .milliseconds(50))) { gateway in
            let client = try await gateway.client()
            try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: h\r\n\r\n")
            try await client.untilReceived(1_000_000)
            await gateway.stop()
            try await client.untilClosed()
            try await source.untilIdle()
            await gateway.untilCounted(#"aborted_total{cause="drained",plane="data"} 1"#)
        }
    }

    @Test("a second request to stop cuts answers at once")
    func hurriedDrain() async throws {
        let source = try Self.source { try $0.update("film.mkv") { $0.stall = (2_000_000, Gate()) } }
        try await TestGateway.with(source, .init(drainDeadline: .seconds(3600))) { gateway in
            let client = try await gateway.client()
            try await client.send("GET /media/film.mkv HTTP/1.1\r\nHost: h\r\n\r\n")
            try await client.untilReceived(1_000_000)
            await gateway.stop()
            gateway.hurry()
            try await client.untilClosed()
        }
    }

    // MARK: - Addresses

    @Test("the client's address is a proxy's word only if the proxy is trusted")
    func forwardedFor() async throws {
        for (trusted, expected) in [(["127.0.0.0/8"], "192.0.2.7"), ([], "127.0.0.1")] {
            try await withTemporaryDirectory { directory in
                let path = directory.path("access.log")
                let writer = try LineWriter(to: .file(path))
                var options = TestGateway.Options()
                options.trustedProxies = trusted.compactMap { AddressRange($0) }
                options.accessLog = AccessLog(writer: writer, format: .json)
                try await TestGateway.with(Self.source(), options) { gateway in
                    let client = try await gateway.client()
                    _ = try await client.request("/ping", fields: ["X-Forwarded-For: 198.51.100.1, 192.0.2.7"])
                }
                writer.close(within: .seconds(5))
                let log = try String(contentsOfFile: path, encoding: .utf8)
                #expect(log.contains("\"client\":\"\(expected)\""))
            }
        }
    }
}
