import SourcePlugins

/// A request in the form of the replaced backend's: `/metadata/:magnet`, `/streamfile/:magnet/:filename`.
package struct OldRequest: Sendable, Hashable {
    package enum Route: String, Sendable, CaseIterable {
        case add
        case deselect
        case details
        case detailsepisode
        case downloadsInfo
        case metadata
        case remove
        case stream
        case streamfile
        case subtitles

        fileprivate static let byName = Dictionary(uniqueKeysWithValues: allCases.map { ($0.rawValue, $0) })

        /// How many more segments there are: the magnet, and the name of a file.
        fileprivate var segments: ClosedRange<Int> {
            switch self {
            case .downloadsInfo: 0...0
            case .add, .details, .metadata, .remove, .stream, .subtitles: 1...1
            // A name with slashes in it should have them escaped, and is understood without.
            case .deselect, .detailsepisode, .streamfile: 2...64
            }
        }

        package var methods: [String] { self == .remove ? ["DELETE", "OPTIONS"] : ["GET", "HEAD", "OPTIONS"] }
    }

    package let route: Route
    /// A magnet link or an info-hash, for a source to read; empty if the route has none.
    package let reference: String
    /// The name of a file, in its bytes; empty if the route has none.
    package let file: [UInt8]

    /// - Returns: `nil` if it is none of these.
    package init?(path: Substring, query: Substring?) {
        guard let route = Self.route(of: path) else { return nil }
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst(2)
        guard route.segments.contains(segments.count), segments.allSatisfy({ !$0.isEmpty }) else { return nil }
        guard let magnet = segments.first else {
            (self.route, reference, file) = (route, "", [])
            return
        }
        guard let reference = PercentEncoding.decoded(magnet.utf8),
            let file = PercentEncoding.decoded(segments.dropFirst().joined(separator: "/").utf8)
        else { return nil }
        self.route = route
        self.file = file
        let text = String(decoding: reference, as: UTF8.self).trimmingWhitespace
        // A link that was put there as it is: its question mark begins the query.
        self.reference = text.lowercased() == "magnet:" ? "magnet:?" + (query ?? "") : text
    }

    /// The route whose first segment `path` has.
    package static func route(of path: Substring) -> Route? {
        Route.byName[String(path.dropFirst().prefix { $0 != "/" })]
    }
}
