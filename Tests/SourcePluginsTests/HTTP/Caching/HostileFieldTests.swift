import SourcePlugins
import Testing

/// Values that nobody would send, thousands for each parser: none may trap or take long.
@Suite("Hostile fields")
struct HostileFieldTests {
    private struct Random: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state ^ (state >> 31)) &* 0x9E37_79B9_7F4A_7C15
        }
    }

    private static let pieces: [String] = [
        ",", "=", "\"", "\\", ";", " ", "\t", "*", "(", ")", ":", "?", "?1", "-", ".", "0", "9", "60", "/", "//", "..",
        "@",
        "[", "]", "#", "%", "\u{0}", "\u{7f}", "\u{301}", "ü", "🎬", "\r\n", "W/", "W/\"a\"", "\"a\"", "max-age=",
        "max-age",
        "s-maxage=1", "no-cache=\"", "private", "no-store", "max-stale", "public", "Sun, ", "Sunday, ", "06 Nov 1994 ",
        "08:49:37 ", "GMT", "Nov ", "http:", "https://", "h:80", "99999999999999999999", "9223372036854775807", "foo",
        "A",
    ]

    private static func texts(_ count: Int, seed: UInt64) -> [String] {
        var random = Random(state: seed)
        return (0..<count).map { _ in
            (0..<Int.random(in: 0...12, using: &random))
                .map { _ in pieces.randomElement(using: &random) ?? "" }
                .joined()
        }
    }

    private static let time = Timestamp(seconds: 1_787_659_200)

    @Test("dates")
    func dates() {
        for text in Self.texts(20_000, seed: 1) {
            guard let seconds = HeaderDate.parse(text, now: Self.time) else { continue }
            #expect(HeaderDate.parse(HeaderDate.format(seconds: seconds), now: Self.time) == seconds)
        }
    }

    @Test("entity tags")
    func tags() {
        for text in Self.texts(20_000, seed: 2) {
            if let tag = ETag(text) { #expect(tag.description == text) }
            for tag in ETagCondition(["If-None-Match": text])?.tags ?? [] {
                #expect(ETag(tag.description) == tag)
            }
        }
    }

    @Test("directives of both sides")
    func directives() {
        let limit = Duration.seconds(2_147_483_648)
        for text in Self.texts(20_000, seed: 3) {
            let response = ResponseDirectives(cacheControl: ["Cache-Control": text])
            #expect((response.maxAge ?? .zero) >= .zero && (response.maxAge ?? .zero) <= limit)
            let request = RequestDirectives(["Cache-Control": text])
            #expect((request.maxStale ?? .zero) >= .zero && (request.maxStale ?? .zero) <= limit)
        }
    }

    @Test("structured dictionaries")
    func dictionaries() {
        for text in Self.texts(20_000, seed: 4) {
            if let dictionary = StructuredDictionary(text) {
                #expect(dictionary.members.keys.allSatisfy { !$0.isEmpty && $0 == $0.lowercased() })
            }
            _ = StructuredDictionary("a=" + text)
            _ = StructuredDictionary("a=(" + text + ")")
        }
    }

    @Test("URIs and references")
    func targets() throws {
        let base = try #require(TargetURI("http://a/b/c?d"))
        for text in Self.texts(20_000, seed: 5) {
            for target in [TargetURI(text), TargetURI("http://" + text), base.resolve(text)].compactMap({ $0 }) {
                #expect(TargetURI(target.description) == target)
            }
        }
    }

    @Test("whole messages through every decision")
    func messages() throws {
        let target = try #require(TargetURI("http://a/b"))
        let names = [
            "Cache-Control", "CDN-Cache-Control", "Age", "Date", "Expires", "Last-Modified", "ETag", "Vary",
            "Connection",
            "If-None-Match", "If-Modified-Since", "Location", "Pragma", "Accept-Language", "Foo", "Set-Cookie",
        ]
        var random = Random(state: 6)
        let texts = Self.texts(5000, seed: 7)
        func fields() -> HeaderFields {
            HeaderFields(
                (0..<6).map { _ in
                    (name: names.randomElement(using: &random) ?? "", value: texts.randomElement(using: &random) ?? "")
                }
            )
        }
        var policy = CachingPolicy()
        policy.negativeLifetime = .seconds(5)
        policy.staleIfError = .seconds(5)
        var storedCount = 0
        for _ in 0..<10_000 {
            let request = RequestMessage(
                method: ["GET", "HEAD", "POST"].randomElement(using: &random) ?? "GET",
                target: target,
                fields: fields()
            )
            let times = [Timestamp(nanoseconds: .random(in: .min ... .max, using: &random)), Self.time]
            let response = ResponseMessage(
                status: .random(in: -1...1000, using: &random),
                fields: fields(),
                requestTime: times.randomElement(using: &random) ?? Self.time,
                responseTime: times.randomElement(using: &random) ?? Self.time
            )
            _ = Invalidation.targets(of: request, status: response.status, fields: response.fields)
            _ = ObjectValidity(response, maximum: .seconds(60))
            guard case .store(let stored) = StoredResponse.decide(request: request, response: response, policy: policy)
            else { continue }
            storedCount += 1
            _ = stored.reuse(for: request, at: times[0], policy: policy)
            _ = stored.isNotModified(for: request)
            _ = stored.notModifiedFields(at: times[0])
            let validation = ValidationRequest(for: request, stored: [stored], selected: 0)
            _ = validation.outcome(of: response, stored: [stored])
            let update = stored.freshened(by: response, request: request, policy: policy)
            #expect(!update.response.fields.contains("age"))
        }
        #expect(storedCount > 100)
    }

    @Test(
        "long values take time that grows with their length alone",
        .timeLimit(.minutes(1)),
        arguments: ["\"", "\\\"", ",", "a=\"", "(", "W/\"", "/..", "a,", "\"a\",", " ", "max-age=1,", ";a"]
    )
    func long(piece: String) {
        let text = String(repeating: piece, count: 20_000)
        #expect(ResponseDirectives(cacheControl: ["Cache-Control": text]).sharedMaxAge == nil)
        _ = ETagCondition(["If-None-Match": text])
        _ = StructuredDictionary("a=" + text)
        _ = TargetURI("http://h/" + text)
        _ = VariantKey(response: ["Vary": text], request: ["a": text])
    }
}
