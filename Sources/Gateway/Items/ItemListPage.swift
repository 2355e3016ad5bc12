import SourcePlugins

/// The items of a source as a page, with a box for magnet links.
struct ItemListPage: Sendable {
    private let statuses: [ItemStatus]
    private let mount: MountAddress
    private let takesMagnets: Bool

    init(_ statuses: [ItemStatus], mount: MountAddress, takesMagnets: Bool) {
        self.statuses = statuses
        self.mount = mount
        self.takesMagnets = takesMagnets
    }

    func page() -> Page {
        Page(
            title: mount.title,
            body: """
                \(breadcrumbs(to: .root, mount: mount))
                <main>
                <div class="bar"><h1><bdi>\(mount.title)</bdi></h1>\
                <span class="actions"><a href="\(mount.url)?format=json">JSON</a></span></div>
                \(takesMagnets ? magnetForm(mount) : "")
                <ul class="rows panel">
                \(statuses.isEmpty ? ["<li class=\"empty\">Nothing here yet.</li>"] : statuses.map(row))
                </ul>
                </main>
                """
        )
    }

    private func row(_ status: ItemStatus) -> HTML {
        """
        <li><span class="glyph" aria-hidden="true">▸</span>\
        <a class="name" href="\(mount.url(status.id))"><bdi>\(singleLine(status.name))</bdi></a>\
        <span class="size quiet">\(humanSize(status.size))</span>\
        <span class="date quiet">\(status.state.rawValue)</span>\
        <span class="actions"><a href="\(mount.url(status.id))?format=m3u">Playlist</a></span></li>

        """
    }
}

/// A box for a magnet link, which works without scripts.
func magnetForm(_ mount: MountAddress) -> HTML {
    """
    <form class="more" action="\(mount.url)play" method="get">\
    <input name="magnet" placeholder="magnet:?xt=…" aria-label="Magnet link" autocomplete="off" required>\
    <button>Play</button></form>
    """
}
