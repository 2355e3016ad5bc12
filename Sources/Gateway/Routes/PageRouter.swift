import HTTPTypes
import Hummingbird
package import Logging
import NIOCore
import SourcePlugins

/// Everything on the data listener that is not bytes of media, through Hummingbird's router: the landing page, listings,
/// players, playlists and converted subtitles.
package struct PageRouter: Sendable {
    private let sources: SourceTable
    private let facts: @Sendable () -> [LandingPage.Fact]
    private let pluginsDirectory: String
    private let responder: any HTTPResponder<GatewayRequestContext>
    private let logger: Logger

    /// - Parameters:
    ///   - facts: what the landing page says of the running gateway.
    ///   - pluginsDirectory: as the operator knows it.
    package init(
        sources: SourceTable,
        facts: @escaping @Sendable () -> [LandingPage.Fact],
        pluginsDirectory: String,
        logger: Logger
    ) {
        self.sources = sources
        self.facts = facts
        self.pluginsDirectory = pluginsDirectory
        self.logger = logger
        let mounts = MountPages(sources: sources)
        let landing = LandingPages(sources: sources, facts: facts, pluginsDirectory: pluginsDirectory)
        let router = Router(context: GatewayRequestContext.self)
        router.get("/") { _, context in
            // What is mounted there is listed for those who do not want the page of all sources.
            if sources.resolve("/")?.entry.listing != nil, mounts.isAsked(context.request) {
                return try await mounts.respond(to: context.request)
            }
            return await landing.respond()
        }
        router.get("/**") { _, context in try await mounts.respond(to: context.request) }
        self.responder = router.buildResponder()
    }

    /// Off the event loop: a page of a large directory takes its time to write.
    func respond(to exchange: Exchange) async throws {
        try await offLoop {
            try await exchange.forward(to: responder, logger: logger)
        }
    }

    /// Answers for a path that names no object but may stand for one: a directory without its slash is redirected, a
    /// `.vtt` is made from the `.srt` of the same name.
    ///
    /// - Throws: `error` if it stands for nothing.
    func respondInPlaceOfMissing(
        _ path: MediaPath,
        of entry: SourceTable.Entry,
        error: SourceError,
        to exchange: Exchange
    ) async throws {
        guard let source = entry.listing else { throw error }
        if let subRip = SubtitleTrack.subRip(behind: path), case .enabled(let media) = entry.state {
            // Off the event loop, as pages are.
            try await offLoop {
                try await ConvertedSubtitle(source: media, path: subRip).respond(to: exchange, missing: error)
            }
            return
        }
        guard (try? await source.list(path.asDirectory)) != nil else { throw error }
        let location = MountAddress(entry.mount).url(path.asDirectory)
        let query = exchange.request.query.map { "?\($0)" } ?? ""
        try await exchange.respond(DataDispatcher.redirect(to: location + query))
    }
}

/// `/`.
private struct LandingPages: Sendable {
    let sources: SourceTable
    let facts: @Sendable () -> [LandingPage.Fact]
    let pluginsDirectory: String

    func respond() async -> Response {
        var listings: [Listing] = []
        var shown: [LandingPage.Source] = []
        for entry in sources.entries {
            var state = state(of: entry)
            if let source = entry.listing {
                do {
                    let entries = try await source.list(.root)
                    listings.append(Listing(entries, mount: MountAddress(entry.mount), path: .root))
                } catch {
                    state = .down(reason: (error as? SourceError)?.message ?? "it cannot be listed")
                }
            }
            let mount = MountAddress(entry.mount)
            shown.append(
                LandingPage.Source(
                    name: entry.name,
                    kind: entry.kind,
                    mount: mount,
                    state: state,
                    takesMagnets: entry.items.map { $0.addPolicy.who != .admin } ?? false
                )
            )
        }
        let landing = LandingPage(
            sources: shown.sorted { $0.name < $1.name },
            listings: listings,
            facts: facts(),
            pluginDirectory: pluginsDirectory
        )
        return Response(PageAnswer(landing.page()))
    }

