import ChunkCache
import Foundation
import Gateway
import SourceContract
import Testing

@Suite(.timeLimit(.minutes(1))) struct PinRoutesTests {
    private static let objects: [(source: String, path: String, size: Int64)] = [
        ("media", "films/one.mkv", 200_000), ("media", "films/two.mkv", 100_000), ("other", "c d.mkv", 50_000),
    ]

    private static func decode<Value: Decodable>(_ type: Value.Type, _ answer: RawClient.Answer) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(answer.body))
    }

    private static func problem(_ answer: RawClient.Answer) throws -> ProblemDetails {
        try JSONDecoder().decode(ProblemDetails.self, from: Data(answer.body))
    }

    @Test("a pin is made, listed and ended, and says what it has")
    func life() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                let target = "/admin/v1/cache/pins"
                let new = try await admin.request("POST", "\(target)?scope=prefix&source=media&path=/films/")
                #expect(new.status == 201)
                let report = try Self.decode(PinReport.self, new)
                #expect((report.objects, report.chunks) == (2, 6))
                #expect((report.scope, report.source, report.path) == (.prefix, "media", "films/"))
                #expect(
                    try await admin.request("POST", "\(target)?scope=prefix&source=media&path=films/").status == 200
                )
                let object = try await admin.request("POST", "\(target)?scope=object&source=other&path=c%20d.mkv")
                #expect(try Self.decode(PinReport.self, object).urlPath == "c%20d.mkv")
                #expect(try await admin.request("POST", "\(target)?scope=source&source=other").status == 201)

                let list = try Self.decode(PinList.self, try await admin.request("GET", target))
                #expect(list.pins.map(\.scope) == [.prefix, .object, .source])
                #expect(list.pins.map(\.chunks) == [6, 1, 1])
                #expect(list.pinnedBytes == cache.store.usage.bytes)
                #expect(list.limitBytes == 4 << 20)
                #expect(list.evictableBytes == 0)
                let totals = try Self.decode(CacheReport.self, try await admin.request("GET", "/admin/v1/cache"))
                #expect((totals.pinnedBytes, totals.pinLimitBytes) == (list.pinnedBytes, list.limitBytes))

                let ended = try await admin.request("DELETE", "\(target)?scope=object&source=other&path=c%20d.mkv")
                #expect(ended.status == 200)
                #expect(cache.store.pins.count == 2)
                #expect(cache.store.usage.chunks == 7)
            }
        }
    }

    @Test("what cannot be pinned or unpinned is told why, and changes nothing")
    func refusals() async throws {
        try await CacheUnderTest.with(Self.objects, pinBytes: 300_000) { cache in
            try await cache.serve { admin in
                let target = "/admin/v1/cache/pins"
                #expect(try await admin.request("POST", "\(target)?scope=object&source=media&path=none").status == 201)
                for (method, query, status, code, words) in [
                    ("POST", "scope=source&source=media", 409, .pinBudget, "312 KiB"),
                    ("POST", "scope=source&source=medai", 404, .notFound, "there are media, other"),
                    ("DELETE", "scope=source&source=media", 404, .notFound, "not pinned"),
                    ("DELETE", "scope=source&source=gone", 404, .notFound, "not pinned"),
                ] as [(String, String, Int, ProblemCode, String)] {
                    let answer = try await admin.request(method, "\(target)?\(query)")
                    #expect(answer.status == status)
                    #expect(answer["Content-Type"] == ProblemDetails.mediaType)
                    let problem = try Self.problem(answer)
                    #expect(problem.code == code)
                    #expect(problem.detail.contains(words), "\(problem.detail)")
                }
                #expect(cache.store.pins.count == 1)
            }
        }
    }

    @Test("where it is not known what is pinned, that is said, and no empty list")
    func unknown() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                cache.store.close()
                let answer = try await admin.request("GET", "/admin/v1/cache/pins")
                #expect(answer.status == 503)
                #expect(try Self.problem(answer).detail == "closed")
            }
        }
    }

    @Test(
        "a pin that is not clear is refused",
        arguments: [
            "", "scope=all", "scope=object&source=media", "scope=object&source=media&path=",
            "scope=prefix&source=media",
            "scope=prefix&source=media&path=/", "scope=source", "scope=source&source=media&path=films/",
            "scope=source&source=media&soft=true", "scope=object&path=films/one.mkv",
        ]
    )
    func unclear(query: String) async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            try await cache.serve { admin in
                for method in ["POST", "DELETE"] {
                    let answer = try await admin.request(method, "/admin/v1/cache/pins?\(query)")
                    #expect(answer.status == 400)
                }
                let answer = try await admin.request("GET", "/admin/v1/cache/pins?source=media")
                #expect(answer.status == 400)
                #expect(cache.store.pins.isEmpty)
            }
        }
    }

    @Test("a page of another site and whoever has no token change no pin, and other methods are not taken")
    func access() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            let target = "/admin/v1/cache/pins?scope=source&source=media"
            try await cache.serve { admin in
                #expect(try await admin.request("POST", target, fields: ["Origin: http://evil.test"]).status == 403)
                let answer = try await admin.request("PUT", target)
                #expect((answer.status, answer["Allow"]) == (405, "GET, HEAD, POST, DELETE"))
            }
            try await cache.serve(token: "secret") { admin in
                for method in ["GET", "POST", "DELETE"] {
                    let answer = try await admin.request(method, target)
                    #expect(answer.status == 401)
                }
            }
            #expect(cache.store.pins.isEmpty)
        }
    }

    @Test(
        "what is pinned is written as a source, a path, a folder, or with the path by itself",
        arguments: [
            ("media", nil, false, .source("media")), ("media/", nil, false, .source("media")),
            ("media/a/b.mkv", nil, false, .object(source: "media", path: Array("a/b.mkv".utf8))),
            ("media/a/", nil, false, .prefix(source: "media", path: Array("a/".utf8))),
            ("media/a", nil, true, .prefix(source: "media", path: Array("a".utf8))),
            ("media", "/a b", false, .object(source: "media", path: Array("a b".utf8))),
            ("media", "a/", false, .prefix(source: "media", path: Array("a/".utf8))),
            ("media", "a", true, .prefix(source: "media", path: Array("a".utf8))),
            ("media/a", "b", false, nil), ("media", nil, true, nil), ("", nil, false, nil), ("/a", nil, false, nil),
        ] as [(String, String?, Bool, PinScope?)]
    )
    func scopes(text: String, path: String?, isPrefix: Bool, expected: PinScope?) {
        #expect(PinScope(text, path: path, isPrefix: isPrefix) == expected)
    }

    @Test("the list of pins is a table, with what is beyond the budget")
    func text() async throws {
        try await CacheUnderTest.with(Self.objects) { cache in
            let administration = CacheAdministration(cache.store, sources: ["media", "other"])
            #expect(try CacheText.text(administration.pins()) == "nothing is pinned\n")
            let report = try await administration.pin(.prefix(source: "media", path: Array("films/".utf8)))
            #expect(CacheText.pinText(report) == "pinned media/films/: 2 objects, 312 KiB\n")
            let other = try await administration.pin(.object(source: "other", path: Array("x\u{1B}".utf8)))
            #expect(CacheText.pinText(other) == "pinned other/x\u{FFFD}: nothing of it is in the cache yet\n")
            #expect(
                try CacheText.text(administration.pins()) == """
                     CACHED  OBJECTS  PIN
                    312 KiB        2  media/films/
                        0 B        0  other/x\u{FFFD}
                    312 KiB of 4.0 MiB kept from eviction

                    """
            )
            let ended = try await administration.unpin(.prefix(source: "media", path: Array("films/".utf8)))
            #expect(CacheText.unpinText(ended) == "unpinned media/films/: 2 objects, 312 KiB\n")
        }
    }
}
