import Glibc
import NIOCore
import SourceContract
import SourcePlugins
import Testing

@Suite("HTTP: requests and connections", .timeLimit(.minutes(5)))
struct HTTPLifeTests {
    @Test("a request has nothing in it but what the source needs")
    func request() async throws {
        try await withHTTP(.sound) { http async throws in
            _ = try await http.open("a b/ü.mkv")
            let request = try #require(http.origin.requests.first)
            #expect(request.line == "GET /a%20b/%C3%BC.mkv HTTP/1.1")
            let fields = ["accept", "accept-encoding", "host", "range", "user-agent", "via"]
            #expect(request.fields.map(\.name).sorted() == fields)
            #expect(request.field("accept-encoding") == "identity")
        }
    }

    @Test("a path is sent byte for byte, text or not", arguments: ["a%E4b.mkv", "%FF/x", "a%25.mkv", "a%5B1%5D.mkv"])
    func bytes(_ path: String) async throws {
        try await withHTTP(.sound) { http async throws in
            _ = try await http.source.open(MediaPath(percentEncoded: path.utf8))
            #expect(http.origin.requests.map(\.target) == ["/\(path)"])
        }
    }

    @Test("the way of a request and its trace go with what is asked for it")
    func trace() async throws {
        try await withHTTP(.sound) { http async throws in
            let trace = RequestTrace(["Via": "1.1 a", "Traceparent": "00-1-2-01", "X-Forwarded-For": "10.0.0.1"])
            try await RequestTrace.$current.withValue(trace) {
                _ = try await outcome(http, "object.mkv", 0..<10)
            }
            #expect(
                http.origin.requests.map { $0.field("via") } == [
                    "1.1 a, 1.1 gateway-under-test", "1.1 a, 1.1 gateway-under-test",
                ]
            )
            #expect(http.origin.requests.allSatisfy { $0.field("traceparent") == "00-1-2-01" })
            #expect(http.origin.requests.allSatisfy { $0.field("x-forwarded-for") == nil })
        }
    }

    @Test("what is asked for by a request that has been here before is a loop")
    func loop() async throws {
        try await withHTTP(.sound) { http async throws in
            let object = try await http.open("object.mkv")
            let trace = RequestTrace(["Via": "1.1 a, 1.1 gateway-under-test"])
            try await RequestTrace.$current.withValue(trace) {
                for _ in 0..<2 {
                    let error = try await sourceError { _ = try await http.open("object.mkv") }
                    #expect(error?.cause is RequestLoop)
                    #expect(try await sourceError { _ = try await object.read(0..<10) }?.cause is RequestLoop)
                }
            }
            #expect(http.origin.requests.count == 1)
        }
    }

    @Test("cookies are not sent back")
    func cookies() async throws {
        try await withHTTP(OriginScript { OriginObject().reply($0).adding("Set-Cookie: a=b; Path=/") }) {
            http async throws in
            _ = try await outcome(http, "object.mkv", 0..<10)
            #expect(http.origin.requests.allSatisfy { $0.field("cookie") == nil })
        }
    }

    @Test("one connection serves one reader for all its requests")
    func reuse() async throws {
        try await withHTTP(.sound) { http async throws in
            for start in 0..<20 {
                let first = Int64(start) * 100_000
                #expect(try await outcome(http, "object.mkv", first..<(first + 100_000)) == .whole)
            }
            #expect(http.origin.requests.count == 40)
            #expect(http.origin.activity.value.connections == 1)
        }
    }

    @Test("what nobody takes stays with the origin")
    func backPressure() async throws {
        let large = OriginObject(size: 1 << 40)
        try await withHTTP(OriginScript { $0.target == "/large" ? large.reply($0) : OriginObject().reply($0) }) {
            http async throws in
            let object = try await http.open("large")
            let stream = try await object.read(0..<large.size)
            _ = try await stream.next()
            // Time for the origin to send whatever is taken.
            for _ in 0..<20 { #expect(try await outcome(http, "object.mkv") == .whole) }
            let others = 20 * OriginObject.size
            #expect(http.origin.activity.value.sent < others + 32 << 20)
            #expect(try await stream.next() != nil)
        }
    }

    @Test("a reader that pauses for longer than the origin may is not cut")
    func pause() async throws {
        try await withHTTP(.sound, HTTPSetup(settings: { settings, _ in settings.limitSilence(.seconds(3)) })) {
            http async throws in
            let object = try await http.open("object.mkv")
            let stream = try await object.read(0..<OriginObject.size)
            var offset = Int64(try #require(try await stream.next()).readableBytes)
            // Takes longer than the limit.
            let setup = HTTPSetup(settings: { settings, _ in settings.limitSilence(.milliseconds(1200)) })
            try await withHTTP(.silent, setup) { silent async throws in
                for _ in 0..<3 { #expect(try await openingCode(silent, "x") == .timedOut) }
            }
            while let buffer = try await stream.next() {
                #expect(OriginObject().content.firstDifference(in: buffer, at: offset) == nil)
                offset += Int64(buffer.readableBytes)
            }
            #expect(offset == OriginObject.size)
            #expect(http.origin.requests.count == 2)
        }
    }

    @Test("a source that was used and never run leaves no connection behind")
    func neverRun() async throws {
        try await FaultyOrigin.with(.sound) { origin async throws in
            try await TestContext.with { context async throws in
                let settings = testSettings(try baseURL(of: origin))
                do {
                    let source = HTTPSource(settings, context: context.source)
                    _ = try await source.open(MediaPath("object.mkv"))
                    #expect(origin.activity.value.connections == 1)
                }
                try await origin.activity.until { $0.connections == 0 }
            }
        }
    }

    @Test("a stream outlives its source, and leaves no connection behind")
    func streamWithoutSource() async throws {
        try await FaultyOrigin.with(.sound) { origin async throws in
            try await TestContext.with { context async throws in
                let settings = testSettings(try baseURL(of: origin))
                var stream: ByteStream? = try await HTTPSource(settings, context: context.source)
                    .open(MediaPath("object.mkv")).read(0..<OriginObject.size)
                var count = 0
                while let buffer = try await stream?.next() { count += buffer.readableBytes }
                #expect(Int64(count) == OriginObject.size)
                stream = nil
                try await origin.activity.until { $0.connections == 0 }
            }
        }
    }

    @Test("when the source ends, so do its connections and its streams, and it refuses what comes after")
    func shutdown() async throws {
        try await withHTTP(OriginScript { OriginObject(size: 1 << 40).reply($0) }) { http async throws in
            let stream = try await http.open("object.mkv").read(0..<1 << 40)
            try await http.end(stream)
            #expect(try await openingCode(http, "object.mkv") == .unavailable)
        }
    }

    @Test("more requests than there may be connections wait for one another")
    func connections() async throws {
        try await withHTTP(
            .sound,
            HTTPSetup(settings: { settings, _ in
                settings.connections = 2
                settings.connectTimeout = .seconds(30)
            })
        ) { http async throws in
            try await withThrowingTaskGroup(of: ReadOutcome.self) { group in
                for _ in 0..<10 { group.addTask { try await outcome(http, "object.mkv") } }
                for try await outcome in group { #expect(outcome == .whole) }
            }
            #expect(http.origin.activity.value.connections <= 2)
        }
    }

    @Test("a header comes from a file, without the end of its line")
    func secrets() async throws {
        try await withTemporaryDirectory { directory async throws in
            try directory.writeText("secret", "Bearer xyz\n")
            try await withHTTP(
                .sound,
                HTTPSetup(settings: { settings, _ in
                    settings.headers = [
                        OriginHeader("Authorization", .file(directory.path("secret"))),
                        OriginHeader("User-Agent", .text("player")),
                    ]
                })
            ) { http async throws in
                _ = try await http.open("object.mkv")
                #expect(http.origin.requests.map { $0.field("authorization") } == ["Bearer xyz"])
                #expect(http.origin.requests.map { $0.field("user-agent") } == ["player"])
            }
        }
    }

    @Test("a secret that was replaced is used when the origin refuses the old one, and after a while anyway")
    func rotation() async throws {
        let clock = SettableClock()
        try await withTemporaryDirectory { directory async throws in
            try directory.writeText("secret", "old")
            let accepted = Observed("old")
            try await withHTTP(
                OriginScript { request in
                    request.field("authorization") == accepted.value
                        ? OriginObject().reply(request) : .status("401 Unauthorized")
                },
                HTTPSetup(
                    now: { clock.now },
                    settings: { settings, _ in
                        settings.headers = [OriginHeader("Authorization", .file(directory.path("secret")))]
                    }
                )
            ) { http async throws in
                #expect(try await openingCode(http, "object.mkv") == nil)
                accepted.update { $0 = "new" }
                try directory.replaceText("secret", "new")
                // So soon it is not read again.
                #expect(try await openingCode(http, "object.mkv") == .forbidden)
                clock.advance(by: .seconds(1))
                #expect(try await openingCode(http, "object.mkv") == nil)
                // In the middle of being written.
                try directory.replaceText("secret", "")
                clock.advance(by: .seconds(10))
                #expect(try await openingCode(http, "object.mkv") == nil)
                clock.advance(by: .seconds(60))
                #expect(try await openingCode(http, "object.mkv") == .unavailable)
                try directory.replaceText("secret", "newest")
                _ = try await openingCode(http, "object.mkv")
                #expect(http.origin.requests.last?.field("authorization") == "newest")
            }
        }
    }

    @Test("a forwarded request that changes something is not made twice for a secret's sake")
    func rotationOnce() async throws {
        let clock = SettableClock()
        try await withTemporaryDirectory { directory async throws in
            try directory.writeText("secret", "old")
            try await withHTTP(
                OriginScript { _ in .status("401 Unauthorized") },
                HTTPSetup(
                    now: { clock.now },
                    settings: { settings, _ in
                        settings.headers = [OriginHeader("Authorization", .file(directory.path("secret")))]
                    }
                )
            ) { http async throws in
                #expect(try await http.forward("POST").head.status == 401)
                try directory.replaceText("secret", "new")
                clock.advance(by: .seconds(1))
                #expect(try await http.forward("POST").head.status == 401)
                #expect(try await http.forward("GET").head.status == 401)
                #expect(http.origin.requests.map { $0.field("authorization") } == ["old", "old", "new"])
            }
        }
    }

    @Test("without its secret nothing is asked", arguments: [nil, "", "a\nb", "é"] as [String?])
    func missingSecret(_ text: String?) async throws {
        try await withTemporaryDirectory { directory async throws in
            if let text { try directory.writeText("secret", text) }
            try await withHTTP(
                .sound,
                HTTPSetup(settings: { settings, _ in
                    settings.headers = [OriginHeader("Authorization", .file(directory.path("secret")))]
                })
            ) { http async throws in
                #expect(try await openingCode(http, "object.mkv") == .unavailable)
                #expect(http.origin.requests.isEmpty)
            }
        }
    }

    @Test("a place that needs no secret is asked while that of the first is missing")
    func missingSecretElsewhere() async throws {
        try await FaultyOrigin.with(.sound) { mirror async throws in
            try await withHTTP(
                .sound,
                HTTPSetup(settings: { settings, _ in
                    settings.headers = [OriginHeader("Authorization", .file("/nowhere/secret"))]
                    settings.fallbacks = [try baseURL(of: mirror)]
                })
            ) { http async throws in
                #expect(try await openingCode(http, "object.mkv") == nil)
                #expect(http.origin.requests.isEmpty && mirror.requests.count == 1)
            }
        }
    }

    @Test(
        "what the origin says of freshness is what the object is believed for",
        arguments: [
            (nil, 1000, true), ("max-age=60", 60_000, true), ("max-age=60, s-maxage=120", 120_000, true),
            ("no-cache", 0, true), ("no-store", 0, false), ("private, max-age=60", 0, false),
            ("max-age=0", 0, true),
        ] as [(String?, Int64, Bool)]
    )
    func freshness(_ control: String?, _ milliseconds: Int64, _ isKept: Bool) async throws {
        var object = OriginObject()
        object.fields = control.map { [("Cache-Control", $0)] } ?? []
        try await withHTTP(OriginScript { [object] in object.reply($0) }) { http async throws in
            let info = try await http.open("object.mkv").info
            #expect(info.validity == .recheck(after: .milliseconds(milliseconds)))
            #expect(info.revision == (isKept ? Revision("v1-\(OriginObject.size)") : nil))
        }
    }

    @Test("type and date are those of the origin")
    func info() async throws {
        try await withHTTP(.sound) { http async throws in
            let info = try await http.open("object.mkv").info
            #expect(info.mediaType == "video/x-matroska")
            #expect(info.lastModified == Timestamp(seconds: 784_111_777))
        }
    }
}

extension TemporaryDirectory {
    fileprivate func replaceText(_ name: String, _ text: String) throws {
        try writeText("new", text)
        try rename("new", to: name)
    }

    /// Makes a file that holds `text`.
    fileprivate func writeText(_ name: String, _ text: String) throws {
        let file = open(path(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        defer { close(file) }
        let count = Glibc.write(file, text, text.utf8.count)
        try #require(count == text.utf8.count)
    }
}
