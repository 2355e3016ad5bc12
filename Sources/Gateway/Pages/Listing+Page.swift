import SourcePlugins

extension Listing {
    /// The directory as a page: a click on a film plays it.
    package func page() -> Page {
        let title = title ?? path.name?.displayText ?? mount.title
        let directories = items.filter(\.entry.isDirectory)
        let files = items.filter { !$0.entry.isDirectory }
        let rows = (directories + files).map(row)
        return Page(
            title: title,
            body: """
                \(breadcrumbs(to: path, mount: mount))
                <main>
                <div class="bar"><h1><bdi>\(title)</bdi></h1>\(actions)</div>
                <ul class="rows panel">
                \(parentRow)\(rows.isEmpty ? ["<li class=\"empty\">Nothing here yet.</li>"] : rows)
                </ul>
                <p class="quiet">\(summary(directories: directories.count, files: files))</p>
                </main>
                """
        )
    }

    private var actions: HTML {
        let url = mount.url(path)
        let playlist: HTML =
            playable.isEmpty
            ? "" : "<a href=\"\(url)?format=m3u\" title=\"Open everything here in a media player\">Playlist</a>"
        return "<span class=\"actions\">\(playlist)<a href=\"\(url)?format=json\">JSON</a></span>"
    }

    private var parentRow: HTML {
        guard !path.isRoot || mount.url != "/" else { return "" }
        let url = path.parent.map { $0.isRoot ? mount.listingURL : mount.url($0) } ?? "/"
        return """
            <li><span class="glyph" aria-hidden="true">↑</span><a class="name" href="\(url)" rel="up">Up</a></li>

            """
    }

    private func row(_ item: Item) -> HTML {
        let date = item.entry.lastModified?.rfc3339 ?? ""
        let day = String(date.prefix { $0 != "T" })
        let actions: HTML =
            item.entry.isDirectory
            ? ""
            : "<a href=\"\(item.url)\">File</a><a href=\"\(item.url)?download\" download>Download</a>"
        return """
            <li><span class="glyph" aria-hidden="true">\(glyph(of: item))</span>\
            <a class="name" href="\(item.pageURL)"><bdi>\(item.entry.name.displayText)</bdi></a>\
            <span class="size quiet">\(item.entry.size.map(humanSize) ?? "")</span>\
            <time class="date quiet" datetime="\(date)">\(day)</time>\
            <span class="actions">\(actions)</span></li>

            """
    }

    private func summary(directories: Int, files: [Item]) -> String {
        let total = files.reduce(into: Int64(0)) { sum, file in
            let (next, overflow) = sum.addingReportingOverflow(max(file.entry.size ?? 0, 0))
            sum = overflow ? .max : next
        }
        return [
            "\(directories) director\(directories == 1 ? "y" : "ies")",
            "\(files.count) file\(files.count == 1 ? "" : "s")",
            humanSize(total),
        ].joined(separator: ", ")
    }

    private func glyph(of item: Item) -> String {
        switch item.type?.kind {
        case nil: "▸"
        case .video: "▶"
        case .audio: "♪"
        case .image: "▣"
        case .playlist: "≡"
        case .subtitle, .other: "·"
        }
    }
}
