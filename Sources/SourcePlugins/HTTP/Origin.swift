import Logging
import Synchronization

/// What is asked of an origin: an object, or a range of it.
struct OriginRequest: Sendable {
    let path: MediaPath
    /// `nil` for all of it.
    let range: Range<Int64>?
    /// The strong entity tag that the object has to have for the range to be of use.
    let validator: String?
}

/// The answer of an origin, with a status below 500. Whoever has it ends the exchange.
struct OriginResponse: Sendable {
    let head: OriginHead
    let exchange: OriginExchange
    /// Which of the base URLs it is from.
    let base: Int
}

/// The places of a source: sends requests there, and elsewhere if they say so and it is allowed.
final class Origin: Sendable {
    let settings: HTTPSettings
    let policy: HTTPPolicy
    let metrics: HTTPMetrics
    let logger: Logger
    private let bases: [OriginURL]
    private let clients: OriginClients
    private let resolver: HostResolver
    private let headers: OriginHeaders
    private let breakers: Mutex<[CircuitBreaker]>
    private let now: @Sendable () -> ContinuousClock.Instant

    init(
        _ settings: HTTPSettings,
        policy: HTTPPolicy,
        context: SourceContext,
        lookUp: @escaping @Sendable (String) throws -> [IPAddress],
        now: @escaping @Sendable () -> ContinuousClock.Instant
    ) {
        self.settings = settings
        self.policy = policy
        self.now = now
        logger = context.logger
        metrics = HTTPMetrics(source: context.name)
        bases = [settings.baseURL] + settings.fallbacks
        clients = OriginClients(connectTimeout: settings.connectTimeout, connections: settings.connections)
        resolver = HostResolver(pool: context.blockingPool, timeout: settings.connectTimeout, lookUp: lookUp)
        headers = OriginHeaders(settings.headers, pool: context.blockingPool)
        let breaker = CircuitBreaker(failures: settings.breakerFailures, pause: settings.breakerPause)
        breakers = Mutex(Array(repeating: breaker, count: bases.count))
    }

    /// Ends what is under way, and refuses what comes.
    func close() async { await clients.close() }

    /// Reads the files that requests need.
    ///
    /// - Throws: ``SourceError``.
    func checkHeaders() async throws { _ = try await headers.fields() }

    // MARK: - Tries

    /// Asks the base URL that is preferred, and the others in their order as long as those before are down.
    ///
    /// - Throws: ``SourceError`` or `CancellationError`.
    func respond(to request: OriginRequest, preferring preferred: Int = 0) async throws -> OriginResponse {
        var failure = SourceError(.unavailable, "the origin failed again and again, and is left alone for a moment")
        let others = bases.indices.filter { $0 != preferred }
        for base in [preferred] + others {
            var tries = 0
            while let permit = admit(base) {
                tries += 1
                switch try await attempt(request, at: base, permit) {
                case .response(let response): return response
                case .failure(let error, let mayPass):
                    failure = error
                    guard mayPass, tries <= settings.retries else { break }
                    metrics.countRetry()
                    try await Task.sleep(for: policy.retryPause * (1 << min(tries - 1, 6)))
                    continue
                }
                break
            }
        }
        throw failure
    }

    private enum Attempt {
        case response(OriginResponse)
        /// Whether another try may do at once what this one did not.
        case failure(SourceError, mayPass: Bool)
    }

    private func attempt(
        _ request: OriginRequest,
        at base: Int,
        _ permit: CircuitBreaker.Permit
    ) async throws -> Attempt {
        // Once the base URL has answered, what comes of a redirect says nothing about it.
        var isSettled = false
        do {
            let response = try await follow(request, from: base) { [self] status in
                isSettled = true
                status < 500 ? succeed(base) : fail(base, permit)
            }
            guard response.head.status >= 500 else { return .response(response) }
            response.exchange.discard()
            let status = response.head.status
            return .failure(SourceError(status: status), mayPass: [500, 502, 504].contains(status))
        } catch let error as OriginFailure {
            // Neither says anything about the origin.
            let isOurs = error.kind == .noConnection || error.kind == .shuttingDown
            if !isSettled { isOurs ? abandon(base, permit) : fail(base, permit) }
            let isPassing = [.unreachable, .broken, .noConnection].contains(error.kind)
            return .failure(SourceError(error), mayPass: isPassing && (error.kind != .unreachable || bases.count == 1))
        } catch {
            if !isSettled { abandon(base, permit) }
            // A name that cannot be resolved is a way of being down.
            guard let error = error as? SourceError, !isSettled, [.unavailable, .timedOut].contains(error.code) else {
                throw error
            }
            return .failure(error, mayPass: false)
        }
    }

    // MARK: - Redirects

