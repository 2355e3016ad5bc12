import Foundation
import Gateway
import Testing

@Suite(.timeLimit(.minutes(1))) struct AccessLogTests {
    private static let record = AccessRecord(
        time: 1_764_000_000_123_456_789,
        id: 0xAB,
        client: "192.0.2.1",
        method: "GET",
        target: "/media/a.mkv?sig=secret&download",
        version: "1.1",
        status: 206,
        route: "media",
        source: "films",
        range: "bytes=0-",
        bytes: 1_048_576,
        sourceBytes: 48_576,
        cacheBytes: 1_000_000,
        firstByte: .microseconds(1234),
        total: .milliseconds(12_345),
        outcome: .clientGone,
        userAgent: "Player \"1\"\n"
    )

    @Test("a record in JSON is one object on one line, without secrets")
    func json() throws {
        #expect(
            try written { AccessLog(writer: $0, format: .json).write(Self.record) } == #"""
                {"time":"2025-11-24T16:00:00.123Z","id":"00000000000000ab","client":"192.0.2.1","method":"GET",\#
                "target":"/media/a.mkv?sig=redacted&download","version":"1.1","status":206,"route":"media",\#
                "source":"films","range":"bytes=0-","bytes":1048576,"source_bytes":48576,"cache_bytes":1000000,\#
                "first_byte_ms":1.234,"total_ms":12345.000,"outcome":"client_gone","user_agent":"Player \"1\"\n"}

                """#
        )
    }

    @Test("a record in text is one line of columns, without secrets")
    func text() throws {
        let line = try written { AccessLog(writer: $0, format: .text).write(Self.record) }
        #expect(
            line == #"""
                2025-11-24T16:00:00.123Z 206      1048576      1.234    12345.000 client_gone media    192.0.2.1       \#
                GET  /media/a.mkv?sig=redacted&download range=bytes=0- source=films agent="Player \"1\"\n" \#
                id=00000000000000ab

                """#
        )
    }

    @Test("what a request does not have is left out")
    func minimal() throws {
        var record = Self.record
        record.source = ""
        record.range = nil
        record.firstByte = nil
        record.userAgent = nil
        let line = try written { AccessLog(writer: $0, format: .json).write(record) }
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        for key in ["source", "range", "first_byte_ms", "user_agent"] { #expect(object[key] == nil) }
        let text = try written { AccessLog(writer: $0, format: .text).write(record) }
        #expect(text.contains("     1048576          -    12345.000 "))
    }

    @Test("what strangers send is cut, at a whole character")
    func limits() throws {
        var record = Self.record
        record.target = "/" + String(repeating: "ä", count: 5000)
        record.userAgent = String(repeating: "a", count: 300)
        let line = try written { AccessLog(writer: $0, format: .json).write(record) }
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["target"] as? String == "/" + String(repeating: "ä", count: 1023) + "…")
        #expect(object["user_agent"] as? String == String(repeating: "a", count: 256) + "…")
    }

    @Test(
        "signatures, tokens and magnet links are taken out of a target",
        arguments: [
            ("/a/b.mkv", "/a/b.mkv"),
            ("/a?", "/a?"),
            ("/a?x=1&download", "/a?x=1&download"),
            ("/a?sig=1&x=2&token=3&s=4", "/a?sig=redacted&x=2&token=redacted&s=redacted"),
            ("/a?SIG=1&%73ig=2&sig", "/a?SIG=redacted&%73ig=redacted&sig"),
            ("/a?sig=a=b&&y=", "/a?sig=redacted&&y="),
            ("/a?sign=1&subs=2", "/a?sign=1&subs=2"),
            (
                "/t/play?xt=urn:btih:1&dn=Name&tr=http%3A%2F%2Ft%2Fkey&tr.1=u",
                "/t/play?xt=redacted&dn=Name&tr=redacted&tr.1=redacted"
            ),
            ("/t/play?magnet_uri=1&u=magnet%3A%3Fxt%3D1", "/t/play?magnet_uri=redacted&u=redacted"),
            ("/a?magnet:?xt=1", "/a?magnet:?xt=redacted"),
            ("/stream/magnet%3A%3Fxt%3Durn&tr=x", "/stream/redacted"),
            ("/streamfile/Magnet%253a%253Fxt/a%20b.mkv?t=1", "/streamfile/redacted/a%20b.mkv?t=1"),
            ("/magnet:1", "/redacted"),
            ("/a?u=%25%36%64%25%36%31%25%36%37%25%36%65%25%36%35%25%37%34%25%33%61xt", "/a?u=redacted"),
            ("/m%61gnet:1/magnet", "/redacted/magnet"),
            ("/magnets/%6dagnet:1/%", "/magnets/redacted/%"),
            ("/a%2/b%zz?%=1&%4=2", "/a%2/b%zz?%=1&%4=2"),
            ("*", "*"),
            ("", ""),
        ]
    )
    func redaction(target: String, expected: String) {
        #expect(redacted(target: target) == expected)
    }
}
