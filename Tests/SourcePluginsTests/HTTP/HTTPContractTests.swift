import SourceContract
import SourcePlugins
import Synchronization
import Testing

@Suite("HTTP: the contract of sources", .timeLimit(.minutes(5)))
struct HTTPContractTests {
    @Test("with ranges and strong entity tags", arguments: ContractCheck.all)
    func strong(_ check: ContractCheck) async throws {
        try await run(check) { object in object }
    }

    @Test("with weak entity tags", arguments: ContractCheck.all)
    func weak(_ check: ContractCheck) async throws {
        try await run(check) { object in
            var object = object
            object.tag = object.tag.map { "W/\($0)" }
            return object
        }
    }

    @Test("with an origin that does not do ranges", arguments: ContractCheck.all)
    func rangeless(_ check: ContractCheck) async throws {
        try await run(check, hasLarge: false) { object in
            var object = object
            object.doesRanges = false
            return object
        }
    }

    private func run(
        _ check: ContractCheck,
        hasLarge: Bool = true,
        _ vary: @escaping @Sendable (OriginObject) -> OriginObject
    ) async throws {
        let isChanged = ChangeFlag()
        let large = OriginObject(content: PatternBytes("large"), size: 1 << 40, tag: "\"large\"")
        let empty = OriginObject(size: 0, tag: "\"empty\"")
        try await withHTTP(
            OriginScript { request in
                switch request.target {
                case "/films/sample.mkv": vary(isChanged.value ? .second : OriginObject()).reply(request)
                case "/large.ts": vary(large).reply(request)
                case "/empty.mp4": vary(empty).reply(request)
                default: .status("404 Not Found")
                }
            }
        ) { http async throws in
            var fixture = ContractFixture(
                source: http.source,
                sample: try .init("films/sample.mkv", OriginObject().content, size: OriginObject.size),
                missing: try MediaPath("films/none.mkv")
            )
            let known: [Range<Int64>] = [0..<1, (1 << 32 - 3)..<(1 << 32 + 70_001), (1 << 40 - 300_000)..<1 << 40]
            if hasLarge { fixture.large = try .init("large.ts", large.content, size: large.size, known: known) }
            fixture.empty = try MediaPath("empty.mp4")
            fixture.directory = try MediaPath("films")
            fixture.change = {
                isChanged.set()
                return OriginObject.second.content
            }
            fixture.untilIdle = { try await http.origin.activity.until { $0.open == 0 } }
            try await check.run(fixture)
        }
    }
}

/// Goes up once.
final class ChangeFlag: Sendable {
    private let flag = Atomic(false)

    var value: Bool { flag.load(ordering: .acquiring) }

    func set() { flag.store(true, ordering: .releasing) }
}
