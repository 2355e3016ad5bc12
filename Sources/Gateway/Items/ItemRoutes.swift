import NIOCore
import SourcePlugins
import Synchronization

/// What is below the mount of a source that holds items, besides what every source has there.
struct ItemRoutes: Sendable {
    private let media: MediaRoutes
    private let pages: PageRouter
    private let gate: ItemGate
    private let uploads = UploadSlots(16)

    init(media: MediaRoutes, pages: PageRouter, gate: ItemGate) {
        self.media = media
        self.pages = pages
        self.gate = gate
    }

    /// - Parameter isPage: whether a page is asked for in place of the object that `delivery` would send.
    /// - Returns: `nil` for what is answered as in every other source.
    func dispatch(
        _ request: GatewayRequest,
        _ delivery: MediaDelivery,
        isPage: Bool,
        to source: any ItemSource
    ) -> Dispatch? {
        let (path, place) = (delivery.path, Place(source: source, entry: delivery.entry))
        if path.isRoot {
            if case .other = request.head.method { return add(request, to: place) }
            return .run(for: place.entry) { exchange in try await respond(to: exchange, withItemsOf: place) }
        }
        let components = path.components
        guard let name = components.first?.description else { return nil }
        if name == "play", components.count == 1, !path.isDirectory { return play(request, in: place) }
        guard let id = ItemID(name) else { return nil }
        // One item has one name, and its objects one address.
        guard name == id.description, components.count > 1 || path.isDirectory else {
            return redirect(request, path, to: id, in: place)
        }
        return dispatch(request, delivery, isPage: isPage, to: id, in: place)
    }

    /// Answers for what is in an item, or for the item itself.
    private func dispatch(
        _ request: GatewayRequest,
        _ delivery: MediaDelivery,
        isPage: Bool,
        to id: ItemID,
        in place: Place
    ) -> Dispatch? {
        let (path, source, entry) = (delivery.path, place.source, place.entry)
        let isItem = path.components.count == 1
        let (isReady, isKnown) = (source.isReady, source.isKnown(id))
        if !isKnown, let problem = gate.refuse(request, source.addPolicy, of: entry.name, isReady: isReady) {
            return place.refuse(problem)
        }
        let index = ItemContents.index(in: path)
        if !isItem, index == nil, isKnown { return nil }
        return .run(for: place.entry, isPage ? .listing : .media) { exchange in
            let contents = try await place.contents(of: id, mayAsk: !isKnown)
            let address = try index.map { contents.address(of: try contents.file($0)) } ?? path
            if isItem {
                try await respond(to: exchange, with: contents, at: path, in: place)
            } else if isPage, address != path {
                let query = request.query.map { "?\($0)" } ?? ""
                try await exchange.respond(DataDispatcher.redirect(to: place.mount.url(address) + query))
            } else if isPage {
                try await pages.respond(to: exchange)
            } else {
                let found = media.delivery(of: address, in: source, entry, isDownload: delivery.isDownload)
                try await media.run(found, exchange)
            }
        }
    }

    private func redirect(
        _ request: GatewayRequest,
        _ path: MediaPath,
        to id: ItemID,
        in place: Place
    ) -> Dispatch {
        let rest = path.components.dropFirst().map { "/" + $0.percentEncoded }.joined()
        let end = rest.isEmpty || path.isDirectory ? "/" : ""
        let query = request.query.map { "?\($0)" } ?? ""
        let location = place.mount.url + id.description + rest + end + query
        let head = DataDispatcher.redirect(to: location)
        return .answer(head, body: nil, route: .item, source: place.entry.name)
    }

    // MARK: - Adding

