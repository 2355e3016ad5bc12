package import SourcePlugins

/// The page that plays one file, and leads to it in other ways where a browser cannot.
package struct PlayerPage: Sendable {
    private let path: MediaPath
    private let mount: MountAddress
    private let type: MediaType
    private let subtitles: [SubtitleTrack]

    /// - Parameter subtitles: as ``SubtitleIndex`` finds them; empty if the source cannot list.
    package init(_ path: MediaPath, mount: MountAddress, type: MediaType, subtitles: [SubtitleTrack]) {
        self.path = path
        self.mount = mount
        self.type = type
        self.subtitles = subtitles
    }

    package func page() -> Page {
        let title = path.name?.displayText ?? mount.title
        let url = mount.url(path)
        return Page(
            title: title,
            body: """
                \(breadcrumbs(to: path, mount: mount))
                <main>
                <h1><bdi>\(title)</bdi></h1>
                <div class="player">\(type.kind == .audio ? audio : video)</div>
                <div class="bar">
                <span class="actions"><a class="button" href="\(url)?format=m3u">Open in a player</a></span>
                <span class="actions"><a href="\(url)?download" download>Download</a>\
                <a href="\(url)">File</a>\
                <a href="\(mount.url(path.parent ?? .root))" rel="up">All files here</a></span>
                </div>
                <p class="quiet">No picture or no sound? Some formats are beyond browsers: \
                VLC, mpv and others play them from here.</p>
                </main>
                """
        )
    }

    private var video: HTML {
        "<video controls autoplay playsinline preload=\"metadata\" src=\"\(mount.url(path))\">\(tracks)</video>"
    }

    private var audio: HTML {
        "<audio controls autoplay preload=\"metadata\" src=\"\(mount.url(path))\"></audio>"
    }

    private var tracks: [HTML] {
        let directory = path.parent ?? .root
        return subtitles.filter(\.isWebVTT).enumerated().map { position, track in
            let language: HTML = track.language.map { " srclang=\"\($0)\"" } ?? ""
            return """
                <track kind="subtitles" src="\(mount.url(directory.appending(track.name)))" label="\(track.label)"\
                \(language)\(position == 0 ? " default" : "")>
                """
        }
    }
}
