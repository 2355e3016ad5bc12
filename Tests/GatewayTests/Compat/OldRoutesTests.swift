import Config
import Foundation
import Gateway
import SourceContract
import SourcePlugins
import Testing

@Suite(.timeLimit(.minutes(1))) struct OldRoutesTests {
    private static func json<Value>(_ answer: RawClient.Answer, as type: Value.Type = Value.self) throws -> Value {
        try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? Value)
    }

    @Test("the configuration keeps mounts away from exactly these routes")
    func segments() {
        #expect(OldRequest.Route.allCases.map(\.rawValue).sorted() == GatewayConfig.Compat.segments)
    }

    @Test("add and metadata give the names and lengths of the files, by link or hash", arguments: ["add", "metadata"])
    func metadata(route: String) async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            for magnet in [items.a, items.a.uppercased(), percentEncodedSegment(items.magnetOfA)] {
                let answer = try await client.request("/\(route)/\(magnet)")
                #expect(answer.status == 200)
                #expect(answer["Content-Type"] == "application/json")
                #expect(answer["Access-Control-Allow-Origin"] == "*")
                let files: [[String: Any]] = try Self.json(answer)
                #expect(
                    files.map { $0["name"] as? String } == [
                        "one.mkv", "two.mkv", "two.en.srt", "one.mkv", "readme.txt",
                    ]
                )
                #expect(files[1]["length"] as? Int == 300_000)
                #expect(files.allSatisfy { Set($0.keys) == ["name", "length"] })
            }
            #expect(try await client.local("/\(route)/\(percentEncodedSegment(items.magnetOfB))").status == 200)
            #expect(try await client.local("/\(route)/magnet:?xt=urn:btih:\(items.b)").status == 200)
            #expect(try await client.local("/\(route)/\(items.none)").status == 504)
            let bad = try await client.local("/\(route)/nothing")
            #expect(bad.status == 400)
            #expect(bad["Content-Type"] == ProblemDetails.mediaType)
            #expect(bad.text.contains("bad_reference"))
        }
    }

    @Test(
        "a file is found by its path, else by its name or the end of its path if only one ends so",
        arguments: [
            ("two.mkv", "Show/two.mkv"), ("Show%2Ftwo.mkv", "Show/two.mkv"), ("Show/two.mkv", "Show/two.mkv"),
            ("extra%2Fone.mkv", "Show/extra/one.mkv"), ("Show%2Fone.mkv", "Show/one.mkv"), ("one.mkv", nil),
            ("wo.mkv", ""), ("TWO.mkv", ""), ("none.mkv", ""), ("Show", ""), ("how%2Ftwo.mkv", ""),
        ] as [(String, String?)]
    )
    func files(name: String, path: String?) async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            let range = ["Range: bytes=100-199"]
            let answer = try await client.request("/streamfile/\(items.a)/\(name)", fields: range)
            switch path {
            case nil:
                #expect(answer.status == 409)
                #expect(answer.text.contains("Show/one.mkv, Show/extra/one.mkv"))
            case "":
                #expect(answer.status == 404)
                #expect(answer.text == "No file found in the torrent")
            case let path?:
                let own = try await client.request("/torrent/\(items.a)/\(path)", fields: range)
                #expect(answer.status == 206)
                #expect(answer.body == own.body && answer.body.count == 100)
                #expect(answer["ETag"] == own["ETag"])
                #expect(answer["Content-Range"] == own["Content-Range"])
                #expect(answer["Content-Type"] == "video/x-matroska")
            }
        }
    }

    @Test("what was wrong with ranges is right: none is 200, and those past the end are 416")
    func ranges() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            let whole = try await client.request("/streamfile/\(items.a)/two.mkv")
            #expect(whole.status == 200)
            #expect(whole.body.count == 300_000)
            let first = try await client.request("/streamfile/\(items.a)/two.mkv", fields: ["Range: bytes=0-0"])
            #expect(first["Content-Range"] == "bytes 0-0/300000")
            let past = try await client.request("/streamfile/\(items.a)/two.mkv", fields: ["Range: bytes=300000-"])
            #expect(past.status == 416)
            let text = try await client.request("/streamfile/\(items.a)/readme.txt")
            #expect(text["Content-Type"] == "text/plain; charset=utf-8")
            #expect(try await client.local("/streamfile/\(items.b)/film.mp4").body.count == 5000)
        }
    }

    @Test("what is streamed by an old route is in the chunk cache for every route")
    func cache() async throws {
        try await CacheUnderTest.with { cache in
            try await ItemsUnderTest.with {
                $0.cache = cache.store
            } _: { items, gateway in
                let client = try await gateway.client()
                #expect(try await client.request("/streamfile/\(items.a)/two.mkv").body.count == 300_000)
                await cache.store.settle()
                let again = try await client.request("/torrent/\(items.a)/Show/two.mkv", fields: ["Range: bytes=5-9"])
                #expect(again["Cache-Status"]?.contains("hit") == true)
                let old = try await client.request("/streamfile/\(items.a)/two.mkv", fields: ["Range: bytes=5-9"])
                #expect(old["Cache-Status"]?.contains("hit") == true)
                #expect(old.body == again.body)
                #expect(cache.store.objects.count == 1)
            }
        }
    }

    @Test("stream is the first mkv, else the largest video")
    func stream() async throws {
        try await ItemsUnderTest.with { items, gateway in
            try items.source.put("c", [("a.txt", 10)])
            let client = try await gateway.client()
            #expect(try await client.request("/stream/\(items.a)").body.count == 200_000)
            #expect(try await client.local("/stream/\(items.b)").body.count == 5000)
            let none = try await client.request("/stream/\(String(repeating: "c", count: 40))")
            #expect(none.status == 404)
            #expect(none.text == "No MP4 file found in the torrent")
        }
    }

    @Test("details have their old keys")
    func details() async throws {
        try await ItemsUnderTest.with { items, gateway in
            items.source.update(items.idOfA) { item in
                var status = ItemStatus(id: items.idOfA, name: "", state: .downloading, size: 0)
                (status.doneBytes, status.downloadedBytes, status.uploadedBytes) = (225_270, 400_000, 100_000)
                (status.downloadRate, status.uploadRate, status.peers) = (1000, 500, 7)
                item.status = status
            }
            let client = try await gateway.client()
            let details: [String: Any] = try Self.json(try await client.request("/details/\(items.a)"))
            #expect(
                Set(details.keys) == [
                    "name", "length", "downloaded", "uploaded", "downloadSpeed", "uploadSpeed", "progress", "ratio",
                    "numPeers",
                ]
            )
            #expect(details["name"] as? String == "The <Show>")
            #expect(details["length"] as? Int == 901_080)
            #expect(details["progress"] as? Double == 0.25)
            #expect(details["ratio"] as? Double == 0.25)
            #expect(details["numPeers"] as? Int == 7)
            let all: [[String: Any]] = try Self.json(try await client.request("/downloadsInfo"))
            #expect(all.count == 2)
            #expect(all[0]["clientDownloadSpeed"] as? Int == 1000)
            #expect(all[0]["clientUploadSpeed"] as? Int == 500)
            #expect(all[1]["name"] as? String == "The <Show>")
        }
    }

    @Test("how far an episode was watched is told to each client for itself")
    func watched() async throws {
        let range = AddressRange("127.0.0.0/8")
        try await ItemsUnderTest.with {
            $0.trustedProxies = [range].compactMap { $0 }
        } _: { items, gateway in
            items.source.update(items.idOfA) { item in
                var status = ItemStatus(id: items.idOfA, name: "", state: .downloading, size: 0)
                status.fileBytes = [1: 150_000]
                item.status = status
            }
            let client = try await gateway.client()
            func percentage(_ name: String, of address: String) async throws -> Double? {
                let answer = try await client.request(
                    "/detailsepisode/\(items.a)/\(name)",
                    fields: ["X-Forwarded-For: \(address)"]
                )
                let details: [String: Any] = try Self.json(answer)
                #expect(Set(details.keys) == ["name", "length", "downloaded", "progress", "percentageWatched"])
                return details["percentageWatched"] as? Double
            }
            #expect(try await percentage("two.mkv", of: "192.0.2.1") == 0)
            for range in ["bytes=0-9", "bytes=240000-", "bytes=400000-"] {
                _ = try await client.request(
                    "/streamfile/\(items.a)/two.mkv",
                    fields: ["Range: \(range)", "X-Forwarded-For: 192.0.2.1"]
                )
            }
            #expect(try await percentage("two.mkv", of: "192.0.2.1") == 80)
            #expect(try await percentage("Show%2Fone.mkv", of: "192.0.2.1") == 0)
            #expect(try await percentage("two.mkv", of: "192.0.2.2") == 0)
            let details: [String: Any] = try Self.json(try await client.request("/detailsepisode/\(items.a)/two.mkv"))
            #expect(details["progress"] as? Double == 0.5)
            #expect(details["downloaded"] as? Int == 150_000)
        }
    }

    @Test("positions are kept for so many files and no more, the newest")
    func bound() throws {
        let id = try #require(ItemID(String(repeating: "a", count: 40)))
        let watched = WatchedPositions(capacity: 10)
        for file in 1...1000 {
            watched.note(Int64(file), of: file, in: id, client: "c")
            #expect(watched.count <= 10)
            #expect(watched.position(in: file, of: id, client: "c") == Int64(file))
        }
        #expect(watched.position(in: 1, of: id, client: "c") == 0)
    }

    @Test("deselecting says what it said, as often as it is asked")
    func deselect() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            for _ in 0..<2 {
                let answer = try await client.request("/deselect/\(items.a)/two.mkv")
                #expect(answer.status == 200)
                #expect(answer.text == "File deselected successfully")
            }
            #expect(try await client.request("/deselect/\(items.a)/none").text == "No file found in the torrent")
        }
    }

    @Test(
        "what is not known is not brought in by a question about it",
        arguments: [
            "/details/B", "/detailsepisode/B/film.mp4", "/deselect/B/film.mp4", "DELETE /remove/B",
        ]
    )
    func unknown(request: String) async throws {
        try await ItemsUnderTest.with { items, gateway in
            let parts = request.replacing("B", with: items.b).split(separator: " ").map(String.init)
            let answer = try await gateway.client()
                .local(parts.last ?? "", method: parts.count > 1 ? parts[0] : "GET")
            #expect(answer.status == 404)
            #expect(answer.text == "Torrent not found")
            #expect(items.source.counts.value.resolves == 0)
        }
    }

    @Test("removing is for those who may add, and not under the feet of others unless forced")
    func remove() async throws {
        try await ItemsUnderTest.with { items, gateway in
            items.source.update(items.idOfA) { $0.isBusy = true }
            let client = try await gateway.client()
            let path = "/remove/\(percentEncodedSegment(items.magnetOfA))"
            #expect(try await client.request(path, method: "DELETE").status == 403)
            let foreign = ["Origin: http://evil.test"]
            #expect(try await client.local(path + "?force=1", method: "DELETE", foreign).status == 403)
            #expect(try await client.local(path).status == 405)
            #expect(try await client.local(path, method: "DELETE").status == 409)
            #expect(items.source.counts.value.removed == [])
            let removed = try await client.local(path + "?force=1", method: "DELETE")
            #expect(removed.status == 200)
            #expect(removed.text == "Torrent removed successfully")
            #expect(items.source.counts.value.removed == [items.idOfA])
            let preflight = try await client.local(path, method: "OPTIONS", ["Access-Control-Request-Method: DELETE"])
            #expect(preflight["Access-Control-Allow-Methods"] == "DELETE, OPTIONS")
        }
    }

    @Test("the first subtitle is given as WebVTT")
    func subtitles() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            let answer = try await client.request("/subtitles/\(items.a)")
            #expect(answer.status == 200)
            #expect(answer["Content-Type"] == "text/vtt; charset=utf-8")
            #expect(answer.text.hasPrefix("WEBVTT"))
            let none = try await client.local("/subtitles/\(items.b)")
            #expect(none.text == "No subtitle file found in the torrent")
        }
    }

    @Test("they are gone when they are switched off, and say what to do where no source holds torrents")
    func switchedOff() async throws {
        try await ItemsUnderTest.with {
            $0.hasOldRoutes = false
        } _: { items, gateway in
            let answer = try await gateway.client().local("/metadata/\(items.a)")
            #expect(answer.status == 404)
            #expect(answer.text.contains("nothing is served at this path"))
        }
        var options = TestGateway.Options()
        options.hasOldRoutes = true
        try await TestGateway.with(SyntheticSource(), options) { gateway in
            let answer = try await gateway.client().local("/metadata/x")
            #expect(answer.status == 404)
            #expect(answer.text.contains("plugins.d/torrent.toml"))
        }
    }

    @Test("a source at the root does not hide them")
    func root() async throws {
        try await ItemsUnderTest.with {
            $0.mount = "/"
        } _: { items, gateway in
            let client = try await gateway.client()
            #expect(try await client.local("/metadata/\(items.a)").status == 200)
            #expect(try await client.local("/\(items.a)/Show/two.mkv").status == 200)
            #expect(try await client.post("/", type: "text/plain", items.b).status == 201)
            #expect(try await client.local("/metadata/\(items.b)/x").status == 404)
        }
    }
}
