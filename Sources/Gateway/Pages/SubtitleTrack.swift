package import SourcePlugins

/// A subtitle that belongs to a video by its name.
package struct SubtitleTrack: Sendable, Hashable {
    /// The name to ask for, in the video's directory. No file bears it if the gateway converts.
    package let name: MediaPath.Component
    /// `srt`, `vtt`, `ass`, `ssa` or `sub`.
    package let format: String
    /// A language tag such as `en` or `pt-BR`, if the name has one.
    package let language: String?
    /// What the name says between the video's stem and the extension, such as `en.forced`; empty if nothing.
    package let suffix: String

    /// Whether browsers can show it.
    package var isWebVTT: Bool { format == "vtt" }

    /// What to call the track in a menu.
    package var label: String { suffix.isEmpty ? "Subtitles" : singleLine(suffix) }

    /// The SubRip file that answers for a WebVTT file which does not exist; `nil` if `path` does not name a `.vtt`.
    package static func subRip(behind path: MediaPath) -> MediaPath? {
        guard let name = path.name, name.fileExtension == "vtt", let parent = path.parent, !path.isDirectory else {
            return nil
        }
        return (try? MediaPath.Component(name.stem + ".srt".utf8)).map { parent.appending($0) }
    }
}

/// The subtitles of a directory, found by the stem of the video they belong to.
///
/// `film.srt`, `film.en.srt` and `film.en.forced.srt` belong to `film.mkv`. Each `.srt` is offered as `.vtt` too
/// unless that file exists or the `.srt` is too large to be converted.
package struct SubtitleIndex: Sendable {
    private var tracks: [[UInt8]: [SubtitleTrack]] = [:]

    package init(files: some Sequence<(name: MediaPath.Component, size: Int64)>) {
        let subtitles = files.filter { MediaType(of: $0.name).kind == .subtitle }.sorted { $0.name < $1.name }
        let existing = Set(subtitles.map { $0.name })
        for (name, size) in subtitles {
            add(name, format: name.fileExtension)
            guard name.fileExtension == "srt", size <= SubtitleConverter.inputLimit,
                let converted = try? MediaPath.Component(name.stem + ".vtt".utf8), !existing.contains(converted)
            else { continue }
            add(converted, format: "vtt")
        }
    }

    package func tracks(of video: MediaPath.Component) -> [SubtitleTrack] {
        tracks[Array(video.stem)] ?? []
    }

    /// Files it under its whole stem, and under what is left of that without one or two tags at its end.
    private mutating func add(_ name: MediaPath.Component, format: String) {
        var stem = name.stem
        var tags: [String] = []
        while true {
            let track = SubtitleTrack(
                name: name,
                format: format,
                language: tags.first.flatMap(languageTag),
                suffix: tags.joined(separator: ".")
            )
            tracks[Array(stem), default: []].append(track)
            guard tags.count < 2, let dot = stem.lastIndex(of: UInt8(ascii: ".")), dot > stem.startIndex else { return }
            let tag = String(decoding: stem[(dot + 1)...], as: UTF8.self)
            guard languageTag(tag) != nil || flags.contains(tag.lowercased()) else { return }
            tags.insert(tag, at: 0)
            stem = stem[..<dot]
        }
    }
}

private let flags: Set<String> = ["cc", "default", "forced", "full", "sdh", "signs", "songs"]

/// `tag` as a language tag (RFC 5646: language and region), `pt_BR` included; `nil` if it does not look like one.
private func languageTag(_ tag: String) -> String? {
    let parts = tag.split(omittingEmptySubsequences: false) { $0 == "-" || $0 == "_" }
    guard let language = parts.first, (2...3).contains(language.utf8.count), language.utf8.allSatisfy(isLetter),
        parts.count <= 2, !flags.contains(language.lowercased())
    else { return nil }
    guard parts.count == 2 else { return language.lowercased() }
    let region = parts[1]
    guard region.utf8.count == 2, region.utf8.allSatisfy(isLetter) else { return nil }
    return "\(language.lowercased())-\(region.uppercased())"
}

private func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
}
