/// A torrent of which everything is known, loaded or not: what is kept of it, vetted once more when it is read.
final class StoredTorrent: Sendable {
    let id: ItemID
    let upload: TorrentUpload

    var metadata: TorrentMetadata { upload.metadata }

    /// - Parameter file: a whole .torrent.
    /// - Throws: ``SourceError`` `badReference` or `refused`.
    init(_ file: [UInt8], policy: AddressPolicy) throws {
        upload = try TorrentUpload(file, policy: policy)
        id = try ItemID(upload.metadata.hashes)
    }

    /// Of an info dictionary that came from a peer.
    ///
    /// - Throws: ``SourceError`` `badReference` or `refused`.
    convenience init(info: [UInt8], trackers: [TrackerURL], policy: AddressPolicy) throws {
        var writer = BencodeWriter()
        writer.dictionary { writer in
            writer.string("announce-list")
            writer.list { writer in
                for tracker in trackers { writer.list { $0.string(tracker.text) } }
            }
            writer.string("info")
            writer.encoded(info)
        }
        try self.init(writer.bytes, policy: policy)
    }

    /// What is kept.
    var record: [UInt8] { upload.vetted }

    func revision(of file: TorrentFile) -> Revision? { Revision("\(id)-\(file.index)") }

    /// The file that the path names, below the item: the names as they are in the torrent, or `~` and its number.
    func file(at path: MediaPath) -> TorrentFile? {
        let names = path.components.dropFirst()
        let wanted = Array(names)
        if let file = metadata.files.first(where: { $0.isServable && $0.path == wanted }) { return file }
        if names.count == 1, let name = names.first, name.bytes.first == UInt8(ascii: "~"),
            let index = Int(String(decoding: name.bytes.dropFirst(), as: UTF8.self))
        {
            return metadata.file(at: index)
        }
        return nil
    }

    /// The path of a file relative to the source.
    func path(of file: TorrentFile) throws -> MediaPath {
        let item = MediaPath.root.appending(try MediaPath.Component(id.description.utf8))
        return file.path.reduce(item) { $0.appending($1) }
    }

    var description: ItemDescription {
        get throws {
            let files = try metadata.files.filter(\.isServable).compactMap { file in
                try revision(of: file).map { revision in
                    ItemDescription.File(
                        index: file.index,
                        path: try path(of: file),
                        size: file.size,
                        revision: revision
                    )
                }
            }
            return ItemDescription(id: id, name: metadata.name.description, files: files)
        }
    }

    /// The entries of a directory; `nil` if there is none.
    func entries(at path: MediaPath) -> [MediaEntry]? {
        let wanted = Array(path.components.dropFirst())
        var entries: [MediaPath.Component: MediaEntry] = [:]
        for file in metadata.files where file.isServable && file.path.count > wanted.count {
            guard Array(file.path.prefix(wanted.count)) == wanted else { continue }
            let name = file.path[wanted.count]
            let isFile = file.path.count == wanted.count + 1
            guard entries[name] == nil || !isFile else { continue }
            entries[name] = MediaEntry(
                name: name,
                kind: isFile ? .file(size: file.size) : .directory,
                lastModified: nil
            )
        }
        guard !entries.isEmpty || wanted.isEmpty else { return nil }
        return entries.values.sorted { $0.name < $1.name }
    }
}

extension ItemID {
    /// Version 1 names a torrent that has both, as everybody else does.
    ///
    /// - Throws: ``SourceError`` `badReference`; no hash is like that.
    init(_ hashes: InfoHashes) throws {
        guard let id = hashes.ids.first else {
            throw SourceError(.badReference, "the torrent has no info-hash")
        }
        self = id
    }
}
