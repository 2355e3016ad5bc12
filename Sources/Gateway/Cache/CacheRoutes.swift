package import ChunkCache
import HTTPTypes
import Hummingbird
import NIOCore
import SourcePlugins

/// What the admin listener answers about the cache. Its answers may look at every object, and block.
package struct CacheRoutes: Sendable {
    private let cache: CacheAdministration
    private let jobs = CacheJobs()

    /// - Parameters:
    ///   - sources: the names of those that are cached.
    ///   - forget: drops what is known of these objects outside the cache, so that a request that comes after a purge
    ///     asks the source.
    package init(_ cache: ChunkStore, sources: [String], forget: @escaping @Sendable (PurgeScope) -> Void) {
        self.cache = CacheAdministration(cache, sources: sources, forget: forget)
    }

    /// Ends what operators have started; before the cache is closed.
    package func stop() async { await jobs.stop() }

    /// The methods of a path that has others than GET and HEAD.
    static func methods(of path: Substring) -> [String]? {
        switch path {
        case "/admin/v1/cache/pins": ["GET", "HEAD", "POST", "DELETE"]
        case "/admin/v1/cache/purge", "/admin/v1/cache/verify": ["POST"]
        default: path.hasPrefix("/admin/v1/jobs/") ? ["GET", "HEAD", "DELETE"] : nil
        }
    }

    /// Carries out `PURGE` with the path of an object on the data listener, and `Soft-Purge: 1` if it is to stay.
    ///
    /// - Throws: ``RequestProblem`` if there is no source at the path.
    func purge(_ request: GatewayRequest, _ sources: SourceTable) async throws -> Response {
        guard let (entry, rest) = sources.resolve(request.path), !rest.isEmpty else {
            throw RequestProblem(404, .notFound, "no source is mounted there")
        }
        // Of a source that is not cached there is nothing.
        guard cache.knows(entry.name) else { return .json(PurgeReport(objects: 0, chunks: 0)) }
        let scope = PurgeScope.object(source: entry.name, path: PercentEncoding.decodedLeniently(rest.utf8.dropFirst()))
        let isSoft = request.head.headerFields.first("soft-purge") == "1"
        return .json(try await purge(scope, isSoft: isSoft))
    }

    private func purge(_ scope: PurgeScope, isSoft: Bool) async throws -> PurgeReport {
        do {
            return try await refusingUnknown { try await cache.purge(scope, isSoft: isSoft) }
        } catch let error as CacheNotOpen {
            throw RequestProblem(503, .unavailable, error.description, retryAfter: 30)
        }
    }

    /// - Throws: ``RequestProblem`` in place of ``UnknownSource``.
    private func refusingUnknown<Value: Sendable>(_ body: @Sendable () async throws -> Value) async throws -> Value {
        do {
            return try await body()
        } catch let error as UnknownSource {
            throw RequestProblem(404, .notFound, "\(error)")
        }
    }

    func add(to router: Router<GatewayRequestContext>) {
        addReading(to: router)
        addChanging(to: router)
        addPins(to: router)
        addJobs(to: router)
    }

    private func addReading(to router: Router<GatewayRequestContext>) {
        router.get("/admin/v1/cache") { _, context -> Response in
            try QueryParameters(context.request.query).allowOnly([])
            return .json(cache.report())
        }
        router.get("/admin/v1/cache/items") { _, context -> Response in
            let query = try CacheItemQuery(QueryParameters(context.request.query))
            return .json(try await refusingUnknown { try cache.items(query) })
        }
        router.get("/admin/v1/cache/items/:number") { _, context -> Response in
            try QueryParameters(context.request.query).allowOnly([])
            guard let number = context.parameters.get("number", as: UInt64.self),
                let item = cache.item(number)
            else { throw RequestProblem(404, .notFound, "the cache has no object of that number") }
            return .json(item)
        }
        router.get("/admin/v1/cache/items/:source/**") { _, context -> Response in
            try QueryParameters(context.request.query).allowOnly([])
            let rest = context.request.path.dropFirst("/admin/v1/cache/items/".count)
            let source = String(rest.prefix { $0 != "/" })
            let path = PercentEncoding.decodedLeniently(rest.dropFirst(source.count + 1).utf8)
            let found = cache.items(of: source, at: path)
            guard !found.items.isEmpty else {
                throw RequestProblem(404, .notFound, "the cache has nothing of that path of that source")
            }
            return .json(found)
        }
    }

    private func addChanging(to router: Router<GatewayRequestContext>) {
        router.post("/admin/v1/cache/purge") { _, context -> Response in
            let query = try QueryParameters(context.request.query)
            let (scope, isSoft) = (try PurgeScope(query), try query.flag("soft"))
            return .json(try await purge(scope, isSoft: isSoft))
        }
        router.post("/admin/v1/cache/verify") { _, context -> Response in
            try QueryParameters(context.request.query).allowOnly([])
            guard let job = jobs.verify(cache) else {
                throw RequestProblem(503, .shuttingDown, "the gateway is shutting down")
            }
            return .json(job, status: .accepted, headers: [.location: "/admin/v1/jobs/\(job.id)"])
        }
    }

    private func addPins(to router: Router<GatewayRequestContext>) {
        router.get("/admin/v1/cache/pins") { _, context -> Response in
            try QueryParameters(context.request.query).allowOnly([])
            return .json(try await withPins { try cache.pins() })
        }
        router.post("/admin/v1/cache/pins") { _, context -> Response in
            let scope = try PinScope(QueryParameters(context.request.query))
            let (report, isNew) = try await withPins { try await cache.add(scope) }
            return .json(report, status: isNew ? .created : .ok)
        }
        router.delete("/admin/v1/cache/pins") { _, context -> Response in
            let scope = try PinScope(QueryParameters(context.request.query))
            return .json(try await withPins { try await cache.unpin(scope) })
        }
    }

    /// - Throws: ``RequestProblem``.
    private func withPins<Value: Sendable>(_ body: @Sendable () async throws -> Value) async throws -> Value {
        do {
            return try await refusingUnknown(body)
        } catch let error as PinError {
            throw RequestProblem(error)
        }
    }

    private func addJobs(to router: Router<GatewayRequestContext>) {
        router.get("/admin/v1/jobs/:id") { _, context -> Response in
            try QueryParameters(context.request.query).allowOnly([])
            return try .json(found(jobs.report(id(context))))
        }
        router.delete("/admin/v1/jobs/:id") { _, context -> Response in
            try QueryParameters(context.request.query).allowOnly([])
            return try .json(found(jobs.cancel(id(context))), status: .accepted)
        }
    }

    private func id(_ context: GatewayRequestContext) -> Int { context.parameters.get("id", as: Int.self) ?? 0 }

    private func found(_ job: JobReport?) throws -> JobReport {
        guard let job else { throw RequestProblem(404, .notFound, "there is no job of that number") }
        return job
    }
}

extension Response {
    fileprivate static func json(
        _ value: some Encodable,
        status: HTTPResponse.Status = .ok,
        headers more: HTTPFields = [:]
    ) -> Response {
        var headers: HTTPFields = [
            .contentType: JSONBody.mediaType, .cacheControl: "no-store", .xContentTypeOptions: "nosniff",
        ]
        for field in more { headers.append(field) }
        let body = ResponseBody(byteBuffer: ByteBuffer(bytes: JSONBody.encode(value)))
        return Response(status: status, headers: headers, body: body)
    }
}