    private func state(of entry: SourceTable.Entry) -> LandingPage.Source.State {
        switch entry.state {
        case .disabled(let file, let key):
            .off(file: file, key: "\(key.split(separator: ".").last ?? "enabled") = true")
        case .enabled: sources.failure(of: entry.name).map { .down(reason: $0) } ?? .on
        }
    }
}

/// Listings, players and playlists below a mount.
private struct MountPages: Sendable {
    let sources: SourceTable

    /// Whether a request for `/` is for the list of what is mounted there: it is for a format, or from a program.
    func isAsked(_ request: GatewayRequest) -> Bool {
        let names = request.query?.split(separator: "&").contains { $0.hasPrefix("format=") } ?? false
        return names || !AcceptHeader.prefersHTML(request.head.fields[.accept])
    }

    func respond(to request: GatewayRequest) async throws -> Response {
        guard let (entry, rest) = sources.resolve(request.path) else { throw RequestProblem.notFound }
        guard let source = entry.listing else {
            throw RequestProblem(404, .notFound, "the source \(entry.name) does not list what it has")
        }
        let path = try MediaPath(percentEncoded: rest.utf8)
        guard let directory = path.isDirectory ? path : path.parent else { throw RequestProblem.notFound }
        let entries = try await source.list(directory)
        let listing = Listing(entries, mount: MountAddress(entry.mount), path: directory)
        let format = try PageFormat(request)
        if entries.contains(where: { $0.name == path.name && $0.kind == .directory }), !path.isDirectory {
            return Response(redirectTo: MountAddress(entry.mount).url(path.asDirectory), request)
        }
        return path.isDirectory
            ? try directoryResponse(listing, format, request)
            : try fileResponse(path, listing, format, request)
    }

    private func directoryResponse(
        _ listing: Listing,
        _ format: PageFormat,
        _ request: GatewayRequest
    ) throws -> Response {
        switch format {
        case .page: Response(PageAnswer(listing.page()))
        case .json: Response(PageAnswer(json: listing.json()))
        case .playlist:
            try Response(
                PageAnswer(listing.playlist(base: BaseURL(of: request)), name: Playlist.name(for: listing.path))
            )
        }
    }

    private func fileResponse(
        _ path: MediaPath,
        _ listing: Listing,
        _ format: PageFormat,
        _ request: GatewayRequest
    ) throws -> Response {
        guard let name = path.name, let item = listing.playable.first(where: { $0.entry.name == name }) else {
            throw RequestProblem(404, .notFound, "there is no such file that can be played")
        }
        if format == .playlist {
            let item = Playlist.Item(item.path, mount: listing.mount, subtitles: item.subtitles)
            return try Response(
                PageAnswer(Playlist([item], base: BaseURL(of: request)), name: Playlist.name(for: path))
            )
        }
        guard let player = listing.player(for: name) else { throw RequestProblem.notFound }
        return Response(PageAnswer(player.page()))
    }
}

/// How a client wants to read a page.
enum PageFormat {
    case page
    case json
    case playlist

    /// `?format=` decides, else `Accept`.
    ///
    /// - Throws: ``RequestProblem`` for a format that there is not.
    init(_ request: GatewayRequest) throws {
        let parameters = request.query?.split(separator: "&") ?? []
        let asked = parameters.first { $0.hasPrefix("format=") }?.dropFirst("format=".count).lowercased()
        switch asked {
        case "m3u", "m3u8": self = .playlist
        case "json": self = .json
        case "html": self = .page
        case nil: self = AcceptHeader.prefersHTML(request.head.fields[.accept]) ? .page : .json
        case .some: throw RequestProblem(400, .badRequest, "format is one of html, json and m3u")
        }
    }
}

extension MediaPath {
    fileprivate var asDirectory: MediaPath {
        guard let name, let parent else { return self }
        return parent.appending(name, isDirectory: true)
    }
}

extension Response {
    fileprivate init(redirectTo path: String, _ request: GatewayRequest) {
        let query = request.query.map { "?\($0)" } ?? ""
        self.init(status: .permanentRedirect, headers: [.location: path + query])
    }

    fileprivate init(_ answer: PageAnswer) {
        var headers = HTTPFields()
        for (name, value) in answer.head.fields {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        self.init(status: .ok, headers: headers, body: ResponseBody(byteBuffer: answer.body))
    }
}
