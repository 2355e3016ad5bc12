import SourcePlugins

/// An item as JSON: `{hash, name, state, files: [{index, path, length, type, url, etag, subtitles, cached_bytes}]}`.
///
/// `url` is a path of a URL on this listener, percent-encoded, and exact; a `path` that is not UTF-8 has replacement
/// characters in it. `etag` is as in the answers to `url`.
struct ItemDocument: Encodable {
    struct File: Encodable {
        let index: Int
        let path: String
        let length: Int64
        let type: String
        let url: String
        let etag: String
        let subtitles: [SubtitleDocument]
        let cachedBytes: Int64
    }

    let hash: String
    let name: String
    let state: String
    let files: [File]

    /// - Parameter cachedBytes: how much of the object at a path is in the chunk cache.
    init(
        _ contents: ItemContents,
        state: ItemStatus.State,
        mount: MountAddress,
        cachedBytes: (MediaPath) -> Int64
    ) {
        let item = contents.description
        let subtitles = contents.subtitles()
        let counts = Dictionary(item.files.map { ($0.path, 1) }, uniquingKeysWith: +)
        hash = item.id.description
        name = item.name
        self.state = state.rawValue
        files = item.files.map { file in
            let address = counts[file.path] == 1 ? file.path : contents.numberedPath(of: file)
            let type = ItemContents.type(of: file)
            let directory = file.path.parent ?? .root
            let tracks =
                type?.kind == .video ? file.path.name.flatMap { subtitles[directory]?.tracks(of: $0) } ?? [] : []
            return File(
                index: file.index,
                path: String(decoding: ItemContents.path(of: file), as: UTF8.self),
                length: file.size,
                type: type?.contentType ?? "application/octet-stream",
                url: mount.url(address),
                etag: "\"\(file.revision)\"",
                subtitles: tracks.map { SubtitleDocument($0, in: directory, mount: mount) },
                cachedBytes: cachedBytes(address)
            )
        }
    }
}

/// The items of a source: `{path, items: [{hash, name, state, length, url}]}`.
struct ItemListDocument: Encodable {
    struct Item: Encodable {
        let hash: String
        let name: String
        let state: String
        let length: Int64
        let url: String
    }

    let path: String
    let items: [Item]

    init(_ statuses: [ItemStatus], mount: MountAddress) {
        path = mount.url
        items = statuses.map { status in
            Item(
                hash: status.id.description,
                name: status.name,
                state: status.state.rawValue,
                length: status.size,
                url: mount.url(status.id)
            )
        }
    }
}

/// A subtitle of a video: where it is, and in what form and language.
struct SubtitleDocument: Encodable {
    let url: String
    let format: String
    let language: String?

    init(_ track: SubtitleTrack, in directory: MediaPath, mount: MountAddress) {
        url = mount.url(directory.appending(track.name))
        format = track.format
        language = track.language
    }
}

extension MountAddress {
    /// Where an item is.
    func url(_ item: ItemID) -> String { url + item.description + "/" }
}
