import Config
import Gateway
import SourceContract
import SourcePlugins

/// Items that are known, `a`, and that the world has to be asked for, `b`.
struct ItemsUnderTest: Sendable {
    let source: SyntheticItemSource
    let idOfA: ItemID
    let idOfB: ItemID
    /// Nobody has it.
    let none = String(repeating: "f", count: 40)

    static let files: [(path: String, size: Int64)] = [
        ("Show/one.mkv", 200_000), ("Show/two.mkv", 300_000), ("Show/two.en.srt", 80), ("Show/extra/one.mkv", 1000),
        ("Show/readme.txt", 400_000),
    ]

    init(_ policy: AddPolicy = AddPolicy(who: .local, origins: [])) throws {
        source = SyntheticItemSource(policy)
        idOfA = try source.put("a", name: "The <Show>", Self.files)
        idOfB = try source.put("b", name: "Another", [("film.mp4", 5000), ("notes.txt", 9000)], isKnown: false)
    }

    var a: String { idOfA.description }
    var b: String { idOfB.description }
    var magnetOfA: String { "magnet:?xt=urn:btih:\(a)&dn=The%20Show&tr=http%3A%2F%2Ft.example%2Fa" }
    var magnetOfB: String { "magnet:?xt=urn:btih:\(b)" }

    /// Serves them at `/torrent`, with the old routes.
    static func with(
        _ policy: AddPolicy = AddPolicy(who: .local, origins: []),
        limit: RequestLimit = .off,
        _ adjust: (inout TestGateway.Options) -> Void = { _ in },
        _ body: @Sendable (ItemsUnderTest, TestGateway) async throws -> Void
    ) async throws {
        let items = try ItemsUnderTest(policy)
        var options = TestGateway.Options()
        options.mount = "/torrent"
        options.gate = ItemGate(limit: limit, hosts: ["gateway.lan"])
        options.hasOldRoutes = true
        adjust(&options)
        try await TestGateway.with(items.source, options) { try await body(items, $0) }
    }
}

extension RawClient {
    /// As a program of this machine asks.
    func local(
        _ path: String,
        method: String = "GET",
        _ fields: [String] = [],
        body: [UInt8]? = nil
    ) async throws -> Answer {
        try await request(path, method: method, fields: fields, host: "localhost", body: body)
    }

    func post(_ path: String, type: String?, _ body: String) async throws -> Answer {
        try await local(path, method: "POST", type.map { ["Content-Type: \($0)"] } ?? [], body: Array(body.utf8))
    }
}

/// As `encodeURIComponent` does.
func percentEncodedSegment(_ text: String) -> String {
    (try? MediaPath.Component(text.utf8.map { $0 == UInt8(ascii: "/") ? UInt8(ascii: "|") : $0 }))
        .map { $0.percentEncoded.replacing("%7C", with: "%2F") } ?? ""
}
