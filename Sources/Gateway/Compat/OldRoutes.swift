import NIOCore
import SourcePlugins

/// The routes of the replaced backend at the root of the data listener, with their keys and texts, for the first source
/// that holds items.
///
/// Bytes come the same way as from the address of the object itself. What differs from before is that a request with a
/// link which is not known yet brings it in, and that nothing is downloaded until it is read.
struct OldRoutes: Sendable {
    private let items: (entry: SourceTable.Entry, source: any ItemSource)?
    private let media: MediaRoutes
    private let gate: ItemGate
    private let deadline: Duration
    private let watched = WatchedPositions()

    /// - Parameter deadline: the first-byte deadline of answers that need no item.
    init(sources: SourceTable, media: MediaRoutes, gate: ItemGate, deadline: Duration) {
        items = sources.firstItems
        self.media = media
        self.gate = gate
        self.deadline = deadline
    }

    /// The methods of a path; `nil` if it is none of these.
    func methods(of path: Substring) -> [String]? { OldRequest.route(of: path)?.methods }

    /// - Returns: `nil` if it is none of these.
    func dispatch(_ request: GatewayRequest) -> Dispatch? {
        guard let route = OldRequest.route(of: request.path) else { return nil }
        guard route.methods.contains(request.head.method.text) else {
            return refuse(.methodNotAllowed(request.head.method.text, allowed: route.methods))
        }
        guard let asked = OldRequest(path: request.path, query: request.query) else {
            return refuse(RequestProblem(404, .notFound, "this route needs a magnet link or an info-hash behind it"))
        }
        guard let items else {
            return refuse(
                RequestProblem(
                    404,
                    .sourceDisabled,
                    "no source holds torrents; enable one with a file such as plugins.d/torrent.toml and restart"
                )
            )
        }
        return dispatch(request, asked, to: Call(request: request, entry: items.entry, source: items.source))
    }

    private func dispatch(_ request: GatewayRequest, _ asked: OldRequest, to call: Call) -> Dispatch {
        if asked.route == .downloadsInfo {
            return .run(for: call.entry) { exchange in
                let statuses = await call.source.statuses()
                try await exchange.respond(json: OldDownloads(statuses: statuses))
            }
        }
        let reference: ItemReference
        do {
            reference = try call.source.reference(asked.reference)
        } catch {
            return refuse((error as? SourceError).map { RequestProblem($0) } ?? .unexpected)
        }
        switch asked.route {
        case .add, .metadata, .stream, .streamfile, .subtitles:
            let route: Route = [.stream, .streamfile].contains(asked.route) ? .media : .item
            return withContents(of: reference, route, call) { contents, exchange in
                try await answer(asked, contents, call, exchange)
            }
        case .details, .detailsepisode, .deselect:
            return .run(for: call.entry) { exchange in
                guard let item = try await call.source.describe(reference.id) else {
                    return try await exchange.respond(text: OldText.noTorrent, status: 404)
                }
                try await answer(asked, ItemContents(item), call, exchange)
            }
        case .remove:
            return remove(reference.id, call)
        case .downloadsInfo:
            return refuse(.notFound)
        }
    }

    /// Answers with what is in an item, for which the world is asked if it is not known.
    private func withContents(
        of reference: ItemReference,
        _ route: Route,
        _ call: Call,
        _ body: @escaping @Sendable (ItemContents, Exchange) async throws -> Void
    ) -> Dispatch {
        let (isReady, isKnown) = (call.source.isReady, call.source.isKnown(reference.id))
        let (policy, name) = (call.source.addPolicy, call.entry.name)
        if !isKnown, let problem = gate.refuse(call.request, policy, of: name, isReady: isReady) {
            return refuse(problem)
        }
        let mayHelp = gate.refuseChange(call.request, policy, of: name) == nil
        return .run(for: call.entry, route) { exchange in
            guard isKnown else {
                return try await body(ItemContents(call.source.resolve(reference)), exchange)
            }
            // Off the event loop: an item may have thousands of files.
            let item = try await offLoop {
                let description =
                    try await mayHelp ? call.source.describe(reference) : call.source.describe(reference.id)
                return description.map { ItemContents($0) }
            }
            guard let item else { return try await exchange.respond(text: OldText.noTorrent, status: 404) }
            try await body(item, exchange)
        }
    }

