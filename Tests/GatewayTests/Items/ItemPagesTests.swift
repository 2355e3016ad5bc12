import Foundation
import Gateway
import SourceContract
import SourcePlugins
import Testing

@Suite(.timeLimit(.minutes(1))) struct ItemPagesTests {
    private static func json(_ answer: RawClient.Answer) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
    }

    @Test("an item is JSON for programs, with where each file is and what its ETag is")
    func document() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            let answer = try await client.request("/torrent/\(items.a)/")
            #expect(answer.status == 200)
            #expect(answer["Content-Type"] == "application/json")
            let item = try Self.json(answer)
            #expect(item["hash"] as? String == items.a)
            #expect(item["name"] as? String == "The <Show>")
            #expect(item["state"] as? String == "stored")
            let files = try #require(item["files"] as? [[String: Any]])
            #expect(files.map { $0["path"] as? String } == ItemsUnderTest.files.map(\.path))
            #expect(files.map { $0["index"] as? Int } == [0, 1, 2, 3, 4])
            #expect(files[1]["length"] as? Int == 300_000)
            #expect(files[1]["type"] as? String == "video/x-matroska")
            #expect(files[1]["cached_bytes"] as? Int == 0)
            let subtitles = try #require(files[1]["subtitles"] as? [[String: Any]])
            #expect(
                subtitles.map { $0["url"] as? String }
                    == ["srt", "vtt"].map { "/torrent/\(items.a)/Show/two.en.\($0)" }
            )
            #expect(files[0]["subtitles"] as? [[String: Any]] != nil)
            for file in files {
                let found = try await client.request(try #require(file["url"] as? String), method: "HEAD")
                #expect(found["ETag"] == file["etag"] as? String)
                #expect(found["Content-Length"].flatMap { Int($0) } == file["length"] as? Int)
            }
            #expect(items.source.counts.value.asked == 0)
        }
    }

    @Test("an item is a page for browsers under its own name, with its directories to walk")
    func page() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            let page = try await client.request("/torrent/\(items.a)/", fields: ["Accept: text/html"])
            #expect(page["Content-Type"] == Page.contentType)
            #expect(page["Content-Security-Policy"] == Page.contentSecurityPolicy)
            #expect(page.text.contains("<title>The &lt;Show&gt;</title>"))
            #expect(page.text.contains("/torrent/\(items.a)/Show/"))
            let directory = try await client.request("/torrent/\(items.a)/Show/", fields: ["Accept: text/html"])
            #expect(directory.text.contains("/torrent/\(items.a)/Show/two.mkv?play"))
            let player = try await client.request("/torrent/\(items.a)/Show/two.mkv?play")
            #expect(player.text.contains("<video"))
            #expect(try await client.request("/torrent/\(items.a)/Show").status == 308)
        }
    }

    @Test("a playlist of an item has all of its films, with whole URLs")
    func playlist() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let answer = try await gateway.client().request("/torrent/\(items.a)/?format=m3u")
            #expect(answer["Content-Type"] == Playlist.mediaType)
            let urls = answer.text.split(separator: "\n").filter { !$0.hasPrefix("#") }
            #expect(
                urls
                    == ["one.mkv", "two.mkv", "extra/one.mkv"].map {
                        "http://gateway.test/torrent/\(items.a)/Show/\($0)"
                    }
            )
            #expect(answer["Content-Disposition"]?.contains("The <Show>.m3u") == true)
        }
    }

    @Test("the number of a file is the file: the same bytes and the same ETag")
    func numbers() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            for _ in 0..<2 {
                let range = ["Range: bytes=1000-1999"]
                let byPath = try await client.request("/torrent/\(items.a)/Show/two.mkv", fields: range)
                let byNumber = try await client.request("/torrent/\(items.a)/~1", fields: range)
                #expect(byNumber.status == 206)
                #expect(byNumber.body == byPath.body)
                #expect(byNumber["ETag"] == byPath["ETag"])
                #expect(byNumber["Content-Type"] == "video/x-matroska")
                #expect(byNumber["Content-Disposition"] == byPath["Content-Disposition"])
            }
            for path in ["~5", "~99999999999999999999", "~", "~-1", "~1x"] {
                #expect(try await client.request("/torrent/\(items.a)/\(path)").status == 404, "\(path)")
            }
            let page = try await client.request("/torrent/\(items.a)/~1?play")
            #expect(page["Location"] == "/torrent/\(items.a)/Show/two.mkv?play")
        }
    }

    @Test("files of one path are told apart by their numbers")
    func twins() async throws {
        try await ItemsUnderTest.with { items, gateway in
            try items.source.put("c", [("same.mkv", 10), ("same.mkv", 10), ("other.mkv", 10)])
            let hash = String(repeating: "c", count: 40)
            let item = try Self.json(try await gateway.client().request("/torrent/\(hash)/"))
            let urls = (item["files"] as? [[String: Any]])?.map { $0["url"] as? String }
            #expect(urls == ["~0", "~1", "other.mkv"].map { "/torrent/\(hash)/\($0)" })
        }
    }

    @Test("an item has one address: the hash in lower case, with a slash behind")
    func redirects() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            for (path, location) in [
                (items.a, "\(items.a)/"), ("\(items.a)?format=m3u", "\(items.a)/?format=m3u"),
                (items.a.uppercased(), "\(items.a)/"), ("\(items.a.uppercased())/?x", "\(items.a)/?x"),
                ("\(items.a.uppercased())/Show/a%20b", "\(items.a)/Show/a%20b"),
                ("\(items.b.uppercased())/film.mp4?download", "\(items.b)/film.mp4?download"),
            ] {
                let answer = try await client.request("/torrent/\(path)")
                #expect(answer.status == 308)
                #expect(answer["Location"] == "/torrent/\(location)")
            }
            #expect(items.source.counts.value.asked == 0)
        }
    }

    @Test("the mount lists the items by their names, with a box for magnet links")
    func items() async throws {
        try await ItemsUnderTest.with { items, gateway in
            let client = try await gateway.client()
            let list = try Self.json(try await client.request("/torrent/"))
            let found = try #require(list["items"] as? [[String: Any]])
            #expect(found.map { $0["hash"] as? String } == [items.a])
            #expect(found.first?["url"] as? String == "/torrent/\(items.a)/")
            let page = try await client.request("/torrent/", fields: ["Accept: text/html"])
            #expect(page.text.contains("The &lt;Show&gt;"))
            #expect(page.text.contains(#"action="/torrent/play" method="get""#))
            #expect(
                try await client.request("/", fields: ["Accept: text/html"]).text.contains(#"action="/torrent/play""#)
            )
            #expect(try await client.request("/torrent/?format=m3u").status == 400)
        }
    }

    @Test("what of a file is in the chunk cache is told")
    func cachedBytes() async throws {
        try await CacheUnderTest.with { cache in
            try await ItemsUnderTest.with { options in
                options.cache = cache.store
            } _: { items, gateway in
                let client = try await gateway.client()
                let half = try await client.request("/torrent/\(items.a)/Show/two.mkv", fields: ["Range: bytes=0-9"])
                #expect(half.status == 206)
                // By its number it is the same object of the cache.
                let whole = try await client.request("/torrent/\(items.a)/~0")
                #expect(whole.body.count == 200_000)
                await cache.store.settle()
                let files = try #require(
                    try Self.json(try await client.request("/torrent/\(items.a)/"))["files"] as? [[String: Any]]
                )
                let cached = files.map { $0["cached_bytes"] as? Int ?? -1 }
                #expect(cached[0] == 200_000)
                #expect((1..<300_000).contains(cached[1]))
                #expect(cached[2...] == [0, 0, 0])
            }
        }
    }
}
