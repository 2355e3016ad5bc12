import Gateway
import SourcePlugins
import Testing

@Suite("What a page lets names do")
struct PageSafetyTests {
    @Test("no name becomes markup on any page", arguments: hostileNames)
    func names(name: String) throws {
        let listing = try listing([fileEntry(name), directoryEntry(name)], at: name + "/")
        let player = try #require(listing.player(for: try MediaPath.Component(name.utf8)))
        let source = LandingPage.Source(name: name, kind: name, mount: MountAddress("/" + name), state: .on)
        let landing = landing([source], listings: [listing], fact: name)
        for page in [listing.page(), player.page(), landing.page()] {
            try expectOnlyOwnMarkup(page)
        }
    }

    @Test("no reason, file or key becomes markup", arguments: hostileNames)
    func reasons(text: String) throws {
        let sources = [LandingPage.Source.State.down(reason: text), .off(file: text, key: text)].map {
            LandingPage.Source(name: "a", kind: "disk", mount: MountAddress("/a"), state: $0)
        }
        try expectOnlyOwnMarkup(landing(sources, listings: [], fact: text).page())
    }

    @Test("bytes that are not UTF-8 are replaced in text and kept in links")
    func invalidUTF8() throws {
        let markup = try listing([fileEntry([0xC3, 0x28, 0x2E, 0x6D, 0x70, 0x34])]).page().markup
        #expect(markup.contains("<bdi>\u{FFFD}(.mp4</bdi>"))
        #expect(markup.contains("/media/%C3%28.mp4?play"))
    }

    @Test("text turns no direction but its own")
    func direction() throws {
        let markup = try listing([fileEntry("film\u{202E}4pm.exe")]).page().markup
        #expect(!markup.unicodeScalars.contains("\u{202E}"))
    }

    @Test("a mount at the root cannot make a link to another host")
    func rootMount() throws {
        let listing = try listing([fileEntry("evil.example")], mount: "/")
        #expect(listing.items.map(\.url) == ["/evil.example"])
    }

    @Test("the policy allows no script and nothing from elsewhere")
    func policy() {
        let policy = Page.contentSecurityPolicy
        #expect(policy.hasPrefix("default-src 'none';"))
        #expect(!policy.contains("script-src") && !policy.contains("http"))
    }

    private func landing(_ sources: [LandingPage.Source], listings: [Listing], fact: String) -> LandingPage {
        LandingPage(
            sources: sources,
            listings: listings,
            facts: [.init("Version", fact)],
            pluginDirectory: "plugins.d"
        )
    }

    /// Reads the tags as a browser finds them: none runs anything, and every address is a path on this host.
    private func expectOnlyOwnMarkup(_ page: Page, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let names: Set<String> = [
            "!doctype", "html", "head", "meta", "title", "link", "style", "body", "nav", "a", "bdi", "span", "main",
            "div", "h1", "h2", "ul", "li", "p", "time", "video", "audio", "track", "header", "strong", "code", "dl",
            "dt", "dd", "form", "input", "button",
        ]
        for tag in page.markup.matches(of: /<\/?([^\s>]*)([^>]*)>/) {
            let attributes = String(tag.2)
            #expect(names.contains(String(tag.1)), sourceLocation: sourceLocation)
            #expect(!attributes.contains(/\son\w+\s*=/), sourceLocation: sourceLocation)
            for address in attributes.matches(of: /\s(?:href|src|action)="([^"]*)"/) where tag.1 != "link" {
                #expect(address.1.contains(/^\/(?:[^\/]|$)/), sourceLocation: sourceLocation)
            }
            #expect(attributes.count { $0 == "\"" }.isMultiple(of: 2), sourceLocation: sourceLocation)
        }
        #expect(!page.markup.contains("<script"), sourceLocation: sourceLocation)
    }
}
