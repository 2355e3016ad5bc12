import Foundation
import Gateway
import Testing

@Suite struct CacheTextTests {
    private static func list(_ items: [String], total: Int) throws -> CacheItemList {
        let json = #"{"items": [\#(items.joined(separator: ","))], "total": \#(total)}"#
        return try JSONDecoder().decode(CacheItemList.self, from: Data(json.utf8))
    }

    private static func item(
        _ path: String,
        size: Int64,
        bytes: Int64,
        chunks: Int,
        hits: Int = 0,
        heat: Double = 0,
        isPinned: Bool = false,
        created: Int = 1,
        variant: String? = nil
    ) -> String {
        #"""
        {"number": 1, "source": "media", "path": "\#(path)", "urlPath": "x", "size": \#(size), "revision": "r",
        "isImmutable": false, "created": \#(created), "chunks": \#(chunks), "chunkCount": 9, "bytes": \#(bytes),
        "hits": \#(hits), "heat": \#(heat), "isPinned": \#(isPinned)
        \#(variant.map { #", "variant": "\#($0)""# } ?? "")}
        """#
    }

    @Test("a list has its numbers in columns, and says that there is more")
    func list() throws {
        let items = [
            Self.item(
                "films/one.mkv",
                size: 3 << 30,
                bytes: 1 << 30,
                chunks: 1024,
                hits: 20,
                heat: 2.57,
                isPinned: true
            ),
            Self.item("a\u{202E}b\\n", size: 10, bytes: 10, chunks: 1, created: 1_000_000, variant: "sd"),
        ]
        #expect(
            CacheText.text(try Self.list(items, total: 5), now: 1_000_119) == """
                 CACHED     SIZE   PART  CHUNKS  HITS  HEAT    AGE  OBJECT
                1.0 GiB  3.0 GiB   33 %    1024    20   2.5   11 d  media/films/one.mkv [pinned]
                   10 B     10 B  100 %       1     0   0.0  119 s  media/a\u{FFFD}b\u{FFFD} (sd)
                and 3 more; see --limit

                """
        )
        #expect(CacheText.text(try Self.list([], total: 0)) == "nothing of that is in the cache\n")
    }

    @Test(
        "progress shows the part done, the rate, and the time left",
        arguments: [
            (VerifyReport(), 0, nil, "0 %  0/0 chunks"),
            (
                VerifyReport(checked: 25, total: 100, bytes: 25 << 20), 5, nil,
                "25 %  25/100 chunks  5.0 MiB/s  0:15 left"
            ),
            (
                VerifyReport(checked: 1, total: 4000, bytes: 1 << 20, corrupt: 1), 1, nil,
                "0 %  1/4000 chunks  1.0 MiB/s  1:06:39 left  1 corrupt"
            ),
            (
                VerifyReport(checked: 25, total: 100, bytes: 25 << 20), 5, 66,
                "[#####----------------] 25 %  25/100 chunks  5.0 MiB/s  0:15 left"
            ),
            // No room for a bar.
            (
                VerifyReport(checked: 25, total: 100, bytes: 25 << 20), 5, 20,
                "25 %  25/100 chunks  5.0 MiB/s  0:15 left"
            ),
            (VerifyReport(checked: 7, total: 5, bytes: 1), 1, nil, "100 %  7/5 chunks  1 B/s  0:00 left"),
        ] as [(VerifyReport, Int, Int?, String)]
    )
    func progress(report: VerifyReport, seconds: Int, width: Int?, text: String) {
        #expect(CacheText.progress(report, elapsed: .seconds(seconds), width: width) == text)
    }

    @Test("results are sentences")
    func results() throws {
        let purged = try JSONDecoder().decode(PurgeReport.self, from: Data(#"{"objects": 1, "chunks": 20}"#.utf8))
        #expect(CacheText.text(purged) == "purged 1 object with 20 chunks\n")
        let clean = VerifyReport(checked: 1, total: 1, bytes: 1024)
        #expect(CacheText.text(clean) == "checked 1 chunk, 1.0 KiB: all as stored\n")
        let damaged = VerifyReport(checked: 9, total: 9, bytes: 0, corrupt: 2)
        #expect(CacheText.text(damaged) == "checked 9 chunks, 0 B: 2 corrupt, dropped\n")
        let rebuilt = #"""
            {"chunkSize": 1048576, "oldChunkSize": 65536, "checked": 99, "corrupt": 1, "chunks": 1, "bytes": 1048576,
            "leftOutBytes": 2048}
            """#
        #expect(
            CacheText.text(try JSONDecoder().decode(RebuildReport.self, from: Data(rebuilt.utf8)))
                == "chunks were of 64.0 KiB and are of 1.0 MiB: 1 chunk, 1.0 MiB; 2.0 KiB left out; 1 corrupt, dropped\n"
        )
    }

    @Test("JSON has the keys of the admin interface")
    func json() throws {
        #expect(
            CacheText.json(VerifyReport(checked: 1, total: 2, bytes: 3, corrupt: 4))
                == "{\"bytes\":3,\"checked\":1,\"corrupt\":4,\"total\":2}\n"
        )
        let list = try Self.list([Self.item("a/b", size: 1, bytes: 1, chunks: 1)], total: 1)
        #expect(CacheText.json(list).contains(#""path":"a/b""#))
        #expect(CacheText.json(list).contains(#""url_path":"x""#))
    }
}
