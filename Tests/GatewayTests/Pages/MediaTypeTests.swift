import Gateway
import SourcePlugins
import Testing

@Suite("Media types")
struct MediaTypeTests {
    @Test(
        "the extension decides the type and the kind",
        arguments: [
            ("film.mkv", "video/x-matroska", MediaType.Kind.video),
            ("FILM.MP4", "video/mp4", .video),
            ("a.b.webm", "video/webm", .video),
            ("clip.ts", "video/mp2t", .video),
            ("song.opus", "audio/ogg", .audio),
            ("song.flac", "audio/flac", .audio),
            ("live.m3u8", "application/vnd.apple.mpegurl", .playlist),
            ("list.m3u", "audio/x-mpegurl", .playlist),
            ("live.mpd", "application/dash+xml", .playlist),
            ("seg-1.m4s", "video/iso.segment", .other),
            ("film.srt", "application/x-subrip", .subtitle),
            ("film.vtt", "text/vtt; charset=utf-8", .subtitle),
            ("poster.jpg", "image/jpeg", .image),
            ("README", "application/octet-stream", .other),
            (".mp4", "application/octet-stream", .other),
            ("film.mp4.exe", "application/octet-stream", .other),
        ]
    )
    func byExtension(name: String, contentType: String, kind: MediaType.Kind) throws {
        let type = MediaType(of: try MediaPath.Component(name.utf8))
        #expect(type.contentType == contentType)
        #expect(type.kind == kind)
    }

    @Test("what a browser would run arrives as plain text", arguments: ["html", "htm", "xhtml", "xml", "js", "mjs"])
    func activeExtensions(name: String) {
        #expect(MediaType(fileExtension: name).contentType == "text/plain; charset=utf-8")
    }

    @Test("types that browsers parse as documents are sandboxed", arguments: ["svg", "mpd"])
    func sandboxed(name: String) throws {
        let policy = try #require(MediaType(fileExtension: name).contentSecurityPolicy)
        #expect(policy.contains("sandbox") && !policy.contains("allow-"))
    }

    @Test("media needs no policy", arguments: ["mp4", "mkv", "mp3", "jpg", "m3u8", "vtt", "srt", "txt", "bin"])
    func unrestricted(name: String) {
        #expect(MediaType(fileExtension: name).contentSecurityPolicy == nil)
    }

    @Test(
        "a declared type keeps its text, gets a kind, and is sandboxed unless it is known to be harmless",
        arguments: [
            ("video/mp4", MediaType.Kind.video, false),
            ("Video/MP4; codecs=\"avc1\"", .video, false),
            ("audio/x-mpegurl", .playlist, false),
            ("audio/unheard-of", .audio, false),
            ("text/plain", .other, false),
            ("text/vtt", .subtitle, false),
            ("text/html; charset=utf-8", .other, true),
            ("TEXT/HTML", .other, true),
            ("image/svg+xml", .image, true),
            ("application/xhtml+xml", .other, true),
            ("text/xml", .other, true),
            ("text/javascript", .other, true),
            ("multipart/x-mixed-replace; boundary=x", .other, true),
        ]
    )
    func declared(text: String, kind: MediaType.Kind, isSandboxed: Bool) throws {
        let type = try #require(MediaType(declared: text))
        #expect(type.contentType == text)
        #expect(type.kind == kind)
        #expect((type.contentSecurityPolicy != nil) == isSandboxed)
    }

    @Test(
        "a declared type that could break a head is none",
        arguments: [
            "", "video", "video/", "/mp4", "a/b/c", "video/mp4\r\nX-Injected: 1", "video/mp4\u{0}", "vidéo/mp4",
            "text/<script>", String(repeating: "a", count: 300) + "/b",
        ]
    )
    func refused(text: String) {
        #expect(MediaType(declared: text) == nil)
    }
}
