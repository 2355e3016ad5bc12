package import ChunkCache
import NIOCore
import SourcePlugins

/// What the data listener answers: `/ping`, media below the mounts, and pages for everything else.
package struct DataDispatcher: RequestDispatcher {
    private let sources: SourceTable
    private let objects: ObjectTable
    private let cache: ChunkStore?
    private let response: MediaResponse
    private let pages: PageRouter
    private let pageDeadline: Duration
    private let meter: SourceMeter?

    /// - Parameters:
    ///   - cache: `nil` if nothing is cached.
    ///   - pageDeadline: the first-byte deadline of what belongs to no source.
    package init(
        sources: SourceTable,
        objects: ObjectTable,
        cache: ChunkStore?,
        response: MediaResponse,
        pages: PageRouter,
        pageDeadline: Duration,
        meter: SourceMeter? = nil
    ) {
        self.sources = sources
        self.objects = objects
        self.cache = cache
        self.response = response
        self.pages = pages
        self.pageDeadline = pageDeadline
        self.meter = meter
    }

    package func dispatch(_ request: GatewayRequest) -> Dispatch {
        if request.head.method == .options {
            return .answer(CrossOrigin.preflight(request.head.fields), body: nil, route: .preflight, source: "")
        }
        let path = request.path
        if path == "/ping" { return .answer(Self.pong, body: Self.pongBody, route: .ping, source: "") }
        if path == "/" { return .run(page(.page, source: "", deadline: pageDeadline)) }
        guard let (entry, rest) = sources.resolve(path) else {
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
        if path.isDirectory || query.asksForPage {
            return .run(page(.listing, source: entry.name, deadline: entry.firstByteDeadline))
        }
        let delivery = MediaDelivery(
            entry: entry,
            source: source,
            path: path,
            isDownload: query.isDownload,
            objects: objects,
            cache: entry.isCached ? cache : nil,
            response: response,
            meter: meter
        )
        return delivery.answerFromTable(request) ?? .run(media(delivery, entry))
    }

    private func media(_ delivery: MediaDelivery, _ entry: SourceTable.Entry) -> Dispatch.Operation {
        Dispatch.Operation(route: .media, source: entry.name, firstByteDeadline: entry.firstByteDeadline) { exchange in
            do {
                try await delivery.run(exchange)
            } catch let error as SourceError where error.code == .notFound {
                // A directory without its slash, or a subtitle that has to be converted.
                guard entry.listing != nil, try await !exchange.isStarted else { throw error }
                try await pages.respondInPlaceOfMissing(delivery.path, of: entry, error: error, to: exchange)
            }
        }
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
            guard let cache, let cached = known.cached, cache.isReady(cached.chunk(at: range.lowerBound)) else {
                return nil
            }
            let outcome = CacheOutcome(range, of: cached, in: cache)
            return .direct(
                DirectAnswer(
                    head: isDownload
                        ? response.head(plan, of: known.info, name: path.name, isDownload: true, cache: outcome)
                        : response.head(plan, known.fields, outcome),
                    body: CachedBody(cache, cached, upTo: range.upperBound),
                    range: range,
                    lease: source.lease(path),
                    route: .media,
                    source: entry.name,
                    firstByteDeadline: entry.firstByteDeadline,
                    rest: { exchange, position in try await resume(exchange, cached, position..<range.upperBound) }
                )
            )
        case .unknownLength:
            return nil
        }
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
