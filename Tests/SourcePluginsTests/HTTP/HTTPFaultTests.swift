import NIOCore
import SourceContract
import SourcePlugins
import Testing

/// Reads through a fault, and then once more when it is over.
private func check(_ fault: OriginFault, limit: Duration) async throws {
    let isOver = ChangeFlag()
    let script = OriginScript { isOver.value ? OriginObject().reply($0) : fault.script.reply($0) }
    let setup = HTTPSetup(settings: { settings, _ in settings.limitSilence(limit) })
    try await withHTTP(script, setup) { http async throws in
        let result = try await outcome(http, "object.mkv")
        #expect(result.isAllowed(by: fault.whole), "\(result) instead of \(fault.whole)")
        isOver.set()
        #expect(try await outcome(http, "object.mkv") == .whole)
    }
    try await withHTTP(fault.script, setup) { http async throws in
        let result = try await outcome(http, "object.mkv", OriginFault.range)
        #expect(result.isAllowed(by: fault.part), "\(result) instead of \(fault.part)")
    }
}

@Suite("HTTP: faults of origins", .serialized, .timeLimit(.minutes(5)))
struct HTTPFaultTests {
    @Test("all of it and a part of it are right or fail, and what comes after is right", arguments: OriginFault.loud)
    func fault(_ fault: OriginFault) async throws {
        try await check(fault, limit: .seconds(30))
    }

    @Test("what follows an answer on its connection is not taken for another")
    func surplus() async throws {
        let poison = "HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 8\r\n\r\nPOISONED"
        try await withHTTP(
            OriginScript { request in
                var reply = OriginObject().reply(request)
                guard request.target == "/poison", let (bytes, range) = reply.content else { return reply }
                reply.body = [bytes.buffer(range), ByteBuffer(string: poison)]
                reply.content = nil
                return reply
            }
        ) { http async throws in
            for _ in 0..<5 {
                _ = try await outcome(http, "poison", 0..<10)
                #expect(try await outcome(http, "object.mkv", 0..<100_000) == .whole)
            }
        }
    }

    @Test("of what is behind the range, in an answer of all of it, hardly anything is fetched")
    func rangelessEnd() async throws {
        let object = OriginObject(size: 1 << 34, doesRanges: false)
        try await withHTTP(OriginScript { object.reply($0) }) { http async throws in
            #expect(try await outcome(http, "object.mkv", 1000..<2000) == .whole)
            try await http.origin.activity.until { $0.open == 0 }
            #expect(http.origin.activity.value.sent < 64 << 20)
        }
    }

    @Test("what is too far behind the beginning of an answer of all of it is refused")
    func rangelessFar() async throws {
        let object = OriginObject(size: 1 << 34, doesRanges: false)
        try await withHTTP(OriginScript { object.reply($0) }, HTTPSetup(policy: { $0.longestSkip = 1 << 20 })) {
            http async throws in
            let near = try await outcome(http, "object.mkv", 1_000_000..<1_000_010)
            let far = try await outcome(http, "object.mkv", 2_000_000..<2_000_010)
            #expect(near == .whole)
            #expect(far == .failed(.refused))
        }
    }

    @Test("an origin that ignored a range is not asked for one again until some time has passed")
    func rangelessMemory() async throws {
        let clock = SettableClock()
        try await withHTTP(OriginScript { OriginObject(doesRanges: false).reply($0) }, HTTPSetup(now: { clock.now })) {
            http async throws in
            _ = try await outcome(http, "object.mkv", 0..<10)
            #expect(http.ranges == [0...0, nil])
            clock.advance(by: .seconds(61))
            _ = try await http.open("object.mkv")
            #expect(http.ranges == [0...0, nil, 0...0])
        }
    }

    @Test("each range is asked for under the strong tag of the object, and under no weak one")
    func conditions() async throws {
        try await withHTTP(
            OriginScript { request in
                request.target == "/weak" ? OriginObject(tag: "W/\"v1\"").reply(request) : OriginObject().reply(request)
            }
        ) { http async throws in
            _ = try await outcome(http, "strong", 10..<20)
            _ = try await outcome(http, "weak", 10..<20)
            #expect(http.origin.requests.map { $0.field("if-range") } == [nil, "\"v1\"", nil, nil])
            #expect(http.ranges == [0...0, 10...19, 0...0, 10...19])
        }
    }
}

@Suite("HTTP: origins that fall silent", .timeLimit(.minutes(5)))
struct HTTPSilenceTests {
    /// The limit is reached in all of these, so it is short; and not too short for a busy machine.
    @Test("silence has a limit, and is no end", arguments: OriginFault.silent)
    func silence(_ fault: OriginFault) async throws {
        try await check(fault, limit: .seconds(4))
    }
}

/// A clock that moves when it is told.
final class SettableClock: Sendable {
    private let start = ContinuousClock.now
    private let passed = Observed(Duration.zero)

    var now: ContinuousClock.Instant { start + passed.value }

    func advance(by time: Duration) { passed.update { $0 += time } }
}
