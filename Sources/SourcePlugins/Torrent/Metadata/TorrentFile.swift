/// One file of a torrent.
package struct TorrentFile: Sendable, Hashable {
    /// Its number in libtorrent, pad files counted.
    package let index: Int
    /// The names in the torrent's own bytes. The first is the torrent's name, unless the torrent is a single file.
    /// Two files may have the same path; the index tells them apart.
    package let path: [MediaPath.Component]
    package let size: Int64
    /// Where it starts among the bytes of all files.
    package let offset: Int64
    /// Filling between files that has no content (BEP 47).
    package let isPad: Bool
    /// A symbolic link. It has no bytes of its own and is never followed.
    package let isSymlink: Bool

    package var isEmpty: Bool { size == 0 }

    /// Whether a reader may have it.
    package var isServable: Bool { !isPad && !isSymlink }

    /// The path as one value, as it stands in a URL.
    package var mediaPath: MediaPath {
        path.reduce(.root) { $0.appending($1) }
    }

    package var name: MediaPath.Component? { path.last }

    /// Whether the name's extension is that of a film.
    package var isVideo: Bool {
        isServable && path.last.map { Self.videoExtensions.contains($0.fileExtension) } == true
    }

    private static let videoExtensions: Set<String> = [
        "3gp", "asf", "avi", "divx", "flv", "m2ts", "m4v", "mkv", "mov", "mp4", "mpeg", "mpg", "mts", "ogm", "ogv",
        "rm",
        "rmvb", "ts", "vob", "webm", "wmv",
    ]
}
