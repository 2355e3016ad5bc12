import Gateway
import SourcePlugins
import Testing

@Suite("Subtitles of a video")
struct SubtitleTrackTests {
    @Test(
        "a subtitle with the video's stem belongs to it, with its language",
        arguments: [
            ("film.ass", "", nil), ("film.en.ass", "en", "en"), ("film.pt_BR.ass", "pt_BR", "pt-BR"),
            ("film.EN-us.ass", "EN-us", "en-US"), ("film.en.forced.ass", "en.forced", "en"),
            ("film.forced.ass", "forced", nil), ("film.deu.sdh.ass", "deu.sdh", "deu"),
        ] as [(String, String, String?)]
    )
    func belongs(name: String, suffix: String, language: String?) throws {
        let tracks = try tracks([name], of: "film.mkv")
        #expect(tracks.map(\.name.description) == [name])
        #expect(tracks.map(\.suffix) == [suffix])
        #expect(tracks.map(\.language) == [language])
    }

    @Test(
        "other names do not",
        arguments: [
            "film2.srt", "film.S01E02.srt", "film.part.two.srt", "film.en.txt", "Film.srt", "fil.srt", "film.a.b.c.srt",
        ]
    )
    func doesNotBelong(name: String) throws {
        #expect(try tracks([name], of: "film.mkv").isEmpty)
    }

    @Test("a stem with dots keeps its own subtitles")
    func dottedStem() throws {
        let names = ["Show.S01E01.en.ass", "Show.S01E02.en.ass", "Show.ass"]
        #expect(try tracks(names, of: "Show.S01E02.mkv").map(\.name.description) == ["Show.S01E02.en.ass"])
    }

    @Test("SubRip is offered as WebVTT unless that file is there")
    func conversion() throws {
        #expect(try tracks(["film.srt"], of: "film.mkv").map(\.name.description) == ["film.srt", "film.vtt"])
        #expect(try tracks(["film.srt"], of: "film.mkv").map(\.format) == ["srt", "vtt"])
        let both = try tracks(["film.srt", "film.vtt"], of: "film.mkv")
        #expect(both.map(\.name.description) == ["film.srt", "film.vtt"])
    }

    @Test("SubRip that is too large to be converted is offered as it is only")
    func tooLarge() throws {
        let limit = Int64(SubtitleConverter.inputLimit)
        let listing = try listing([
            fileEntry("film.mkv"), fileEntry("film.de.srt", size: limit + 1), fileEntry("film.en.srt", size: limit),
        ])
        let film = try #require(listing.playable.first)
        #expect(film.subtitles.map(\.name.description) == ["film.de.srt", "film.en.srt", "film.en.vtt"])
    }

    @Test(
        "a WebVTT file that is not there comes from the SubRip file beside it",
        arguments: [
            ("d/film.en.vtt", "d/film.en.srt"), ("film.vtt", "film.srt"), ("film.srt", nil), ("vtt/", nil), ("", nil),
        ]
            as [(String, String?)]
    )
    func source(path: String, source: String?) throws {
        #expect(SubtitleTrack.subRip(behind: try MediaPath(path)) == (try source.map { try MediaPath($0) }))
    }

    @Test("the player offers WebVTT only, the first by default")
    func player() throws {
        let listing = try listing([
            fileEntry("film.mkv"), fileEntry("film.en.srt"), fileEntry("film.de.ass"), fileEntry("film.fr.vtt"),
        ])
        let player = try #require(listing.player(for: try MediaPath.Component("film.mkv".utf8)))
        let tracks = player.page().markup.matches(of: /<track [^>]*>/).map { String($0.0) }
        #expect(
            tracks == [
                #"<track kind="subtitles" src="/media/film.en.vtt" label="en" srclang="en" default>"#,
                #"<track kind="subtitles" src="/media/film.fr.vtt" label="fr" srclang="fr">"#,
            ]
        )
    }

    private func tracks(_ names: [String], of video: String) throws -> [SubtitleTrack] {
        SubtitleIndex(files: try names.map { (name: try MediaPath.Component($0.utf8), size: Int64(100)) })
            .tracks(of: try MediaPath.Component(video.utf8))
    }
}
