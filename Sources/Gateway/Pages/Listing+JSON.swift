import SourcePlugins

extension Listing {
    /// `{path, entries: [{name, type, size, modified, url, media_type, subtitles: [{url, format, language}]}]}`.
    ///
    /// `path` and every `url` are paths of URLs on this listener, percent-encoded, and exact; a `name` that is not
    /// UTF-8 has replacement characters in it. What does not apply to an entry is absent.
    package func json() -> [UInt8] {
        JSONBody.encode(Document(path: mount.url(path), entries: items.map { Document.Entry($0, mount: mount) }))
    }
}

private struct Document: Encodable {
    let path: String
    let entries: [Entry]

    struct Entry: Encodable {
        let name: String
        let type: String
        let size: Int64?
        let modified: String?
        let url: String
        let mediaType: String?
        let subtitles: [Subtitle]?

        init(_ item: Listing.Item, mount: MountAddress) {
            name = item.entry.name.description
            type = item.entry.isDirectory ? "directory" : "file"
            size = item.entry.size
            modified = item.entry.lastModified?.rfc3339
            url = item.url
            mediaType = item.type?.contentType
            subtitles =
                item.type?.kind == .video ? item.subtitles.map { Subtitle($0, of: item.path, mount: mount) } : nil
        }
    }

    struct Subtitle: Encodable {
        let url: String
        let format: String
        let language: String?

        init(_ track: SubtitleTrack, of video: MediaPath, mount: MountAddress) {
            url = mount.url((video.parent ?? .root).appending(track.name))
            format = track.format
            language = track.language
        }
    }
}