    private func add(_ request: GatewayRequest, to place: Place) -> Dispatch {
        if let problem = gate.refuseChange(request, place.source.addPolicy, of: place.entry.name) {
            return place.refuse(problem)
        }
        // Links are short: only a longer body is worth counting.
        let length = request.head.fields[.contentLength].flatMap { Int($0) } ?? .max
        let slot = length > 65_536 ? uploads.take() : nil
        guard slot != nil || length <= 65_536 else {
            return place.refuse(
                RequestProblem(503, .overloaded, "too many descriptions are being sent here at once", retryAfter: 5)
            )
        }
        let upload = Upload(route: .item, source: place.entry.name, limit: AddedItem.bodyLimit) { body in
            .run(for: place.entry) { exchange in
                let added = try await read(body, of: request, for: place)
                // Not held while the world is asked.
                slot?.give()
                try await respond(to: exchange, with: added, request, place)
            }
        }
        return .upload(upload)
    }

    /// Off the event loop: a description may be long.
    private func read(_ body: ByteBuffer, of request: GatewayRequest, for place: Place) async throws -> AddedItem {
        try await offLoop {
            try AddedItem(body, contentType: request.head.fields[.contentType], source: place.source)
        }
    }

    private func respond(
        to exchange: Exchange,
        with added: AddedItem,
        _ request: GatewayRequest,
        _ place: Place
    ) async throws {
        let (isReady, isKnown) = (place.source.isReady, place.source.isKnown(added.reference.id))
        // Until it is ready, nobody may have to be asked.
        if isReady, !isKnown, !added.isWhole, let problem = gate.refuseQuestion(request) { throw problem }
        // Whoever may not bring in anything did not get here.
        let contents = try await place.contents(of: added.reference, isKnown: isKnown, mayHelp: true)
        try await respond(to: exchange, with: contents, of: place, status: isKnown ? 200 : 201)
    }

    private func play(_ request: GatewayRequest, in place: Place) -> Dispatch {
        let (query, reference): (PlayQuery, ItemReference)
        do {
            query = try PlayQuery(request.query)
            reference = try place.source.reference(query.reference)
        } catch {
            return place.refuse(error)
        }
        let (isReady, isKnown) = (place.source.isReady, place.source.isKnown(reference.id))
        let (policy, name) = (place.source.addPolicy, place.entry.name)
        if !isKnown, let problem = gate.refuse(request, policy, of: name, isReady: isReady) {
            return place.refuse(problem)
        }
        let mayHelp = gate.refuseChange(request, policy, of: name) == nil
        return .run(for: place.entry) { exchange in
            let contents = try await place.contents(of: reference, isKnown: isKnown, mayHelp: mayHelp)
            let file = try query.file.map { try contents.file($0) } ?? contents.main
            var location = file.map { place.mount.url(contents.address(of: $0)) }
            // Browsers show what they can play of a film in the player's page, and would save the rest.
            if let file, ItemContents.type(of: file)?.isPlayable == true,
                AcceptHeader.prefersHTML(request.head.fields[.accept])
            {
                location? += "?play"
            }
            var head = ResponseHead(status: 303, framing: .length(0))
            head.add("Location", location ?? place.mount.url(contents.description.id))
            head.add("Cache-Control", "no-store")
            head.add("Vary", "Accept")
            try await exchange.respond(head)
        }
    }

    // MARK: - Items

    private func respond(to exchange: Exchange, withItemsOf place: Place) async throws {
        // Off the event loop, as pages are.
        let answer = try await offLoop {
            let statuses = await place.source.statuses()
            return switch try PageFormat(exchange.request) {
            case .json: PageAnswer(json: JSONBody.encode(ItemListDocument(statuses, mount: place.mount)))
            case .page:
                PageAnswer(ItemListPage(statuses, mount: place.mount, takesMagnets: place.takesMagnets).page())
            case .playlist:
                throw RequestProblem(
                    400,
                    .badRequest,
                    "a playlist is of one item; ask for it at the item's own address"
                )
            }
        }
        try await exchange.respond(answer.head, body: answer.body)
    }

