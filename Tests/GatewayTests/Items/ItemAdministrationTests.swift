import Foundation
import Gateway
import Logging
import NIOPosix
import ServiceLifecycle
import SourceContract
import SourcePlugins
import Testing

@Suite(.timeLimit(.minutes(1))) struct ItemAdministrationTests {
    private static func json(_ answer: RawClient.Answer) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
    }

    /// Serves the admin plane over the items while `body` runs.
    private static func with(
        _ items: ItemsUnderTest,
        token: String? = nil,
        _ body: @Sendable (_ port: Int) async throws -> Void
    ) async throws {
        let table = SourceTable([
            SourceTable.Entry(
                name: "torrent",
                kind: "synthetic",
                mount: "/torrent",
                firstByteDeadline: .seconds(20),
                state: .enabled(items.source),
                epoch: 0
            )
        ])
        let registry = PrometheusRegistry()
        let dispatcher = AdminDispatcher(
            access: AdminAccess(token: token.map { Array($0.utf8) }, hosts: ["localhost", "gateway.test"]),
            metrics: registry,
            configuration: "",
            items: ItemAdministration(table),
            readiness: { nil },
            logger: .silent
        )
        try await CacheUnderTest.serve(dispatcher, registry, body)
    }

    private static func ask(
        _ port: Int,
        _ method: String,
        _ target: String,
        _ fields: [String] = []
    ) async throws -> RawClient.Answer {
        let client = try await RawClient(port: port)
        let answer = try await client.request(target, method: method, fields: fields)
        try await client.close()
        return answer
    }

    private static func expect(
        _ status: Int,
        _ port: Int,
        _ method: String,
        _ target: String,
        _ fields: [String] = [],
        at location: SourceLocation = #_sourceLocation
    ) async throws {
        let answer = try await ask(port, method, target, fields)
        #expect(answer.status == status, "\(method) \(target)", sourceLocation: location)
    }

    @Test("torrents are listed with how they are doing")
    func list() async throws {
        let items = try ItemsUnderTest(AddPolicy(who: .admin, origins: []))
        items.source.update(items.idOfA) { item in
            var status = ItemStatus(id: items.idOfA, name: "", state: .downloading, size: 0)
            (status.peers, status.seeds, status.readers, status.downloadRate) = (5, 2, 1, 12_345)
            item.status = status
            item.pieces = PieceRuns(pieceLength: 16_384, runs: [0, 3, 52])
        }
        try await Self.with(items) { port in
            let list = try Self.json(try await Self.ask(port, "GET", "/admin/v1/torrents"))
            let torrents = try #require(list["torrents"] as? [[String: Any]])
            #expect(torrents.count == 1)
            let one = try Self.json(try await Self.ask(port, "GET", "/admin/v1/torrents/\(items.a)"))
            for torrent in [one, torrents[0]] {
                #expect(torrent["hash"] as? String == items.a)
                #expect(torrent["source"] as? String == "torrent")
                #expect(torrent["state"] as? String == "downloading")
                #expect(torrent["peers"] as? Int == 5)
                #expect(torrent["download_rate"] as? Int == 12_345)
                #expect(torrent["url"] as? String == "/torrent/\(items.a)/")
            }
            let pieces = try Self.json(try await Self.ask(port, "GET", "/admin/v1/torrents/\(items.a)/pieces"))
            #expect(pieces["piece_length"] as? Int == 16_384)
            #expect(pieces["runs"] as? [Int] == [0, 3, 52])
            for path in [items.b, "x", "\(items.b)/pieces"] {
                try await Self.expect(404, port, "GET", "/admin/v1/torrents/\(path)")
            }
        }
    }

    @Test("one that is read is removed only by force, and reading the interface removes nothing")
    func remove() async throws {
        let items = try ItemsUnderTest()
        items.source.update(items.idOfA) { $0.isBusy = true }
        try await Self.with(items) { port in
            let path = "/admin/v1/torrents/\(items.a)"
            try await Self.expect(200, port, "GET", path + "?force=1")
            let refused = try await Self.ask(port, "POST", path)
            #expect(refused["Allow"] == "GET, HEAD, DELETE")
            try await Self.expect(403, port, "DELETE", path, ["Origin: http://evil.test"])
            try await Self.expect(409, port, "DELETE", path)
            try await Self.expect(400, port, "DELETE", path + "?force=2")
            try await Self.expect(400, port, "DELETE", path + "?froce=1")
            #expect(items.source.counts.value.removed == [])
            try await Self.expect(200, port, "DELETE", path + "?force=1")
            #expect(items.source.counts.value.removed == [items.idOfA])
            try await Self.expect(404, port, "DELETE", path + "?force=1")
        }
    }

    @Test("what only administrators may add is added here")
    func add() async throws {
        let items = try ItemsUnderTest(AddPolicy(who: .admin, origins: []))
        try await Self.with(items) { port in
            let target = "/admin/v1/torrents?uri=\(percentEncodedSegment(items.magnetOfB))"
            for status in [201, 200] {
                let answer = try await Self.ask(port, "POST", target)
                #expect(answer.status == status)
                #expect(try Self.json(answer)["hash"] as? String == items.b)
            }
            try await Self.expect(400, port, "POST", "/admin/v1/torrents")
            try await Self.expect(504, port, "POST", "/admin/v1/torrents?uri=\(items.none)")
            try await Self.expect(404, port, "POST", target + "&source=other")
        }
    }

    @Test("without the token nothing is told and nothing changes")
    func token() async throws {
        let items = try ItemsUnderTest()
        try await Self.with(items, token: "secret") { port in
            let path = "/admin/v1/torrents/\(items.a)"
            for (method, path) in [
                ("GET", "/admin/v1/torrents"), ("GET", path), ("GET", path + "/pieces"), ("DELETE", path),
                ("POST", "/admin/v1/torrents?uri=\(items.b)"),
            ] {
                for fields in [[], ["Authorization: Bearer wrong"]] {
                    try await Self.expect(401, port, method, path, fields)
                }
            }
            #expect(items.source.counts.value.asked == 0)
            #expect(items.source.counts.value.removed == [])
            try await Self.expect(200, port, "DELETE", path, ["Authorization: Bearer secret"])
        }
    }
}
