/// The files of a torrent as they are read, one after the other.
struct TorrentLayout {
    let pieceLength: Int64
    private let limits: TorrentLimits
    private(set) var files: [TorrentFile] = []
    private(set) var totalSize: Int64 = 0
    private(set) var pieceRoots: [Int: [UInt8]] = [:]
    private var padBytes: Int64 = 0
    private var padCount = 0

    init(pieceLength: Int64, limits: TorrentLimits) {
        self.pieceLength = pieceLength
        self.limits = limits
    }

    /// - Precondition: the total is within the limit, which ``add(path:size:isPad:isSymlink:root:)`` sees to.
    var pieceCount: Int { Int((totalSize + pieceLength - 1) / pieceLength) }

    mutating func add(
        path: [MediaPath.Component],
        size: Int64,
        isPad: Bool = false,
        isSymlink: Bool = false,
        root: [UInt8]? = nil
    ) throws {
        guard size >= 0 else { throw SourceError(.badReference, "file \(files.count) has a length of \(size)") }
        guard size <= limits.totalSize - totalSize else {
            throw SourceError(.refused, "the files are larger than \(limits.totalSize) bytes together")
        }
        if isPad {
            padCount += 1
            guard size <= limits.padBytes - padBytes else {
                throw SourceError(.refused, "the pad files are larger than \(limits.padBytes) bytes together")
            }
            padBytes += size
        }
        guard padCount <= limits.files, files.count - padCount < limits.files else {
            throw SourceError(.refused, "the torrent has more than \(limits.files) files")
        }
        if let root { pieceRoots[files.count] = root }
        files.append(
            TorrentFile(
                index: files.count,
                path: path,
                size: size,
                offset: totalSize,
                isPad: isPad,
                isSymlink: isSymlink
            )
        )
        totalSize += size
        guard pieceCount <= limits.pieces else {
            throw SourceError(.refused, "the torrent has more than \(limits.pieces) pieces")
        }
    }

    /// Fills the last piece up, as libtorrent does after each file of a version 2 torrent.
    mutating func addPadding(_ parent: MediaPath.Component) throws {
        let rest = totalSize % pieceLength
        guard rest != 0 else { return }
        try add(path: [parent] + Self.padPath(pieceLength - rest), size: pieceLength - rest, isPad: true)
    }

    /// Takes off the padding after the last file that has bytes.
    mutating func removeTailPadding() {
        guard let last = files.lastIndex(where: { !$0.isEmpty }), files[last].isPad else { return }
        let rest = files[(last + 1)...]
        totalSize -= files[last].size
        files.removeSubrange(last...)
        for file in rest {
            files.append(
                TorrentFile(
                    index: files.count,
                    path: file.path,
                    size: 0,
                    offset: totalSize,
                    isPad: file.isPad,
                    isSymlink: file.isSymlink
                )
            )
        }
    }

    /// The name that libtorrent gives to a pad file without one.
    static func padPath(_ size: Int64) -> [MediaPath.Component] {
        // Neither name can be refused.
        [".pad", "\(size)"].compactMap { try? MediaPath.Component($0.utf8) }
    }
}
