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
        let subtitles: [SubtitleDocument]?

        init(_ item: Listing.Item, mount: MountAddress) {
            name = item.entry.name.description
            type = item.entry.isDirectory ? "directory" : "file"
            size = item.entry.size
            modified = item.entry.lastModified?.rfc3339
            url = item.url
            mediaType = item.type?.contentType
            let directory = item.path.parent ?? .root
            subtitles =
                item.type?.kind == .video
                ? item.subtitles.map { SubtitleDocument($0, in: directory, mount: mount) } : nil
        }
    }
}