    private func answer(
        _ asked: OldRequest,
        _ contents: ItemContents,
        _ call: Call,
        _ exchange: Exchange
    ) async throws {
        let item = contents.description
        switch asked.route {
        case .add, .metadata:
            try await exchange.respond(json: item.files.map { OldFile($0) })
        case .stream:
            let first = item.files.first { $0.path.name?.fileExtension == "mkv" }
            guard let file = first ?? contents.largest(.video) else {
                return try await exchange.respond(text: OldText.noVideo, status: 404)
            }
            try await stream(file, of: contents, call, exchange)
        case .streamfile:
            guard let file = try await file(asked.file, in: item, exchange) else { return }
            try await stream(file, of: contents, call, exchange)
        case .subtitles:
            try await subtitle(of: contents, call, exchange)
        case .details:
            guard let status = await call.source.status(item.id) else {
                return try await exchange.respond(text: OldText.noTorrent, status: 404)
            }
            try await exchange.respond(json: OldDetails(status))
        case .detailsepisode:
            guard let file = try await file(asked.file, in: item, exchange) else { return }
            let status = await call.source.status(item.id)
            let position = watched.position(in: file.index, of: item.id, client: call.request.client)
            try await exchange.respond(
                json: OldEpisodeDetails(file, downloaded: status?.fileBytes[file.index] ?? 0, watched: position)
            )
        case .deselect:
            // Nothing is selected but by reading, and who reads a file keeps it.
            guard try await file(asked.file, in: item, exchange) != nil else { return }
            try await exchange.respond(text: OldText.deselected)
        case .remove, .downloadsInfo:
            throw RequestProblem.notFound
        }
    }

    // MARK: - Files

    /// - Returns: `nil` if there is no such file, which has then been answered.
    /// - Throws: ``RequestProblem`` if several files bear the name.
    private func file(
        _ name: [UInt8],
        in item: ItemDescription,
        _ exchange: Exchange
    ) async throws -> ItemDescription.File? {
        switch NamedFile(name, in: item) {
        case .found(let file):
            return file
        case .missing:
            try await exchange.respond(text: OldText.noFile, status: 404)
            return nil
        case .ambiguous(let files):
            let names = files.prefix(20).map { singleLine(String(decoding: ItemContents.path(of: $0), as: UTF8.self)) }
            throw RequestProblem(
                409,
                .ambiguousName,
                "\(files.count) files have this name; ask for one by its path: \(names.joined(separator: ", "))"
            )
        }
    }

    private func stream(
        _ file: ItemDescription.File,
        of contents: ItemContents,
        _ call: Call,
        _ exchange: Exchange
    ) async throws {
        if !call.request.isHead {
            let range = call.request.head.fields[.range].flatMap { ByteRangeRequest(field: $0) }
            let start = range.map { $0.resolve(size: file.size)?.lowerBound } ?? 0
            if let start {
                watched.note(start, of: file.index, in: contents.description.id, client: call.request.client)
            }
        }
        try await media.run(media.delivery(of: contents.address(of: file), in: call.source, call.entry), exchange)
    }

    private func subtitle(of contents: ItemContents, _ call: Call, _ exchange: Exchange) async throws {
        let file = contents.description.files.first { ["srt", "vtt"].contains($0.path.name?.fileExtension) }
        guard let file else { return try await exchange.respond(text: OldText.noSubtitle, status: 404) }
        let path = contents.address(of: file)
        guard file.path.name?.fileExtension == "srt" else {
            return try await media.run(media.delivery(of: path, in: call.source, call.entry), exchange)
        }
        // Off the event loop, as pages are.
        try await offLoop {
            let missing = SourceError(.notFound, OldText.noSubtitle)
            try await ConvertedSubtitle(source: call.source, path: path).respond(to: exchange, missing: missing)
        }
    }

    private func remove(_ id: ItemID, _ call: Call) -> Dispatch {
        if let problem = gate.refuseChange(call.request, call.source.addPolicy, of: call.entry.name) {
            return refuse(problem)
        }
        let isForced = call.request.query?.split(separator: "&").contains("force=1") ?? false
        return .run(for: call.entry) { exchange in
            do {
                try await call.source.remove(id, force: isForced)
            } catch let error as SourceError where error.code == .notFound {
                return try await exchange.respond(text: OldText.noTorrent, status: 404)
            }
            try await exchange.respond(text: OldText.removed)
        }
    }

    // MARK: - Dispatches

    private func refuse(_ problem: RequestProblem) -> Dispatch {
        .refuse(problem, route: .item, source: items?.entry.name ?? "")
    }
}

/// One request and what answers it.
private struct Call: Sendable {
    let request: GatewayRequest
    let entry: SourceTable.Entry
    let source: any ItemSource
}

/// What the replaced backend said, word for word.
private enum OldText {
    static let noTorrent = "Torrent not found"
    static let noFile = "No file found in the torrent"
    static let noVideo = "No MP4 file found in the torrent"
    static let noSubtitle = "No subtitle file found in the torrent"
    static let deselected = "File deselected successfully"
    static let removed = "Torrent removed successfully"
}

extension Exchange {
    fileprivate func respond(text: String, status: Int = 200) async throws {
        let answer = PageAnswer(text: text, status: status)
        try await respond(answer.head, body: answer.body)
    }

    /// With the keys as they are written.
    fileprivate func respond(json value: some Encodable & Sendable) async throws {
        // Off the event loop, as pages are.
        let answer = await offLoop {
            PageAnswer(json: JSONBody.encode(value, keys: .useDefaultKeys))
        }
        try await respond(answer.head, body: answer.body)
    }
}
