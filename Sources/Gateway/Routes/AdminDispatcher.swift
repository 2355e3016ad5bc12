import HTTPTypes
import Hummingbird
package import Logging
import NIOCore

/// What the admin listener answers: health, metrics, the configuration in force, the cache, and torrents.
package struct AdminDispatcher: RequestDispatcher {
    private let access: AdminAccess
    private let responder: any HTTPResponder<GatewayRequestContext>
    private let logger: Logger
    /// The methods of a path that has others than GET and HEAD.
    private let changes: @Sendable (Substring) -> [String]?
    private let purge: (@Sendable (GatewayRequest) async throws -> Response)?

    package var methods: RequestGate.Methods { .any }

    /// - Parameters:
    ///   - configuration: the effective configuration as TOML, without secrets.
    ///   - cache: `nil` if there is no cache.
    ///   - items: `nil` if no source holds any.
    ///   - sources: for `PURGE`, whose paths are those of the data listener.
    ///   - readiness: `nil` while the gateway serves, else why it does not.
    package init(
        access: AdminAccess,
        metrics: PrometheusRegistry,
        configuration: String,
        cache: CacheRoutes? = nil,
        items: ItemAdministration? = nil,
        sources: SourceTable = SourceTable([]),
        readiness: @escaping @Sendable () -> String?,
        logger: Logger
    ) {
        self.access = access
        self.logger = logger
        self.changes = { path in
            cache.flatMap { _ in CacheRoutes.methods(of: path) }
                ?? items.flatMap { _ in ItemAdministration.methods(of: path) }
        }
        if let cache {
            purge = { request in try await cache.purge(request, sources) }
        } else {
            purge = nil
        }
        let router = Router(context: GatewayRequestContext.self)
        let paths = ["/healthz", "/readyz", "/metrics", "/admin/v1/config"]
        let more = [cache == nil ? nil : "/admin/v1/cache", items == nil ? nil : "/admin/v1/torrents"]
        let list = (paths + more.compactMap(\.self)).joined(separator: " ")
        router.get("/") { _, _ in Self.text("media-gateway admin: \(list)\n") }
        router.get("/healthz") { _, _ in Self.text("ok\n") }
        router.get("/readyz") { _, _ in
            let reason = readiness()
            return Self.text(reason.map { "\($0)\n" } ?? "ready\n", status: reason == nil ? .ok : .serviceUnavailable)
        }
        router.get("/metrics") { _, _ in
            Self.text(metrics.page(), type: PrometheusRegistry.contentType)
        }
        router.get("/admin/v1/config") { _, _ in Self.text(configuration, type: "application/toml; charset=utf-8") }
        cache?.add(to: router)
        items?.add(to: router)
        router.get("/**") { _, _ -> Response in throw RequestProblem.notFound }
        self.responder = router.buildResponder()
    }

    package func dispatch(_ request: GatewayRequest) -> Dispatch {
        let route = Self.route(of: request.path)
        if let problem = access.refuse(request, needsToken: route == .admin) {
            return .refuse(problem, route: route, source: "")
        }
        if let problem = refuseMethod(request) ?? access.refuseChange(request) {
            return .refuse(problem, route: route, source: "")
        }
        let (responder, logger) = (responder, logger)
        if request.head.method == .other("PURGE"), let purge {
            let operation = Dispatch.Operation(route: .admin, source: "", firstByteDeadline: .seconds(20)) { exchange in
                try await offLoop { try await exchange.send(purge(request)) }
            }
            return .run(operation)
        }
        // Bringing in a torrent takes as long as its description takes.
        let isAdding = request.path == "/admin/v1/torrents" && request.head.method == .other("POST")
        let operation = Dispatch.Operation(
            route: route,
            source: "",
            firstByteDeadline: isAdding ? ItemAdministration.patience : .seconds(20)
        ) { exchange in
            // Metrics and reports block; whether the gateway is well does not wait behind them.
            guard route != .health else { return try await exchange.forward(to: responder, logger: logger) }
            try await offLoop { try await exchange.forward(to: responder, logger: logger) }
        }
        return .run(operation)
    }

    private func refuseMethod(_ request: GatewayRequest) -> RequestProblem? {
        if request.head.method == .other("PURGE"), purge != nil { return nil }
        let allowed = changes(request.path) ?? ["GET", "HEAD"]
        guard !allowed.contains(request.head.method.text) else { return nil }
        let detail = "\(request.head.method.text) is not available here; use \(allowed.joined(separator: " or "))"
        return RequestProblem(405, .methodNotAllowed, detail, allow: allowed.joined(separator: ", "))
    }

    private static func route(of path: Substring) -> Route {
        switch path {
        case "/healthz", "/readyz": .health
        case "/metrics": .metrics
        default: .admin
        }
    }

    private static func text(
        _ text: String,
        type: String = "text/plain; charset=utf-8",
        status: HTTPResponse.Status = .ok
    ) -> Response {
        let headers: HTTPFields = [.contentType: type, .cacheControl: "no-store", .xContentTypeOptions: "nosniff"]
        return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
    }
}

/// Who may use the admin listener.
package struct AdminAccess: Sendable {
    private let token: [UInt8]?
    private let hosts: Set<String>?

    /// - Parameters:
    ///   - token: what `Authorization: Bearer` must carry; `nil` on a listener that only this machine reaches.
    ///   - hosts: the names that a `Host` field may have besides addresses, in lower case, so that no page can reach the
    ///     listener by rebinding its own name (CVE-2018-5702); `nil` for a Unix socket.
    package init(token: [UInt8]?, hosts: Set<String>?) {
        self.token = token
        self.hosts = hosts
    }

    func refuse(_ request: GatewayRequest, needsToken: Bool) -> RequestProblem? {
        if let hosts {
            guard let host = request.head.fields[.host].flatMap({ HostAuthority($0) })?.host,
                hosts.contains(host) || (try? SocketAddress(ipAddress: host, port: 0)) != nil
            else {
                return RequestProblem(421, .badHost, "the admin listener does not answer to this host name")
            }
        }
        guard needsToken, let token else { return nil }
        let credentials = request.head.fields[.authorization] ?? ""
        guard credentials.lowercased().hasPrefix("bearer "), isEqual(Array(credentials.utf8.dropFirst(7)), token) else {
            return RequestProblem(401, .forbidden, "this needs the admin token as Authorization: Bearer")
        }
        return nil
    }

    /// Browsers name the page that sends a request which changes something, and a page of another site has no say here.
    func refuseChange(_ request: GatewayRequest) -> RequestProblem? {
        guard case .other = request.head.method, let origin = request.head.httpFields[.origin] else { return nil }
        let host = request.head.fields[.host]?.lowercased() ?? ""
        guard ["http://\(host)", "https://\(host)"].contains(origin.lowercased()) else {
            return RequestProblem(403, .forbidden, "pages of other sites may change nothing here")
        }
        return nil
    }

    /// In a time that does not depend on where the two differ.
    private func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
