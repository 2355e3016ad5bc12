import SourcePlugins

extension Playlist {
    /// All audio and video of an item, in its order.
    init(_ contents: ItemContents, mount: MountAddress, base: BaseURL) {
        let subtitles = contents.subtitles()
        let items = contents.description.files.compactMap { file -> Item? in
            guard let name = file.path.name, let type = ItemContents.type(of: file), type.isPlayable else { return nil }
            let tracks = type.kind == .video ? subtitles[file.path.parent ?? .root]?.tracks(of: name) ?? [] : []
            return Item(file.path, at: contents.address(of: file), mount: mount, subtitles: tracks)
        }
        self.init(items, base: base)
    }

    /// The name to save the list of an item under.
    static func name(forItem name: String) -> MediaPath.Component? {
        try? MediaPath.Component(Array("\(singleLine(name).replacing("/", with: "_")).m3u".utf8))
    }
}
