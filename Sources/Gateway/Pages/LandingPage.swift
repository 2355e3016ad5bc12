import SourcePlugins

/// The page at `/`: what can be watched, where it comes from, and what to change so that there is more.
package struct LandingPage: Sendable {
    package struct Source: Sendable {
        package enum State: Sendable, Hashable {
            case on
            /// Set `key` in `file` to enable it.
            case off(file: String, key: String)
            case down(reason: String)
        }

        package var name: String
        package var kind: String
        package var mount: MountAddress
        package var state: State
        /// Whether it takes a magnet link at `{mount}/play?magnet=…`.
        package var takesMagnets: Bool

        package init(name: String, kind: String, mount: MountAddress, state: State, takesMagnets: Bool = false) {
            self.name = name
            self.kind = kind
            self.mount = mount
            self.state = state
            self.takesMagnets = takesMagnets
        }
    }

    /// One line on what is running, such as its version or its addresses.
    package struct Fact: Sendable {
        package var label: String
        package var value: String

        package init(_ label: String, _ value: String) {
            self.label = label
            self.value = value
        }
    }

    private static let filmLimit = 12

    private let sources: [Source]
    private let films: [Listing.Item]
    private let facts: [Fact]
    private let pluginDirectory: String

    /// - Parameters:
    ///   - listings: the tops of the sources that can list, as far as they are at hand; what is playable in them is
    ///     shown, videos first and every listing in its turn.
    ///   - pluginDirectory: where files that describe sources are, as the operator knows it.
    package init(sources: [Source], listings: [Listing], facts: [Fact], pluginDirectory: String) {
        self.sources = sources
        self.facts = facts
        self.pluginDirectory = pluginDirectory
        let videos = inTurns(listings.map { $0.playable.filter { $0.type?.kind == .video } })
        let audio = inTurns(listings.map { $0.playable.filter { $0.type?.kind == .audio } })
        films = Array((videos + audio).prefix(Self.filmLimit))
    }

    package func page() -> Page {
        Page(
            title: "media-gateway",
            body: """
                <header><h1>media-gateway</h1>
                <p class="quiet">Media from every source, at one address.</p></header>
                <main>
                \(filmSection)\
                <h2>Sources</h2>
                \(sourceList)
                \(howToAdd)
                \(factSection)\
                </main>
                """
        )
    }

    private var filmSection: HTML {
        guard !films.isEmpty else { return "" }
        return "<h2>Watch</h2>\n<div class=\"films\">\n\(films.map(tile))</div>\n"
    }

    private func tile(_ item: Listing.Item) -> HTML {
        let title = singleLine(String(decoding: item.entry.name.stem, as: UTF8.self))
        let size = item.entry.size.map(humanSize) ?? ""
        return """
            <a class="film\(item.type?.kind == .audio ? " audio" : "")" href="\(item.pageURL)">\
            <span class="tile"></span><span class="title"><bdi>\(title)</bdi></span>\
            <span class="quiet">\(size)</span></a>

            """
    }

    private var sourceList: HTML {
        guard !sources.isEmpty else { return "<p class=\"panel empty\">No source is configured.</p>" }
        return "<ul class=\"sources panel\">\n\(sources.map(line))</ul>"
    }

    private func line(_ source: Source) -> HTML {
        let name: HTML =
            switch source.state {
            case .on, .down: "<a href=\"\(source.mount.listingURL)\"><strong>\(source.name)</strong></a>"
            case .off: "<strong>\(source.name)</strong>"
            }
        return """
            <li><span>\(name) <span class="quiet">\(source.kind) at <code>\(source.mount.title)</code></span></span>\
            \(state(of: source))</li>

            """
    }

    private func state(of source: Source) -> HTML {
        switch source.state {
        case .on:
            "<span class=\"state on\">on</span>\(source.takesMagnets ? magnetForm(source.mount) : "")"
        case .off(let file, let key):
            """
            <span class="state">off</span><span class="more quiet">To enable it, set <code>\(key)</code> in \
            <code>\(file)</code> and restart.</span>
            """
        case .down(let reason):
            "<span class=\"state down\">down</span><span class=\"more quiet\">\(reason)</span>"
        }
    }

    private var howToAdd: HTML {
        """
        <p class="quiet">One file in <code>\(pluginDirectory)</code> is one source: add a file to add a source.</p>
        """
    }

    private var factSection: HTML {
        guard !facts.isEmpty else { return "" }
        let rows = facts.map { "<dt>\($0.label)</dt><dd>\($0.value)</dd>\n" as HTML }
        return "<h2>Running</h2>\n<dl class=\"panel\">\n\(rows)</dl>\n"
    }
}

/// The first of each, the second of each, and so on.
private func inTurns(_ lists: [[Listing.Item]]) -> [Listing.Item] {
    let longest = lists.map(\.count).max() ?? 0
    return (0..<longest).flatMap { index in lists.compactMap { index < $0.count ? $0[index] : nil } }
}