    /// - Parameter settle: is called with the status of the first answer.
    private func follow(
        _ request: OriginRequest,
        from base: Int,
        _ settle: (Int) -> Void
    ) async throws -> OriginResponse {
        var trail = RedirectTrail(from: bases[base].appending(request.path), limit: settings.redirects)
        while true {
            let (head, exchange) = try await ask(trail.url, request, isAtHome: trail.isAtHome)
            if !trail.isRedirected { settle(head.status) }
            guard let reference = head.redirection else {
                return OriginResponse(head: head, exchange: exchange, base: base)
            }
            exchange.discard()
            try trail.follow(reference)
        }
    }

    // MARK: - One request

    private func ask(
        _ url: OriginURL,
        _ request: OriginRequest,
        isAtHome: Bool
    ) async throws -> (OriginHead, OriginExchange) {
        let addresses = try await allowedAddresses(url, isAtHome: isAtHome)
        let fields = try await fields(url, request, isAtHome: isAtHome)
        var failure: any Error = OriginFailure(.unreachable)
        for address in addresses.prefix(policy.mostAddresses) {
            try Task.checkCancellation()
            let exchange = OriginExchange(try clients.client(for: url.origin.host, at: address))
            let start = ContinuousClock.now
            do {
                let head = try await exchange.send(url, fields, within: settings.firstByteTimeout)
                metrics.observeFirstByte(.now - start)
                metrics.count(HTTPMetrics.Outcome(status: head.status))
                return (head, exchange)
            } catch {
                exchange.cancel()
                metrics.count(HTTPMetrics.Outcome(error))
                guard let error = error as? OriginFailure, [.unreachable, .connectTimedOut].contains(error.kind) else {
                    throw error
                }
                resolver.demote(address, of: url.origin.host)
                failure = error
            }
        }
        throw failure
    }

    /// Where the configuration sends a request is trusted; what a redirect names must be allowed, under every address that
    /// is connected to.
    private func allowedAddresses(_ url: OriginURL, isAtHome: Bool) async throws -> [IPAddress] {
        let origin = url.origin
        if isAtHome { return try await resolver.addresses(of: origin.host) }
        if let rule = settings.addressPolicy.refusal(of: origin.host) { throw Self.refusal(rule) }
        let addresses = try await resolver.addresses(of: origin.host)
        let allowed = addresses.filter(settings.addressPolicy.allows)
        if allowed.isEmpty, let rule = addresses.lazy.compactMap(settings.addressPolicy.refusal).first {
            throw Self.refusal(rule)
        }
        return allowed
    }

    private static func refusal(_ rule: AddressPolicy.Rule) -> SourceError {
        SourceError(.forbidden, "the origin redirects to \(rule.rawValue), which allow_private_addresses may allow")
    }

    private func fields(
        _ url: OriginURL,
        _ request: OriginRequest,
        isAtHome: Bool
    ) async throws -> OriginHeaders.Fields {
        var fields: OriginHeaders.Fields = [("Accept", "*/*"), ("User-Agent", "media-gateway")]
        if isAtHome, url.origin == settings.baseURL.origin {
            let own = try await headers.fields()
            let names = Set(own.map { $0.name.lowercased() })
            fields = fields.filter { !names.contains($0.name.lowercased()) } + own
        }
        fields.append(("Accept-Encoding", "identity"))
        if let range = request.range {
            fields.append(("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)"))
            if let validator = request.validator { fields.append(("If-Range", validator)) }
        }
        return fields
    }

    // MARK: - Circuit breakers

    private func admit(_ base: Int) -> CircuitBreaker.Permit? {
        breakers.withLock { $0[base].admit(at: now()) }
    }

    private func succeed(_ base: Int) { change(base) { $0.succeed() } }

    private func fail(_ base: Int, _ permit: CircuitBreaker.Permit) { change(base) { $0.fail(permit, at: now()) } }

    private func abandon(_ base: Int, _ permit: CircuitBreaker.Permit) {
        change(base) { $0.abandon(permit, at: now()) }
    }

    private func change(_ base: Int, _ change: (inout CircuitBreaker) -> Void) {
        let (before, after, open) = breakers.withLock { breakers in
            let before = breakers[base].isOpen
            change(&breakers[base])
            return (before, breakers[base].isOpen, breakers.count { $0.isOpen })
        }
        guard before != after else { return }
        metrics.show(openBreakers: open)
        let origin: Logger.Metadata = ["origin": "\(bases[base].origin.host)"]
        if after {
            logger.warning("origin down", metadata: origin)
        } else {
            logger.info("origin up", metadata: origin)
        }
    }
}

/// Bounds that are not for configuration.
package struct HTTPPolicy: Sendable {
    /// How many bytes before those that are wanted are read for nothing, from an origin that does not do ranges.
    package var longestSkip: Int64 = 1 << 30
    /// How long it is remembered of an object that its origin does not do ranges.
    package var rangelessFor = Duration.seconds(60)
    /// A read that has got on by so much since it last failed may fail again as if it never had.
    package var progress: Int64 = 1 << 20
    /// Before the first try after a failure; twice as long before each that follows.
    package var retryPause = Duration.milliseconds(100)
    /// How many addresses of a host are tried.
    package var mostAddresses = 4

    package init() {}
}
