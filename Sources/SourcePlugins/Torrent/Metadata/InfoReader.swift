/// Reads an info dictionary of either version, or of both at once.
struct InfoReader {
    struct Contents {
        let name: MediaPath.Component
        let isPrivate: Bool
        let hasV1: Bool
        let hasV2: Bool
        let layout: TorrentLayout
    }

    private let info: Bencode.Entries
    private let limits: TorrentLimits
    private let names: NameReader
    private let isCanonical: Bool

    init(_ document: Bencode, limits: TorrentLimits) throws {
        guard let info = document.root.dictionary else {
            throw SourceError(.badReference, "the info of the torrent is not a dictionary")
        }
        self.info = info
        self.limits = limits
        names = NameReader(limits: limits)
        isCanonical = document.isCanonical
    }

    func read() throws -> Contents {
        let isV2 = try hasVersion2()
        guard info["ssl-cert"] == nil else {
            throw SourceError(.refused, "the torrent admits only peers with a certificate, which is not supported")
        }
        let pieceLength = try self.pieceLength(isV2: isV2)
        let name = try self.name()
        let hasV1 = !isV2 || info["files"] != nil || info["length"] != nil
        var v1: TorrentLayout?
        if hasV1 {
            v1 = try FileListReader(info: info, names: names, limits: limits).read(name, pieceLength)
        }
        var v2: TorrentLayout?
        if isV2 {
            v2 = try FileTreeReader(info: info, names: names, limits: limits).read(name, pieceLength)
        }
        guard let layout = try Self.joined(v1, v2) else {
            throw SourceError(.badReference, "the torrent has neither files, length nor file tree")
        }
        guard layout.totalSize > 0 else {
            throw SourceError(.badReference, "the torrent has no bytes: all files are empty")
        }
        try checkPieces(count: layout.pieceCount, isRequired: hasV1)
        return Contents(name: name, isPrivate: try isPrivate(), hasV1: hasV1, hasV2: isV2, layout: layout)
    }

    private func hasVersion2() throws -> Bool {
        guard let version = info["meta version"] else {
            guard info["file tree"] == nil else {
                throw SourceError(.badReference, "the torrent has a file tree and no meta version")
            }
            return false
        }
        guard version.integer == 2 else {
            throw SourceError(.badReference, "the torrent's meta version is not 2, the only one there is")
        }
        guard isCanonical else {
            throw SourceError(.badReference, "a version 2 torrent has the keys of a dictionary out of order")
        }
        return true
    }

    private func pieceLength(isV2: Bool) throws -> Int64 {
        guard let length = info["piece length"]?.integer, length > 0 else {
            throw SourceError(.badReference, "the torrent has no piece length that is a positive number")
        }
        guard limits.pieceLength.contains(length) else {
            let allowed = limits.pieceLength
            throw SourceError(
                .refused,
                "the pieces of the torrent have \(length) bytes; "
                    + "\(allowed.lowerBound) to \(allowed.upperBound) are supported"
            )
        }
        guard !isV2 || length.nonzeroBitCount == 1 else {
            throw SourceError(
                .badReference,
                "the piece length of a version 2 torrent, \(length), is not a power of two"
            )
        }
        return length
    }

    private func name() throws -> MediaPath.Component {
        guard let name = names.preferred(info, "name") else {
            throw SourceError(.badReference, "the torrent has no name that is a string")
        }
        return try names.component(name, "the name of the torrent")
    }

    private func isPrivate() throws -> Bool {
        guard let value = info["private"] else { return false }
        guard let number = value.integer else {
            throw SourceError(.badReference, "the torrent's private is not a number")
        }
        return number != 0
    }

    private func checkPieces(count: Int, isRequired: Bool) throws {
        guard let value = info["pieces"] else {
            guard !isRequired else { throw SourceError(.badReference, "the torrent has no pieces") }
            return
        }
        guard let hashes = value.string, hashes.count == count * 20 else {
            let found = value.string.map { "\($0.count) bytes" } ?? "no string"
            throw SourceError(
                .badReference,
                "the torrent's pieces are \(found); \(count) pieces need \(count * 20) bytes"
            )
        }
    }

    /// The layout of version 2 if there is one, after a check that version 1 has the same files at the same places.
    ///
    /// Empty files and pad files may differ, as long as they take the same numbers; the last padding may be missing
    /// from version 1, and is then missing from the result.
    private static func joined(_ v1: TorrentLayout?, _ v2: TorrentLayout?) throws -> TorrentLayout? {
        guard let v1, var v2 else { return v2 ?? v1 }
        if v2.files.count == v1.files.count + 1 { v2.removeTailPadding() }
        guard v1.files.count == v2.files.count, v1.totalSize == v2.totalSize else {
            throw SourceError(
                .badReference,
                "the files of version 1 and the file tree of version 2 differ in number or size"
            )
        }
        for (left, right) in zip(v1.files, v2.files) where !left.hasSameContent(as: right) {
            throw SourceError(
                .badReference,
                "file \(left.index) differs between the files of version 1 and the file tree of version 2"
            )
        }
        return v2
    }
}

extension TorrentFile {
    fileprivate func hasSameContent(as other: TorrentFile) -> Bool {
        let hasContent = !isPad && !isEmpty
        guard hasContent == (!other.isPad && !other.isEmpty) else { return false }
        return !hasContent || (size == other.size && offset == other.offset && path == other.path)
    }
}

/// Reads names, which are bytes, and refuses those that could leave a directory.
struct NameReader {
    let limits: TorrentLimits

    /// The value of `key.utf-8` if it is a string in UTF-8, else the string at `key`.
    func preferred(_ entries: Bencode.Entries, _ key: String) -> ArraySlice<UInt8>? {
        if let text = entries[key + ".utf-8"]?.string, isUTF8(text) { return text }
        return entries[key]?.string
    }

    /// The names of `path.utf-8` if they are all in UTF-8, else those of `path`.
    ///
    /// - Throws: ``SourceError`` `badReference` if the one that counts has no name or something else than names.
    func path(_ entries: Bencode.Entries, _ what: String) throws -> [ArraySlice<UInt8>] {
        for key in ["path.utf-8", "path"] {
            guard let list = entries[key]?.list else { continue }
            let names = try list.map { value in
                guard let name = value.string else {
                    throw SourceError(.badReference, "\(what) has a name that is no string")
                }
                return name
            }
            if key == "path.utf-8", !names.allSatisfy(isUTF8) { continue }
            guard !names.isEmpty else { throw SourceError(.badReference, "\(what) has an empty path") }
            return names
        }
        throw SourceError(.badReference, "\(what) has no path")
    }

    func component(_ bytes: ArraySlice<UInt8>, _ what: String) throws -> MediaPath.Component {
        guard bytes.count <= limits.nameBytes else {
            throw SourceError(.badReference, "\(what) has more than \(limits.nameBytes) bytes")
        }
        do {
            return try MediaPath.Component(bytes)
        } catch {
            throw SourceError(.badReference, "\(what) is empty, . or .., or holds a slash or a NUL byte")
        }
    }

    func check(_ path: [MediaPath.Component], _ what: String) throws {
        guard path.count <= limits.pathDepth else {
            throw SourceError(.refused, "\(what) is more than \(limits.pathDepth) names deep")
        }
        guard path.reduce(path.count - 1, { $0 + $1.bytes.count }) <= limits.pathBytes else {
            throw SourceError(.refused, "the path of \(what) has more than \(limits.pathBytes) bytes")
        }
    }

    private func isUTF8(_ bytes: ArraySlice<UInt8>) -> Bool {
        String(validating: bytes, as: UTF8.self) != nil
    }
}
