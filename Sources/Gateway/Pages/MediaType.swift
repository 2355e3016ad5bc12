package import SourcePlugins

/// What a file is, as a player and a browser have to be told.
///
/// Media folders hold files of strangers, and the gateway answers from an origin with pages of its own. So a file
/// never arrives as something that can run there: markup and scripts go out as `text/plain`, and a type that browsers
/// parse as a document (SVG, every other XML) carries ``contentSecurityPolicy``. All of it needs
/// `X-Content-Type-Options: nosniff` beside it.
package struct MediaType: Sendable, Hashable {
    package enum Kind: String, Sendable, Hashable {
        case video, audio, subtitle, image, playlist, other
    }

    /// The value of `Content-Type`.
    package let contentType: String
    package let kind: Kind
    /// What must go out as `Content-Security-Policy` with a file of this type, if anything: a document of it may
    /// neither run scripts nor count as being of the gateway's origin.
    package let contentSecurityPolicy: String?

    private init(_ contentType: String, _ kind: Kind) {
        self.contentType = contentType
        self.kind = kind
        contentSecurityPolicy =
            Self.isInert(contentType) ? nil : "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    }

    package init(of name: MediaPath.Component) {
        self.init(fileExtension: name.fileExtension)
    }

    /// - Parameter fileExtension: in lower case, without the dot.
    package init(fileExtension: String) {
        self = Self.byExtension[fileExtension] ?? MediaType("application/octet-stream", .other)
    }

    /// A type that a source or an origin declares.
    ///
    /// - Returns: `nil` unless `declared` is a type, a subtype and parameters in printable US-ASCII.
    package init?(declared: String) {
        guard declared.utf8.count <= 255, declared.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else { return nil }
        let essence = declared.prefix { $0 != ";" && $0 != " " }.lowercased()
        let parts = essence.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(isTokenByte) }) else { return nil }
        self.init(declared, Self.kind(ofDeclared: essence))
    }

    private static func kind(ofDeclared essence: String) -> Kind {
        // Plain text says nothing of what it is for.
        if essence == "text/plain" { return .other }
        if let row = table.first(where: { $0.contentType.prefix { $0 != ";" } == essence }) { return row.kind }
        let topLevel = Kind(rawValue: String(essence.prefix { $0 != "/" }))
        return [.video, .audio, .image].first { $0 == topLevel } ?? .other
    }

    /// Whether a page can offer it in a `<video>` or `<audio>` element.
    package var isPlayable: Bool { kind == .video || kind == .audio }

    /// Types that no browser turns into a document with scripts.
    private static func isInert(_ contentType: String) -> Bool {
        let essence = contentType.prefix { $0 != ";" && $0 != " " }.lowercased()
        if essence.hasSuffix("+xml") || essence.hasSuffix("/xml") { return false }
        return ["video/", "audio/", "image/"].contains { essence.hasPrefix($0) } || inertTypes.contains(essence)
    }

    private static let inertTypes: Set<String> = [
        "application/json", "application/octet-stream", "application/pdf", "application/vnd.apple.mpegurl",
        "application/x-subrip", "application/zip", "text/plain", "text/vtt", "text/x-ssa",
    ]

    private static let byExtension: [String: MediaType] = {
        var types: [String: MediaType] = [:]
        for (extensions, contentType, kind) in table {
            for name in extensions.split(separator: " ") {
                types[String(name)] = MediaType(contentType, kind)
            }
        }
        return types
    }()

    private static let table: [(extensions: String, contentType: String, kind: Kind)] = [
        ("mp4 m4v", "video/mp4", .video),
        ("mov", "video/quicktime", .video),
        ("mkv", "video/x-matroska", .video),
        ("webm", "video/webm", .video),
        ("avi", "video/x-msvideo", .video),
        ("ts m2ts mts", "video/mp2t", .video),
        ("mpg mpeg", "video/mpeg", .video),
        ("ogv", "video/ogg", .video),
        ("wmv", "video/x-ms-wmv", .video),
        ("flv", "video/x-flv", .video),
        ("3gp", "video/3gpp", .video),
        ("mp3", "audio/mpeg", .audio),
        ("m4a m4b", "audio/mp4", .audio),
        ("aac", "audio/aac", .audio),
        ("ogg oga opus", "audio/ogg", .audio),
        ("flac", "audio/flac", .audio),
        ("wav", "audio/wav", .audio),
        ("mka", "audio/x-matroska", .audio),
        ("wma", "audio/x-ms-wma", .audio),
        ("ac3", "audio/ac3", .audio),
        ("m3u8", "application/vnd.apple.mpegurl", .playlist),
        ("m3u", "audio/x-mpegurl", .playlist),
        ("mpd", "application/dash+xml", .playlist),
        // Parts of a stream, of no use on their own.
        ("m4s cmfv", "video/iso.segment", .other),
        ("cmfa", "audio/mp4", .other),
        ("srt", "application/x-subrip", .subtitle),
        ("vtt", "text/vtt; charset=utf-8", .subtitle),
        ("ass ssa", "text/x-ssa", .subtitle),
        ("sub", "text/plain; charset=utf-8", .subtitle),
        ("jpg jpeg", "image/jpeg", .image),
        ("png", "image/png", .image),
        ("webp", "image/webp", .image),
        ("gif", "image/gif", .image),
        ("avif", "image/avif", .image),
        ("bmp", "image/bmp", .image),
        ("svg", "image/svg+xml", .image),
        ("txt nfo md log", "text/plain; charset=utf-8", .other),
        ("html htm xhtml xml xsl js mjs css", "text/plain; charset=utf-8", .other),
        ("json", "application/json", .other),
        ("pdf", "application/pdf", .other),
        ("zip", "application/zip", .other),
    ]
}
