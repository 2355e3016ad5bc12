import Gateway
import SourcePlugins
import Testing

struct StoredResponseCodingTests {
    private static func response(
        _ staleness: Freshness.Staleness,
        basis: Freshness.Basis = .maxAge,
        needsValidation: Bool = false,
        isImmutable: Bool = false,
        selectors: [VariantKey.Selector] = []
    ) -> StoredResponse {
        StoredResponse(
            status: 404,
            fields: HeaderFields([
                ("ETag", "W/\"ä\""), ("Vary", "a, b"), ("X-Empty", ""), ("X-Twice", "1"), ("X-Twice", "2"),
            ]),
            freshness: Freshness(
                lifetime: .seconds(1 << 31),
                basis: basis,
                initialAge: .milliseconds(1500),
                responseTime: Timestamp(nanoseconds: 1_700_000_000_123_456_789),
                staleness: staleness,
                needsValidation: needsValidation,
                isImmutable: isImmutable
            ),
            variant: VariantKey(selectors: selectors)
        )
    }

    private static let responses = [
        response(.forbidden),
        response(.forbidden, basis: .nothing, needsValidation: true),
        response(.allowed(whileRevalidating: nil, ifError: nil), basis: .heuristic, isImmutable: true),
        response(.allowed(whileRevalidating: .seconds(5), ifError: nil), basis: .expires),
        response(.allowed(whileRevalidating: nil, ifError: .seconds(6)), basis: .negative),
        response(
            .allowed(whileRevalidating: .seconds(5), ifError: .zero),
            basis: .sharedMaxAge,
            selectors: [VariantKey.Selector(name: "a", value: ""), VariantKey.Selector(name: "b", value: nil)]
        ),
    ]

    @Test("a stored response comes back as it was", arguments: responses)
    func roundTrip(response: StoredResponse) throws {
        let bytes = try #require(response.encoded())
        #expect(StoredResponse(encoded: bytes) == response)
    }

    @Test("what is cut short, longer, or of another format is no response", arguments: responses)
    func damaged(response: StoredResponse) throws {
        let bytes = try #require(response.encoded())
        for count in 0..<bytes.count { #expect(StoredResponse(encoded: Array(bytes.prefix(count))) == nil) }
        #expect(StoredResponse(encoded: bytes + [0]) == nil)
        #expect(StoredResponse(encoded: [2] + bytes.dropFirst()) == nil)
    }

    @Test("any bytes are a response or none, and no trap")
    func random() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            var bytes = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator)
            }
            if !bytes.isEmpty { bytes[0] = 1 }
            _ = StoredResponse(encoded: bytes)
        }
    }

    @Test("a head that is too long to be kept is not")
    func long() {
        var response = Self.responses[0]
        response.fields.append("X-Long", String(repeating: "x", count: 60_000))
        #expect(response.encoded() == nil)
    }
}
