/// Reads the file tree of version 2 (BEP 52). Every file starts a piece.
struct FileTreeReader {
    let info: Bencode.Entries
    let names: NameReader
    let limits: TorrentLimits

    func read(_ name: MediaPath.Component, _ pieceLength: Int64) throws -> TorrentLayout {
        guard let tree = info["file tree"]?.dictionary else {
            throw SourceError(.badReference, "the version 2 torrent has no file tree that is a dictionary")
        }
        var layout = TorrentLayout(pieceLength: pieceLength, limits: limits)
        let isSingleFile = info["files"] == nil && Self.isOneFile(tree)
        try walk(tree, path: isSingleFile ? [] : [name], name, &layout)
        guard !layout.files.isEmpty else { throw SourceError(.badReference, "the torrent's file tree has no files") }
        return layout
    }

    private static func isOneFile(_ tree: Bencode.Entries) -> Bool {
        let entries = Array(tree.prefix(2))
        return entries.count == 1 && entries[0].value.dictionary.flatMap(file) != nil
    }

    /// What stands under the empty key, which makes a dictionary a file.
    private static func file(_ entries: Bencode.Entries) -> Bencode.Value? {
        let first = Array(entries.prefix(2))
        return first.count == 1 && first[0].key.isEmpty ? first[0].value : nil
    }

    /// Recurses no deeper than a path may be.
    private func walk(
        _ tree: Bencode.Entries,
        path: [MediaPath.Component],
        _ name: MediaPath.Component,
        _ layout: inout TorrentLayout
    ) throws {
        for (key, value) in tree {
            let what = "file \(layout.files.count)"
            guard let entries = value.dictionary else {
                throw SourceError(.badReference, "\(what) in the file tree is not a dictionary")
            }
            let path = try path + [names.component(key, "a name in the path of \(what)")]
            try names.check(path, what)
            if let file = Self.file(entries) {
                try read(file, path: path, &layout)
                try layout.addPadding(name)
            } else {
                try walk(entries, path: path, name, &layout)
            }
        }
    }

    private func read(_ value: Bencode.Value, path: [MediaPath.Component], _ layout: inout TorrentLayout) throws {
        let what = "file \(layout.files.count)"
        guard let entries = value.dictionary else {
            throw SourceError(.badReference, "\(what) in the file tree is not a dictionary")
        }
        let attributes = FileAttributes(entries)
        guard !attributes.isPad else {
            throw SourceError(.badReference, "\(what) is a pad file, which version 2 has not")
        }
        let size = attributes.isSymlink ? 0 : entries["length"]?.integer
        guard let size else { throw SourceError(.badReference, "\(what) has no length that is a number") }
        let root = entries["pieces root"]?.string
        if size > 0 {
            guard let root, root.count == 32, root.contains(where: { $0 != 0 }) else {
                throw SourceError(.badReference, "\(what) has no pieces root of 32 bytes")
            }
        }
        try layout.add(
            path: path,
            size: size,
            isSymlink: attributes.isSymlink,
            root: size > 0 ? root.map { Array($0) } : nil
        )
    }
}
