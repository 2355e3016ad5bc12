/// Reads the files of version 1 (BEP 3, BEP 47): a list, or one file that has the torrent's name.
struct FileListReader {
    let info: Bencode.Entries
    let names: NameReader
    let limits: TorrentLimits

    func read(_ name: MediaPath.Component, _ pieceLength: Int64) throws -> TorrentLayout {
        var layout = TorrentLayout(pieceLength: pieceLength, limits: limits)
        guard let files = info["files"] else {
            try read(info, path: [name], &layout)
            return layout
        }
        guard let list = files.list else { throw SourceError(.badReference, "the torrent's files are not a list") }
        for file in list {
            let what = "file \(layout.files.count)"
            guard let entries = file.dictionary else { throw SourceError(.badReference, "\(what) is not a dictionary") }
            let path = try self.path(entries, name, what)
            try names.check(path, what)
            try read(entries, path: path, &layout)
        }
        guard !layout.files.isEmpty else { throw SourceError(.badReference, "the torrent has no files") }
        return layout
    }

    private func path(
        _ entries: Bencode.Entries,
        _ name: MediaPath.Component,
        _ what: String
    ) throws -> [MediaPath.Component] {
        // Pad files may go without a path.
        if FileAttributes(entries).isPad, entries["path"] == nil, entries["path.utf-8"] == nil {
            return [name] + TorrentLayout.padPath(entries["length"]?.integer ?? 0)
        }
        let components = try names.path(entries, what)
        // Before each is looked at: a path of a hundred thousand names costs nothing.
        guard components.count < limits.pathDepth else {
            throw SourceError(.refused, "\(what) is more than \(limits.pathDepth) names deep")
        }
        return try [name] + components.map { try names.component($0, "a name in the path of \(what)") }
    }

    private func read(
        _ entries: Bencode.Entries,
        path: [MediaPath.Component],
        _ layout: inout TorrentLayout
    ) throws {
        let attributes = FileAttributes(entries)
        // A link has no bytes, whatever its length says.
        let size = attributes.isSymlink ? 0 : entries["length"]?.integer
        guard let size else {
            throw SourceError(.badReference, "file \(layout.files.count) has no length that is a number")
        }
        let isPad = attributes.isPad || Self.isNamedAsPad(path, size: size)
        try layout.add(path: path, size: size, isPad: isPad, isSymlink: attributes.isSymlink)
    }

    /// Whether the path is one that BitComet, or libtorrent before BEP 47, gave to padding.
    private static func isNamedAsPad(_ path: [MediaPath.Component], size: Int64) -> Bool {
        let mark = Array("_____padding_file_".utf8)
        if path.contains(where: { name in name.bytes.indices.contains { name.bytes[$0...].starts(with: mark) } }) {
            return true
        }
        return path.count > 2 && path.suffix(2).elementsEqual(TorrentLayout.padPath(size))
    }
}

/// What BEP 47 says of a file.
struct FileAttributes {
    let isPad: Bool
    let isSymlink: Bool

    init(_ entries: Bencode.Entries) {
        let attributes = entries["attr"]?.string
        isPad = attributes?.contains(UInt8(ascii: "p")) == true
        isSymlink = attributes?.contains(UInt8(ascii: "l")) == true
    }
}
