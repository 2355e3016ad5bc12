package import Config
package import SourcePlugins
import Synchronization

/// Stands before everything that brings in an item, or asks the world for one that is not known, whatever the route.
///
/// A page in a browser can make it send requests here, and so can a link. So who may add is decided by where a request
/// comes from and by what the browser says of the page behind it.
package final class ItemGate: Sendable {
    private let limit: RequestLimit
    private let hosts: Set<String>
    private let limiter: Mutex<RequestLimiter<[UInt8]>?>
    private let limited: PrometheusRegistry.Counter?
    private let now: @Sendable () -> ContinuousClock.Instant

    /// - Parameters:
    ///   - limit: on questions to the world, for each address.
    ///   - hosts: the names that a `Host` field of a local request may have besides `localhost` and loopback addresses,
    ///     in lower case.
    package init(
        limit: RequestLimit = .off,
        hosts: Set<String> = [],
        registry: PrometheusRegistry? = nil,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.limit = limit
        self.hosts = hosts.union(["localhost"])
        switch limit {
        case .off: limiter = Mutex(nil)
        case .rate(let count, let period): limiter = Mutex(RequestLimiter(count: count, per: period.duration))
        }
        limited = registry?.counter(
            "media_gateway_rate_limited_total",
            help: "Requests answered 429",
            labels: [("rule", "resolve_per_ip")]
        )
        self.now = now
    }

    /// Why the request may not ask the world for an item; `nil` if it may, and then it has been counted.
    ///
    /// - Parameter isReady: whether the source knows what is known. If not, nobody may have to be asked: then nothing is
    ///   counted, and who may not ask is to come back.
    package func refuse(
        _ request: GatewayRequest,
        _ policy: AddPolicy,
        of source: String,
        isReady: Bool
    ) -> RequestProblem? {
        let problem = refuseChange(request, policy, of: source)
        guard isReady else { return problem.map { _ in .notReady(source) } }
        return problem ?? refuseQuestion(request)
    }

    /// Why the request may change which items there are; `nil` if it may.
    package func refuseChange(_ request: GatewayRequest, _ policy: AddPolicy, of source: String) -> RequestProblem? {
        switch policy.who {
        case .anyone:
            break
        case .local where isLocal(request):
            break
        case .local:
            return .notAllowed(
                "only requests from this machine, to localhost or its address, may bring in something new here; "
                    + "options.add = \"anyone\" of the source \(source) lets others do so"
            )
        case .admin:
            return .notAllowed(
                "something new comes in through the admin listener only: options.add of the source \(source)"
            )
        }
        guard isCrossSite(request, policy.origins) else { return nil }
        return .notAllowed(
            "pages of other sites may bring in nothing new here; "
                + "options.add_origins of the source \(source) lists those that may"
        )
    }

    /// Why the request may not ask the world now, wherever it comes from; `nil` if it may, and then it has been counted.
    package func refuseQuestion(_ request: GatewayRequest) -> RequestProblem? {
        let client = ClientAddress(request.client).prefix
        guard let wait = limiter.withLock({ $0?.admit(client, now: now()) }) else { return nil }
        limited?.increment()
        return RequestProblem(
            429,
            .rateLimited,
            "too many requests for what is not known here yet: limits.resolve_per_ip is \(limit)",
            retryAfter: Int(clamping: wait.components.seconds + 1)
        )
    }

    private func isLocal(_ request: GatewayRequest) -> Bool {
        guard ClientAddress(request.client).isLocal else { return false }
        // The last proxy's word, if that proxy is trusted; from any other, a sign that the client is elsewhere.
        if let forwarded = request.head.fields[.forwardedFor] {
            guard forwarded.split(separator: ",").last?.trimmingBlanks == request.client else { return false }
        }
        // A page can reach this machine by a name of its own that leads here (DNS rebinding, CVE-2018-5702).
        guard let field = request.head.fields[.host] else { return true }
        guard let host = HostAuthority(field)?.host else { return false }
        return hosts.contains(host) || ClientAddress.isLoopback(host)
    }

    /// Whether a browser sent it for a page of another site (Fetch standard, Fetch Metadata).
    private func isCrossSite(_ request: GatewayRequest, _ origins: [String]) -> Bool {
        let fields = request.head.fields
        if let origin = fields[.origin]?.lowercased() {
            if origins.contains(where: { $0.lowercased() == origin }) { return false }
            let host = fields[.host]?.lowercased() ?? ""
            return origin != "http://\(host)" && origin != "https://\(host)"
        }
        switch fields[.secFetchSite] {
        case nil, "same-origin", "none": return false
        default: return true
        }
    }
}

extension RequestProblem {
    fileprivate static func notAllowed(_ detail: String) -> RequestProblem { RequestProblem(403, .forbidden, detail) }

    fileprivate static func notReady(_ source: String) -> RequestProblem {
        RequestProblem(SourceError(.notReady, "the source \(source) is still reading what it knows; try again soon"))
    }
}
