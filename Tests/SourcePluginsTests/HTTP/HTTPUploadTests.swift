import NIOCore
import SourceContract
import SourcePlugins
import Testing

@Suite("HTTP: requests with a body", .timeLimit(.minutes(5)))
struct HTTPUploadTests {
    @Test("a body comes to the origin as it is, with its length or in chunks", arguments: [true, false])
    func body(_ hasLength: Bool) async throws {
        let content = PatternBytes("upload")
        let (count, size) = (40, 50_000)
        try await withHTTP(OriginScript { .text("\($0.body.count)") }) { http async throws in
            let body = PartsBody(length: hasLength ? Int64(count * size) : nil) { number in
                let start = Int64(number * size)
                return number < count ? content.buffer(start..<(start + Int64(size))) : nil
            }
            let response = try await http.forward("PUT", "object", ["Content-Type": "a/b"], body: body)
            #expect(try await text(response) == "\(count * size)")
            let request = try #require(http.origin.requests.first)
            #expect(content.firstDifference(in: ByteBuffer(bytes: request.body), at: 0) == nil)
            #expect(request.field("content-length") == (hasLength ? "\(count * size)" : nil))
            #expect(request.field("transfer-encoding") == (hasLength ? nil : "chunked"))
            #expect(request.field("content-type") == "a/b")
            #expect(request.field("host") == "127.0.0.1:\(http.origin.port)")
            try await http.origin.activity.until { $0.connections == 0 }
        }
    }

    @Test("a body of no bytes is none")
    func empty() async throws {
        try await withHTTP(OriginScript { _ in .text("x") }) { http async throws in
            _ = try await http.forward("POST", body: PartsBody([], length: 0))
            #expect(http.origin.requests.first?.field("content-length") == "0")
        }
    }

    @Test(
        "an answer that comes before the body was sent is taken, and the rest of the body is not",
        arguments: [200, 413]
    )
    func early(_ status: Int) async throws {
        try await withHTTP(OriginScript(upload: .ignored) { _ in .text("enough", "\(status) Early") }) {
            http async throws in
            let body = Self.endless()
            let response = try await http.forward("POST", body: body)
            #expect(response.head.status == status)
            #expect(try await text(response) == "enough")
            try await http.origin.activity.until { $0.connections == 0 }
            #expect(body.progress.value.taken < 4096)
        }
    }

    @Test("no more of a body is taken than the origin takes, and one that takes nothing has its time")
    func backPressure() async throws {
        try await withHTTP(
            OriginScript(upload: .ignored) { _ in FaultyOrigin.Reply(head: "", ending: .stall) },
            HTTPSetup(settings: { settings, _ in settings.limitSilence(.seconds(2)) })
        ) { http async throws in
            let body = Self.endless()
            let error = try await sourceError { _ = try await http.forward("POST", body: body) }
            #expect(error?.code == .timedOut)
            #expect(body.progress.value.taken < 4096)
        }
    }

    @Test("a client that is slow to send is not the origin's fault")
    func slowClient() async throws {
        try await withHTTP(
            OriginScript { .text("\($0.body.count)") },
            HTTPSetup(settings: { settings, _ in
                settings.limitSilence(.seconds(8))
                settings.breakerFailures = 1
            })
        ) { http async throws in
            let gate = Gate()
            let body = PartsBody(["one", "two"], gate: gate)
            let answer = Task { try await text(try await http.forward("POST", body: body)) }
            try await gate.untilWaiting()
            // Takes longer than the limit.
            let setup = HTTPSetup(settings: { settings, _ in settings.limitSilence(.seconds(10)) })
            try await withHTTP(.silent, setup) { silent async throws in
                #expect(try await openingCode(silent, "x") == .timedOut)
            }
            gate.open()
            #expect(try await answer.value == "6")
        }
    }

    @Test("a body that breaks off ends the request with its own error, and the origin is not blamed")
    func brokenBody() async throws {
        struct Broken: Error {}
        try await withHTTP(
            OriginScript { _ in .text("x") },
            HTTPSetup(settings: { settings, _ in settings.breakerFailures = 1 })
        ) { http async throws in
            let body = PartsBody(length: 1000) { number in
                guard number < 1 else { throw Broken() }
                return ByteBuffer(string: "x")
            }
            await #expect(throws: Broken.self) { _ = try await http.forward("POST", body: body) }
            try await http.origin.activity.until { $0.connections == 0 }
            #expect(http.origin.requests.isEmpty)
            #expect(try await http.forward().head.status == 200)
        }
    }

    @Test("a body of another length than it says is refused", arguments: [1, 5, 7, 1000] as [Int64])
    func wrongLength(_ length: Int64) async throws {
        try await withHTTP(OriginScript { _ in .text("x") }) { http async throws in
            let body = PartsBody(["one", "two"], length: length)
            let error = try await sourceError { _ = try await http.forward("POST", body: body) }
            #expect(error?.code == .refused)
        }
    }

    @Test("a request of whose body something was taken is not made again", arguments: ["GET", "PUT"])
    func once(_ method: String) async throws {
        try await withHTTP(OriginScript { _ in FaultyOrigin.Reply(head: "", ending: .close) }) { http async throws in
            let error = try await sourceError { _ = try await http.forward(method, body: PartsBody(["one"])) }
            #expect(error?.code == .unavailable)
            #expect(http.origin.requests.count == 1)
        }
    }

    @Test("whoever leaves ends the request and its body")
    func leaving() async throws {
        try await withHTTP(OriginScript { _ in .text("x") }) { http async throws in
            let body = PartsBody(["one", "two"], gate: Gate())
            let waiting = Task { try await http.forward("POST", body: body) }
            try await body.progress.until { $0.taken == 1 }
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
            try await body.progress.until { $0.isCancelled }
            try await http.origin.activity.until { $0.connections == 0 }
        }
    }

    @Test("when the source ends, so do its uploads")
    func shutdown() async throws {
        try await withHTTP(OriginScript { _ in .text("x") }) { http async throws in
            let body = PartsBody(["one", "two"], gate: Gate())
            let waiting = Task { try await sourceError { _ = try await http.forward("POST", body: body) }?.code }
            try await body.progress.until { $0.taken == 1 }
            let running = Task { try await http.source.run() }
            running.cancel()
            try await running.value
            #expect(try await waiting.value == .unavailable)
            try await body.progress.until { $0.isCancelled }
            try await http.origin.activity.until { $0.connections == 0 }
        }
    }

    @Test("an answer to a body is pulled like any other, while the body is still on its way")
    func bothWays() async throws {
        let large = OriginObject(size: 1 << 40)
        try await withHTTP(OriginScript(upload: .late) { large.reply($0) }) { http async throws in
            let response = try await http.forward("POST", body: PartsBody(["one", "two"], gate: Gate()))
            var offset: Int64 = 0
            while offset < 4 << 20, let part = try await response.next() {
                #expect(large.content.firstDifference(in: part, at: offset) == nil)
                offset += Int64(part.readableBytes)
            }
            // Time for the origin to send whatever is taken.
            try await withHTTP(.sound) { other async throws in
                for _ in 0..<10 { #expect(try await outcome(other, "object.mkv") == .whole) }
            }
            #expect(http.origin.activity.value.sent < 36 << 20)
        }
    }

    private static func endless() -> PartsBody {
        PartsBody(length: nil) { _ in ByteBuffer(repeating: 0, count: 32 << 10) }
    }
}
