package import ChunkCache
import NIOCore
import SourcePlugins

/// What the data listener answers: `/ping`, media and items below the mounts, the routes of the replaced backend, and
/// pages for everything else.
package struct DataDispatcher: RequestDispatcher {
    private let sources: SourceTable
    private let media: MediaRoutes
    private let items: ItemRoutes
    private let oldRoutes: OldRoutes?
    private let pages: PageRouter
    private let pageDeadline: Duration
    /// By the epochs of their entries.
    private let forwarding: [Int: ForwardingRoutes]

    /// - Parameters:
    ///   - cache: `nil` if nothing is cached.
    ///   - pageDeadline: the first-byte deadline of what belongs to no source.
    ///   - gate: who may bring in items.
    ///   - hasOldRoutes: whether the routes of the replaced backend are there.
    package init(
        sources: SourceTable,
        objects: ObjectTable,
        cache: ChunkStore?,
        response: MediaResponse,
        pages: PageRouter,
        pageDeadline: Duration,
        meter: SourceMeter? = nil,
        gate: ItemGate = ItemGate(),
        hasOldRoutes: Bool = false
    ) {
        self.sources = sources
        self.pages = pages
        self.pageDeadline = pageDeadline
        media = MediaRoutes(objects: objects, cache: cache, response: response, pages: pages, meter: meter)
        items = ItemRoutes(media: media, pages: pages, gate: gate)
        oldRoutes = hasOldRoutes ? OldRoutes(sources: sources, media: media, gate: gate, deadline: pageDeadline) : nil
        let forwarding = sources.entries.compactMap { entry -> (Int, ForwardingRoutes)? in
            guard case .enabled(let source as any ForwardingSource) = entry.state else { return nil }
            let cache = entry.isCached ? cache : nil
            let routes = ForwardingRoutes(
                source,
                entry,
                cache: cache,
                objects: objects,
                node: response.node,
                meter: meter
            )
            return (entry.epoch, routes)
        }
        self.forwarding = Dictionary(uniqueKeysWithValues: forwarding)
    }

    package var methods: RequestGate.Methods { forwarding.isEmpty ? .changing : .any }
    package var readsAllFields: Bool { !forwarding.isEmpty }

    package func dispatch(_ request: GatewayRequest) -> Dispatch {
        let path = request.path
        if !forwarding.isEmpty, let dispatch = forward(request, path) { return dispatch }
        switch request.head.method {
        case .get, .head:
            break
        case .options:
            let head = CrossOrigin.preflight(request.head.fields, methods: methods(of: path))
            return .answer(head, body: nil, route: .preflight, source: "")
        case .other(let method):
            let methods = methods(of: path)
            guard methods.contains(method) else {
                let problem = RequestGate.refusal(ofMethod: method, allowed: methods)
                return .refuse(problem, route: .refused, source: "")
            }
        }
        if path == "/ping" { return .answer(Self.pong, body: Self.pongBody, route: .ping, source: "") }
        let found = sources.resolve(path)
        if path == "/", request.head.method != .other("POST") {
            return .run(page(.page, source: "", deadline: pageDeadline))
        }
        // No mount is where an old route is, but the root is around them all.
        if found?.entry.mount.isEmpty != false, let dispatch = oldRoutes?.dispatch(request) { return dispatch }
        guard let (entry, rest) = found else {
            return .refuse(.notFound, route: .page, source: "")
        }
        switch entry.state {
        case .disabled(let file, let key):
            let problem = RequestProblem(
                404,
                .sourceDisabled,
                "the source \(entry.name) is not enabled; set \(key) = true in \(file) and restart"
            )
            return .refuse(problem, route: .media, source: entry.name)
        case .enabled(let source):
            return dispatch(request, rest: rest, to: source, of: entry)
        }
    }

    /// - Returns: `nil` if the path is not one of a source that forwards.
    private func forward(_ request: GatewayRequest, _ path: Substring) -> Dispatch? {
        guard let (entry, rest) = sources.resolve(path), let routes = forwarding[entry.epoch], !rest.isEmpty else {
            return nil
        }
        // The gateway's own routes are there even where a source is mounted at the root.
        if entry.mount.isEmpty, path == "/ping" || oldRoutes?.methods(of: path) != nil { return nil }
        return routes.dispatch(request, rest: request.target.dropFirst(entry.mount.utf8.count))
    }

    private func methods(of path: Substring) -> [String] {
        let found = sources.resolve(path)
        if found?.entry.mount.isEmpty != false, let methods = oldRoutes?.methods(of: path) { return methods }
        let takesItems = found.map { $0.entry.items != nil && $0.rest == "/" } ?? false
        return takesItems ? ["GET", "HEAD", "POST", "OPTIONS"] : ["GET", "HEAD", "OPTIONS"]
    }

    private func dispatch(
        _ request: GatewayRequest,
        rest: Substring,
        to source: any MediaSource,
        of entry: SourceTable.Entry
    ) -> Dispatch {
        if rest.isEmpty {
            let location = entry.mount + "/" + (request.query.map { "?\($0)" } ?? "")
            return .answer(Self.redirect(to: location), body: nil, route: .listing, source: entry.name)
        }
        let path: MediaPath
        do {
            path = try MediaPath(percentEncoded: rest.utf8)
        } catch {
            let problem = (error as? SourceError).map { RequestProblem($0) } ?? .unexpected
            return .refuse(problem, route: .media, source: entry.name)
        }
        let query = QueryFlags(request.query)
        let isPage = path.isDirectory || query.asksForPage
        let delivery = media.delivery(of: path, in: source, entry, isDownload: query.isDownload)
        if !isPage, let answer = delivery.answerFromTable(request) { return answer }
        if let source = entry.items,
            let answer = items.dispatch(request, delivery, isPage: isPage, to: source)
        {
            return answer
        }
        if isPage {
            return .run(page(.listing, source: entry.name, deadline: entry.firstByteDeadline))
        }
        return media.dispatch(delivery)
    }

    private func page(_ route: Route, source: String, deadline: Duration) -> Dispatch.Operation {
        Dispatch.Operation(route: route, source: source, firstByteDeadline: deadline) { exchange in
            try await pages.respond(to: exchange)
        }
    }

    static func redirect(to location: String) -> ResponseHead {
        var head = ResponseHead(status: 308, framing: .length(0))
        head.add("Location", location)
        return head
    }

    private static let pongBody = ByteBuffer(string: "pong")
    private static let pong: ResponseHead = {
        var head = ResponseHead(status: 200, framing: .length(4))
        head.add("Content-Type", "text/plain; charset=utf-8")
        head.add("Cache-Control", "no-store")
        return head
    }()
}

