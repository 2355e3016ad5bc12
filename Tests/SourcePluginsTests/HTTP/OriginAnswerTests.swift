import SourcePlugins
import Testing

@Suite("HTTP: what an answer says")
struct OriginAnswerTests {
    private static let tag = ("ETag", "\"v1\"")
    private static let version = ObjectVersion(size: 100, tag: "\"v1\"", modified: nil)

    private static func head(_ status: Int, _ fields: [(String, String)]) -> OriginHead {
        OriginHead(status: status, fields: fields.map { (name: $0.0, value: $0.1) })
    }

    @Test(
        "a body is taken for what it is",
        arguments: [
            (206, [tag, ("Content-Range", "bytes 10-19/100")], .part(10..<20)),
            (206, [tag, ("Content-Range", "bytes 10-19/100"), ("Content-Length", "10")], .part(10..<20)),
            (206, [tag, ("Content-Range", "bytes 10-14/100"), ("Content-Length", "5")], .part(10..<15)),
            (206, [tag, ("Content-Range", "bytes 10-19/100"), ("Content-Encoding", "Identity")], .part(10..<20)),
            (200, [tag, ("Content-Length", "100")], .whole), (200, [tag], .whole),
        ] as [(Int, [(String, String)], OriginAnswer.Body)]
    )
    func sound(_ status: Int, _ fields: [(String, String)], _ body: OriginAnswer.Body) throws {
        #expect(try OriginAnswer.body(Self.head(status, fields), asked: 10..<20, of: Self.version) == body)
    }

