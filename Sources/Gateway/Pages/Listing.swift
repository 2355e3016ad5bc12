package import SourcePlugins

/// What a directory of a source holds, in the forms a client may ask for: a page, JSON, a playlist.
package struct Listing: Sendable {
    package let mount: MountAddress
    /// The directory, relative to the mount.
    package let path: MediaPath
    /// What the directory is called, where that is not its name.
    package let title: String?
    /// In the order people expect of names.
    package let items: [Item]

    package struct Item: Sendable {
        package let entry: MediaEntry
        package let path: MediaPath
        /// The path of its URL, percent-encoded; it ends with a slash for a directory.
        package let url: String
        /// `nil` for a directory.
        package let type: MediaType?
        /// Empty unless it is a video.
        package let subtitles: [SubtitleTrack]
    }

    package init(_ entries: [MediaEntry], mount: MountAddress, path: MediaPath, title: String? = nil) {
        let files = entries.compactMap { entry in entry.size.map { (name: entry.name, size: $0) } }
        let subtitles = SubtitleIndex(files: files)
        self.mount = mount
        self.path = path
        self.title = title
        self.items = entries.sorted { NaturalOrder.precedes($0.name, $1.name) }.map { entry in
            let itemPath = path.appending(entry.name, isDirectory: entry.isDirectory)
            let type = entry.isDirectory ? nil : MediaType(of: entry.name)
            return Item(
                entry: entry,
                path: itemPath,
                url: mount.url(itemPath),
                type: type,
                subtitles: type?.kind == .video ? subtitles.tracks(of: entry.name) : []
            )
        }
    }

    /// The files a page or playlist can play.
    package var playable: [Item] { items.filter { $0.type?.isPlayable == true } }

    /// The player for one of the files; `nil` if there is no such file or it cannot be played.
    package func player(for name: MediaPath.Component) -> PlayerPage? {
        playable.first { $0.entry.name == name }.flatMap { item in
            item.type.map { PlayerPage(item.path, mount: mount, type: $0, subtitles: item.subtitles) }
        }
    }

    /// The audio and video of this directory, for players.
    package func playlist(base: BaseURL) -> Playlist {
        Playlist(
            playable.map { Playlist.Item($0.path, mount: mount, subtitles: $0.subtitles) },
            base: base
        )
    }
}

extension Listing.Item {
    /// Where a click leads: into a directory, to the player, or to the file itself.
    var pageURL: String { type?.isPlayable == true ? url + "?play" : url }
}

extension MediaEntry {
    var isDirectory: Bool { kind == .directory }

    var size: Int64? {
        switch kind {
        case .directory: nil
        case .file(let size): size
        }
    }
}
