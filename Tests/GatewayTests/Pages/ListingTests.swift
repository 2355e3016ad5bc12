import Foundation
import Gateway
import SourcePlugins
import Testing

@Suite("Listings")
struct ListingTests {
    @Test("JSON names, types, sizes, dates, URLs and subtitles")
    func json() throws {
        let entries = [
            try directoryEntry("extras"), try fileEntry("film.en.srt", size: 50),
            try fileEntry("film.mkv", size: 5_000_000_000),
            try fileEntry([0x66, 0xFF, 0x2E, 0x74, 0x78, 0x74], size: 3),
        ]
        let json = String(decoding: try listing(entries, at: "Das Boot/").json(), as: UTF8.self)
        #expect(
            json
                == [
                    #"{"entries":["#,
                    #"{"name":"extras","type":"directory","url":"/media/Das%20Boot/extras/"},"#,
                    #"{"media_type":"application/x-subrip","modified":"2024-05-01T12:00:00Z","name":"film.en.srt","#,
                    #""size":50,"type":"file","url":"/media/Das%20Boot/film.en.srt"},"#,
                    #"{"media_type":"video/x-matroska","modified":"2024-05-01T12:00:00Z","name":"film.mkv","#,
                    #""size":5000000000,"subtitles":["#,
                    #"{"format":"srt","language":"en","url":"/media/Das%20Boot/film.en.srt"},"#,
                    #"{"format":"vtt","language":"en","url":"/media/Das%20Boot/film.en.vtt"}],"#,
                    #""type":"file","url":"/media/Das%20Boot/film.mkv"},"#,
                    #"{"media_type":"text/plain; charset=utf-8","modified":"2024-05-01T12:00:00Z","name":"f�.txt","#,
                    #""size":3,"type":"file","url":"/media/Das%20Boot/f%FF.txt"}"#,
                    #"],"path":"/media/Das%20Boot/"}"#,
                ].joined()
        )
    }

    @Test("the URL of a name leads back to its bytes", arguments: hostileNames)
    func urlRoundTrip(name: String) throws {
        let url = try #require(try listing([fileEntry(name)]).items.first?.url)
        let path = try MediaPath(percentEncoded: url.dropFirst("/media".count).utf8)
        #expect(path.bytes == Array(name.utf8))
    }

    @Test("JSON parses for hostile names and keeps them", arguments: hostileNames)
    func hostileJSON(name: String) throws {
        struct Document: Decodable {
            struct Entry: Decodable { let name: String }
            let entries: [Entry]
        }
        let json = Data(try listing([fileEntry(name)]).json())
        #expect(try JSONDecoder().decode(Document.self, from: json).entries.map(\.name) == [name])
    }

    @Test("a page links a film to its player, a text to itself, a directory to its listing")
    func links() throws {
        let markup = try listing([fileEntry("film.mkv"), fileEntry("notes.txt"), directoryEntry("extras")], at: "d/")
            .page().markup
        #expect(markup.contains(#"href="/media/d/film.mkv?play""#))
        #expect(markup.contains(#"href="/media/d/film.mkv?download""#))
        #expect(markup.contains(#"class="name" href="/media/d/notes.txt""#))
        #expect(markup.contains(#"class="name" href="/media/d/extras/""#))
        #expect(markup.contains(#"href="/media/d/?format=m3u""#))
    }

    @Test(
        "a page leads one directory up, and from the top of a source to the landing page",
        arguments: [
            ("", "/media", "/"), ("a/", "/media", "/media/"), ("a/b/", "/media", "/media/a/"),
            ("a/", "/", "/?format=html"), ("a/b/", "/", "/a/"),
        ]
    )
    func parent(path: String, mount: String, parent: String) throws {
        #expect(try listing([], at: path, mount: mount).page().markup.contains(#"href="\#(parent)" rel="up""#))
    }

    @Test("a page without media offers no playlist, and an empty one says so")
    func empty() throws {
        let markup = try listing([]).page().markup
        #expect(!markup.contains("format=m3u"))
        #expect(markup.contains("Nothing here yet."))
    }

    @Test(
        "sizes are for people",
        arguments: [
            (-5, "0 B"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_048_575, "1.0 MiB"),
            (5_000_000_000, "4.7 GiB"), (150_000_000, "143 MiB"), (Int64.max, "8.0 EiB"),
        ] as [(Int64, String)]
    )
    func sizes(bytes: Int64, text: String) throws {
        #expect(try listing([fileEntry("a", size: bytes)]).page().markup.contains(">\(text)</span>"))
    }

    @Test("the total of sizes that no number holds is the largest number")
    func hugeTotal() throws {
        let entries = [try fileEntry("a", size: .max), try fileEntry("b", size: .max)]
        #expect(try listing(entries).page().markup.contains("0 directories, 2 files, 8.0 EiB"))
    }
}
