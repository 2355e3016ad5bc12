import Gateway
import SourcePlugins
import Testing

@Suite("Landing page")
struct LandingPageTests {
    @Test("it says of every source what it is, where it is and how it is")
    func sources() {
        let page = landing([
            .init(name: "media", kind: "disk", mount: MountAddress("/media"), state: .on),
            .init(
                name: "origin",
                kind: "http",
                mount: MountAddress("/origin"),
                state: .off(file: "plugins.d/origin.toml", key: "enabled = true")
            ),
            .init(name: "far", kind: "http", mount: MountAddress("/far"), state: .down(reason: "connection refused")),
        ])
        #expect(
            page.contains(
                #"<a href="/media/"><strong>media</strong></a> <span class="quiet">disk at <code>/media</code>"#
            )
        )
        #expect(page.contains("set <code>enabled = true</code> in <code>plugins.d/origin.toml</code>"))
        #expect(!page.contains(#"href="/origin/""#))
        #expect(page.contains("connection refused"))
        #expect(page.contains("<code>plugins.d</code>"))
    }

    @Test("only a source that is on and takes magnets has a box for them")
    func magnets() {
        let mount = MountAddress("/torrent")
        let on = LandingPage.Source(name: "torrent", kind: "torrent", mount: mount, state: .on, takesMagnets: true)
        #expect(landing([on]).contains(#"action="/torrent/play" method="get""#))
        var down = on
        down.state = .down(reason: "x")
        #expect(!landing([down]).contains("<form"))
        #expect(!landing([.init(name: "a", kind: "disk", mount: mount, state: .on)]).contains("<form"))
    }

    @Test("at most twelve films are one click away, videos first, every source in its turn")
    func films() throws {
        let first = try listing(
            (10...30).map { try fileEntry("a\($0).mkv") } + [fileEntry("song.mp3"), fileEntry("x.txt")]
        )
        let second = try listing([fileEntry("b.mp4")], mount: "/other")
        let page = LandingPage(sources: [], listings: [first, second], facts: [], pluginDirectory: "p").page().markup
        let links = page.matches(of: /class="film" href="([^"]*)"/).map { String($0.1) }
        #expect(links.count == 12)
        #expect(links.prefix(3) == ["/media/a10.mkv?play", "/other/b.mp4?play", "/media/a11.mkv?play"])
    }

    @Test("with nothing to watch it still stands")
    func empty() {
        let page = landing([])
        #expect(page.contains("No source is configured."))
        #expect(!page.contains("<h2>Watch</h2>"))
        #expect(!page.contains("<h2>Running</h2>"))
    }

    private func landing(_ sources: [LandingPage.Source]) -> String {
        LandingPage(sources: sources, listings: [], facts: [], pluginDirectory: "plugins.d").page().markup
    }
}