    @Test(
        "a body that is not what was asked, or of another version, is refused",
        arguments: [
            (206, [tag], .unavailable), (206, [tag, ("Content-Range", "nonsense")], .unavailable),
            (206, [tag, ("Content-Range", "bytes 11-20/100")], .unavailable),
            (206, [tag, ("Content-Range", "bytes 9-19/100")], .unavailable),
            (206, [tag, ("Content-Range", "bytes 10-20/100")], .unavailable),
            (206, [tag, ("Content-Range", "bytes 10-19/*")], .unavailable),
            (206, [tag, ("Content-Range", "bytes */100")], .unavailable),
            (206, [tag, ("Content-Range", "bytes 10-19/101")], .changed),
            (206, [tag, ("Content-Range", "bytes 10-19/100"), ("Content-Length", "9")], .unavailable),
            (206, [tag, ("Content-Range", "bytes 10-19/100"), ("Content-Length", "x")], .unavailable),
            (206, [tag, ("Content-Range", "bytes 10-19/100"), ("Content-Range", "bytes 10-19/100")], .unavailable),
            (
                206, [tag, ("Content-Range", "bytes 10-19/100"), ("Content-Type", "Multipart/Byteranges; boundary=x")],
                .unavailable
            ),
            (206, [tag, ("Content-Range", "bytes 10-19/100"), ("Content-Encoding", "gzip")], .refused),
            (
                206, [tag, ("Content-Range", "bytes 10-19/100"), ("Transfer-Encoding", "gzip, chunked")], .unavailable
            ),
            (200, [tag, ("Transfer-Encoding", "gzip")], .unavailable),
            (206, [("Content-Range", "bytes 10-19/100")], .changed),
            (206, [("ETag", "\"v2\""), ("Content-Range", "bytes 10-19/100")], .changed),
            (206, [("ETag", "W/\"v1\""), ("Content-Range", "bytes 10-19/100")], .changed),
            (200, [], .changed), (200, [("ETag", "\"v2\"")], .changed), (200, [tag, tag], .changed),
            (200, [tag, ("Content-Length", "99")], .changed), (200, [tag, ("Content-Encoding", "br")], .refused),
            (200, [tag, ("Content-Length", "100"), ("Content-Length", "99")], .unavailable),
            (412, [], .changed), (416, [], .changed), (404, [], .notFound), (410, [], .notFound),
            (401, [], .forbidden), (403, [], .forbidden), (408, [], .notReady), (425, [], .notReady),
            (429, [], .overloaded), (503, [], .overloaded), (400, [], .refused), (451, [], .refused),
            (500, [], .unavailable), (599, [], .unavailable), (304, [], .unavailable), (204, [], .unavailable),
            (101, [], .unavailable), (302, [], .unavailable), (999, [], .unavailable), (0, [], .unavailable),
        ] as [(Int, [(String, String)], SourceError.Code)]
    )
    func unsound(_ status: Int, _ fields: [(String, String)], _ code: SourceError.Code) {
        let error = #expect(throws: SourceError.self) {
            _ = try OriginAnswer.body(Self.head(status, fields), asked: 10..<20, of: Self.version)
        }
        #expect(error?.code == code)
    }

    @Test(
        "without a strong tag, a date that differs is another version",
        arguments: [nil, "W/\"v1\"", "v1"] as [String?]
    )
    func dates(_ tag: String?) throws {
        let tags = tag.map { [("ETag", $0)] } ?? []
        let version = ObjectVersion(size: 100, tag: tag, modified: "yesterday")
        let range = ("Content-Range", "bytes 10-19/100")
        let same = Self.head(206, tags + [range, ("Last-Modified", "yesterday")])
        #expect(try OriginAnswer.body(same, asked: 10..<20, of: version) == .part(10..<20))
        let other = Self.head(206, tags + [range, ("Last-Modified", "today")])
        #expect(throws: SourceError.self) { try OriginAnswer.body(other, asked: 10..<20, of: version) }
    }

    @Test(
        "the first answer tells size and type, or that all has to be asked for",
        arguments: [
            (206, [("Content-Range", "bytes 0-0/7"), ("Content-Type", "video/mp4")], 7, "video/mp4"),
            (206, [("Content-Range", "bytes 0-0/7"), ("Content-Type", "application/octet-stream")], 7, nil),
            (
                200, [("Content-Length", "7"), ("Content-Type", "text/vtt; charset=utf-8")], 7,
                "text/vtt; charset=utf-8"
            ),
            (200, [], nil, nil), (200, [("Content-Length", "0")], 0, nil), (200, [("Content-Type", "video")], nil, nil),
            (200, [("Content-Type", "video/é")], nil, nil), (200, [("Transfer-Encoding", "chunked")], nil, nil),
        ] as [(Int, [(String, String)], Int64?, String?)]
    )
    func facts(_ status: Int, _ fields: [(String, String)], _ size: Int64?, _ type: String?) throws {
        let facts = try #require(try OriginAnswer.facts(Self.head(status, fields), asked: 0..<1))
        #expect(facts.version.size == size)
        #expect(facts.mediaType == type)
        #expect(facts.ignoresRanges == (status == 200 && size == 7))
    }

    @Test("an answer that tells no size is no fact", arguments: [(416, "bytes */0"), (206, "bytes 0-0/*")])
    func factless(_ status: Int, _ range: String) throws {
        #expect(try OriginAnswer.facts(Self.head(status, [("Content-Range", range)]), asked: 0..<1) == nil)
    }

    @Test(
        "a revision is made of a strong tag and the length, and of nothing else",
        arguments: [
            ("\"abc\"", 7, "abc-7"), ("W/\"abc\"", 7, nil), (nil, 7, nil), ("\"abc\"", nil, nil), ("abc", 7, nil),
            ("\"", 7, nil), ("\"a\"b\"", 7, nil), ("\"a\u{FFFD}\"", 7, nil), ("\"\"", 7, "-7"),
            ("\"a b\"", 7, nil),
        ] as [(String?, Int64?, String?)]
    )
    func revisions(_ tag: String?, _ size: Int64?, _ revision: String?) {
        let version = ObjectVersion(size: size, tag: tag, modified: "Sun, 06 Nov 1994 08:49:37 GMT")
        #expect(version.revision?.opaque == revision)
    }

    @Test("a tag that no revision can hold has one of its own all the same")
    func digests() throws {
        let tags = [String(repeating: "x", count: 500), String(repeating: "x", count: 501), "é", "è"]
        let revisions = tags.compactMap { ObjectVersion(size: 7, tag: "\"\($0)\"", modified: nil).revision }
        #expect(Set(revisions).count == tags.count)
    }
}