    private func respond(
        to exchange: Exchange,
        with contents: ItemContents,
        at path: MediaPath,
        in place: Place
    ) async throws {
        switch try PageFormat(exchange.request) {
        case .json:
            try await respond(to: exchange, with: contents, of: place, status: nil)
        case .page:
            let entries = try await place.source.list(path)
            let answer = await offLoop {
                let title = singleLine(contents.description.name)
                return PageAnswer(Listing(entries, mount: place.mount, path: path, title: title).page())
            }
            try await exchange.respond(answer.head, body: answer.body)
        case .playlist:
            let base = try BaseURL(of: exchange.request)
            let answer = await offLoop {
                PageAnswer(
                    Playlist(contents, mount: place.mount, base: base),
                    name: Playlist.name(forItem: contents.description.name)
                )
            }
            try await exchange.respond(answer.head, body: answer.body)
        }
    }

    /// - Parameter status: of an answer to a request that brought the item in.
    private func respond(
        to exchange: Exchange,
        with contents: ItemContents,
        of place: Place,
        status: Int?
    ) async throws {
        let id = contents.description.id
        var answer = await offLoop {
            let state = await place.source.status(id)?.state ?? .stored
            let document = ItemDocument(contents, state: state, mount: place.mount) { path in
                media.cachedBytes(of: path, place.entry)
            }
            return PageAnswer(json: JSONBody.encode(document))
        }
        if let status {
            answer.head.status = status
            answer.head.add("Location", place.mount.url(id))
        }
        try await exchange.respond(answer.head, body: answer.body)
    }
}

/// A source of items, where it is.
private struct Place: Sendable {
    let source: any ItemSource
    let entry: SourceTable.Entry

    var mount: MountAddress { MountAddress(entry.mount) }
    var takesMagnets: Bool { source.addPolicy.who != .admin }

    /// - Parameter mayAsk: whether the world may be asked.
    func contents(of id: ItemID, mayAsk: Bool) async throws -> ItemContents {
        try await contents(of: mayAsk ? source.reference(id.description) : nil, or: id)
    }

    /// - Parameter mayHelp: whether what the reference says of where a known item is to be had may be used.
    func contents(of reference: ItemReference, isKnown: Bool, mayHelp: Bool) async throws -> ItemContents {
        guard isKnown, mayHelp else { return try await contents(of: isKnown ? nil : reference, or: reference.id) }
        return try await offLoop {
            guard let description = try await source.describe(reference) else { throw Self.justRemoved }
            return ItemContents(description)
        }
    }

    private static let justRemoved = SourceError(.notFound, "the item has just been removed")

    private func contents(of reference: ItemReference?, or id: ItemID) async throws -> ItemContents {
        // Off the event loop: an item may have thousands of files.
        try await offLoop {
            if let reference { return ItemContents(try await source.resolve(reference)) }
            guard let description = try await source.describe(id) else { throw Self.justRemoved }
            return ItemContents(description)
        }
    }

    func refuse(_ problem: RequestProblem) -> Dispatch { .refuse(problem, route: .item, source: entry.name) }

    func refuse(_ error: any Error) -> Dispatch {
        switch error {
        case let problem as RequestProblem: refuse(problem)
        case let error as SourceError: refuse(RequestProblem(error))
        default: refuse(.unexpected)
        }
    }
}

/// How many bodies may be read at a time: each takes its length in memory.
private final class UploadSlots: Sendable {
    private let free: Mutex<Int>

    init(_ count: Int) {
        free = Mutex(count)
    }

    /// - Returns: a slot, taken while the reference lives; `nil` if there is none.
    func take() -> UploadSlot? {
        let isFree = free.withLock { free in
            guard free > 0 else { return false }
            free -= 1
            return true
        }
        return isFree ? UploadSlot(Lease { [self] in free.withLock { $0 += 1 } }) : nil
    }
}

/// The right to read one body.
private final class UploadSlot: Sendable {
    private let lease: Mutex<Lease?>

    init(_ lease: Lease) {
        self.lease = Mutex(lease)
    }

    /// Gives it back, before the last reference does.
    func give() { lease.withLock { $0 = nil } }
}
