package import SourcePlugins

/// An M3U list of URLs for media players.
package struct Playlist: Sendable {
    /// The type of a plain list. The one of HLS would make players look for a stream.
    package static let mediaType = "audio/x-mpegurl; charset=utf-8"

    package struct Item: Sendable {
        private let title: String
        private let url: String
        private let subtitleURLs: [String]

        /// - Parameter address: where the file is, if not at `path`.
        package init(
            _ path: MediaPath,
            at address: MediaPath? = nil,
            mount: MountAddress,
            subtitles: [SubtitleTrack]
        ) {
            title = path.name.map { singleLine(String(decoding: $0.stem, as: UTF8.self)) } ?? ""
            url = mount.url(address ?? path)
            let directory = path.parent ?? .root
            // Players read the files as they are; what is only offered to browsers would be there twice.
            let converted = Set(subtitles.filter { $0.format == "srt" }.map { $0.name.stem })
            subtitleURLs =
                subtitles
                .filter { !($0.isWebVTT && converted.contains($0.name.stem)) }
                .map { mount.url(directory.appending($0.name)) }
        }

        fileprivate func lines(base: BaseURL) -> String {
            // VLC parts the inputs of this option at "#", which a percent-encoded URL does not hold.
            let slaves = subtitleURLs.map { base.text + $0 }.joined(separator: "#")
            return "#EXTINF:-1,\(title)\n"
                + (slaves.isEmpty ? "" : "#EXTVLCOPT:input-slave=\(slaves)\n")
                + "\(base.text)\(url)\n"
        }
    }

    /// UTF-8, with whole URLs.
    package let text: String

    package init(_ items: [Item], base: BaseURL) {
        text = "#EXTM3U\n" + items.map { $0.lines(base: base) }.joined()
    }

    /// The name to save the list for `path` under: a directory's or a file's own, or `media` for the root.
    package static func name(for path: MediaPath) -> MediaPath.Component? {
        let stem = path.name.map { path.isDirectory ? $0.bytes[...] : $0.stem } ?? Array("media".utf8)[...]
        return try? MediaPath.Component(stem + ".m3u".utf8)
    }
}
