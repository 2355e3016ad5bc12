import Gateway
import SourcePlugins
import Testing

@Suite("Playlists")
struct PlaylistTests {
    @Test("a directory's list has whole URLs of audio and video, with their subtitles")
    func directoryList() throws {
        let entries = [
            try fileEntry("cover.jpg"), try fileEntry("film 2.mkv"), try fileEntry("film 1.mp4"),
            try fileEntry("film 1.srt"),
            try fileEntry("film 1.de.ass"), try fileEntry("song.mp3"), try fileEntry("live.m3u8"),
            try directoryEntry("extras.mkv"),
        ]
        let base = try #require(BaseURL(.http, authority: "127.0.0.1:8080"))
        #expect(
            try listing(entries, at: "d/").playlist(base: base).text == """
                #EXTM3U
                #EXTINF:-1,film 1
                #EXTVLCOPT:input-slave=http://127.0.0.1:8080/media/d/film%201.de.ass\
                #http://127.0.0.1:8080/media/d/film%201.srt
                http://127.0.0.1:8080/media/d/film%201.mp4
                #EXTINF:-1,film 2
                http://127.0.0.1:8080/media/d/film%202.mkv
                #EXTINF:-1,song
                http://127.0.0.1:8080/media/d/song.mp3

                """
        )
    }

    @Test("a single file has a list of its own")
    func single() throws {
        let base = try #require(BaseURL(.https, authority: "[::1]"))
        let item = Playlist.Item(try MediaPath("d/film.mkv"), mount: MountAddress("/media"), subtitles: [])
        #expect(
            Playlist([item], base: base).text == "#EXTM3U\n#EXTINF:-1,film\nhttps://[::1]/media/d/film.mkv\n"
        )
    }

    @Test("no name adds a line", arguments: hostileNames)
    func oneLineEach(name: String) throws {
        let base = try #require(BaseURL(.http, authority: "localhost"))
        let text = try listing([fileEntry(name)]).playlist(base: base).text
        #expect(!text.contains("\r"))
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == 4)
        #expect(lines.first == "#EXTM3U")
        #expect(lines.dropFirst().first?.hasPrefix("#EXTINF:-1,") == true)
        #expect(lines.dropFirst(2).first?.hasPrefix("http://localhost/media/") == true)
    }

    @Test(
        "a Host field that is not one makes no base",
        arguments: [
            "", "a b", "a\r\nb", "a/b", "a?b", "a#b", "user@host", "a\"b", "<b>", String(repeating: "a", count: 256),
        ]
    )
    func badAuthorities(authority: String) {
        #expect(BaseURL(.http, authority: authority) == nil)
    }

    @Test(
        "a list is saved under the name of what it lists",
        arguments: [("", "media.m3u"), ("a/b.c/", "b.c.m3u"), ("a/film.mkv", "film.m3u")]
    )
    func names(path: String, name: String) throws {
        #expect(Playlist.name(for: try MediaPath(path))?.description == name)
    }
}