extension MediaDelivery {
    /// The answer, if what is known of the object settles it: HEAD, 304, 412, 416, and ranges whose start is in the cache.
    func answerFromTable(_ request: GatewayRequest) -> Dispatch? {
        guard let known = objects.lookup(key, now: .now) else { return nil }
        let plan = plan(for: request, known.info)
        switch plan.body {
        case .none:
            let head = response.head(plan, of: known.info, name: path.name, isDownload: isDownload, cache: .bypass)
            return .answer(head, body: nil, route: .media, source: entry.name)
        case .part(let range):
            // With preconditions the range is not all that decides.
            let isRepeatable = plan.status == 206 && request.head.fields.preconditions == Preconditions()
            return directAnswer(plan, range, of: known, isRepeatable: isRepeatable).map(Dispatch.direct)
        case .unknownLength:
            return nil
        }
    }

    private func directAnswer(
        _ plan: DeliveryPlan,
        _ range: Range<Int64>,
        of known: ObjectTable.Known,
        isRepeatable: Bool
    ) -> DirectAnswer? {
        guard let cache, let cached = known.cached, cache.isReady(cached.chunk(at: range.lowerBound)) else {
            return nil
        }
        let outcome = CacheOutcome(range, of: cached, in: cache)
        let lease = source.lease(path)
        let body = CachedBody(cache, cached, upTo: range.upperBound)
        return DirectAnswer(
            head: isDownload
                ? response.head(plan, of: known.info, name: path.name, isDownload: true, cache: outcome)
                : response.head(plan, of: known.info, known.fields, outcome),
            body: body,
            range: range,
            lease: lease,
            route: .media,
            source: entry.name,
            firstByteDeadline: entry.firstByteDeadline,
            others: isRepeatable ? self : nil,
            rest: { [self] exchange, position in
                try await resume(exchange, cached, position..<range.upperBound, body, lease)
            }
        )
    }
}

extension MediaDelivery: RangeAnswers {
    package func answer(to range: ByteRangeRequest) -> DirectAnswer? {
        guard let known = objects.lookup(key, now: .now), let size = known.info.size,
            let part = range.resolve(size: size)
        else { return nil }
        return directAnswer(DeliveryPlan(part, of: size), part, of: known, isRepeatable: false)
    }
}

/// The query parameters that mean something on a mount.
struct QueryFlags {
    private(set) var isDownload = false
    private(set) var asksForPage = false

    init(_ query: Substring?) {
        guard let query else { return }
        for parameter in query.split(separator: "&") {
            let name = parameter.prefix { $0 != "=" }
            switch name {
            case "download": isDownload = true
            case "play", "format": asksForPage = true
            default: break
            }
        }
    }
}
