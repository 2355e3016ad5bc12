import Foundation
import Testing

/// The built program against real players and hostile clients, with the counts of CI; `make acceptance` has the full
/// ones. What is not installed is skipped by name, but never in CI.
@Suite(.serialized, .timeLimit(.minutes(15))) struct AcceptanceTests {
    static let python = Program.installed("python3")

    @Test(
        "the built gateway keeps its promises",
        .enabled(if: python != nil || Program.isCI, "python3 is not installed"),
        arguments: [
            "configs", "ranges", "random_ranges", "desync", "request_fuzz", "greedy", "paths", "drain", "slow",
            "players", "cache_hits", "cache_random", "cache_kill", "cache_damage", "cache_paused",
            "cache_changes", "http_origin", "http_proxy", "shared_cache", "edges", "torrent_adding", "torrent_seeks",
            "torrent_peers", "torrent_players", "monitoring",
        ]
    )
    func promises(name: String) async throws {
        let python = try #require(Self.python)
        let run = Program.repository.appending(path: "Tests/Acceptance/run.py").path
        let ended = try await Program.run(
            [run, "--quick", name],
            program: python,
            environment: ["MEDIA_GATEWAY": Program.gateway]
        )
        print(ended.output)
        #expect(ended.status == 0, "\(ended.output)\(ended.errors)")
    }
}
