import Logging
import NIOPosix
import NIOSSL

/// The places of a source: sends requests there, and elsewhere if they say so and it is allowed.
final class Origin: Sendable {
    let settings: HTTPSettings
    let policy: HTTPPolicy
    let metrics: HTTPMetrics
    let logger: Logger
    /// The name of this gateway in `Via`.
    let node: String
    let bases: [OriginURL]
    let clients: OriginClients
    let resolver: HostResolver
    let headers: OriginHeaders
    private let breakers: OriginBreakers
    private let pool: NIOThreadPool

    init(
        _ settings: HTTPSettings,
        policy: HTTPPolicy,
        context: SourceContext,
        node: String,
        lookUp: @escaping @Sendable (String) throws -> [IPAddress],
        now: @escaping @Sendable () -> ContinuousClock.Instant
    ) {
        self.settings = settings
        self.policy = policy
        self.node = node
        logger = context.logger
        metrics = HTTPMetrics(source: context.name)
        bases = [settings.baseURL] + settings.fallbacks
        clients = OriginClients(settings, limit: policy.mostClients)
        resolver = HostResolver(
            pool: context.blockingPool,
            timeout: settings.connectTimeout,
            now: now,
            lookUp: lookUp
        )
        headers = OriginHeaders(settings.headers, pool: context.blockingPool, now: now)
        pool = context.blockingPool
        breakers = OriginBreakers(bases, settings, metrics: metrics, logger: logger, now: now)
    }

    /// Ends what is under way, and refuses what comes.
    func close() async { await clients.close() }

    /// Reads the files that requests need.
    ///
    /// - Throws: ``SourceError``.
    func checkFiles() async throws {
        _ = try await headers.fields()
        guard let file = settings.authorities else { return }
        let count = try await pool.call { try? NIOSSLCertificate.fromPEMFile(file).count } ?? 0
        if count == 0 { throw SourceError(.unavailable, "there is no certificate in the file that ca_file names") }
    }

    // MARK: - Tries

    /// Asks the base URL that is preferred, and the others in their order as long as those before are down.
    ///
    /// - Returns: an answer with a status below 500, or, if the request is forwarded, any.
    /// - Throws: ``SourceError`` or `CancellationError`, and whatever the request's body throws.
    func respond(to request: OriginRequest, preferring preferred: Int = 0) async throws -> OriginResponse {
        var last = Failure(
            error: SourceError(.unavailable, "the origin failed again and again, and is left alone for a moment")
        )
        do {
            for base in [preferred] + bases.indices.filter({ $0 != preferred }) {
                if let response = try await respond(to: request, at: base, &last) { return response }
                guard last.mayRepeat else { break }
            }
        } catch {
            last.answer?.exchange.cancel()
            throw error
        }
        if let answer = last.answer { return answer }
        throw last.error
    }

    /// What came of a try, if not what was wanted.
    private struct Failure {
        var error: SourceError
        /// The answer that was one, for a client that is to see it.
        var answer: OriginResponse?
        /// Whether another try may be made at all, and whether one may do at once what this one did not.
        var mayRepeat = true
        var mayPass = false
        /// Whether the request was caught in what befell another.
        var isShared = false
    }

    private func respond(
        to request: OriginRequest,
        at base: Int,
        _ last: inout Failure
    ) async throws -> OriginResponse? {
        var (tries, caught) = (0, 0)
        while let permit = breakers.admit(base) {
            let failure: Failure
            switch try await attempt(request, at: base, permit) {
            case .success(let response):
                last.answer?.exchange.cancel()
                return response
            case .failure(let tried): failure = tried.failure
            }
            // An answer of before is better than none.
            let answer = failure.answer ?? last.answer
            if failure.answer != nil { last.answer?.exchange.cancel() }
            last = failure
            last.answer = answer
            if failure.isShared { caught += 1 } else { tries += 1 }
            guard failure.mayRepeat, failure.mayPass, !permit.isProbe || failure.isShared,
                tries <= settings.retries, caught <= policy.mostSharedFailures
            else { return nil }
            metrics.countRetry()
            // Makes room for the next one.
            last.answer?.exchange.discard()
            last.answer = nil
            try await Task.sleep(for: policy.retryPause * (1 << min(max(tries - 1, 0), 6)))
        }
        return nil
    }

    private struct Tried: Error {
        let failure: Failure
    }

    private func attempt(
        _ request: OriginRequest,
        at base: Int,
        _ permit: CircuitBreaker.Permit
    ) async throws -> Result<OriginResponse, Tried> {
        // Once the base URL has answered, what comes of a redirect says nothing about it.
        var isSettled = false
        do {
            let response = try await follow(request, from: base) { status in
                isSettled = true
                // Any other error is one of the request: whoever answers so lives.
                if [502, 503, 504].contains(status) {
                    breakers.fail(base, permit, .answer(path: request.path))
                } else {
                    breakers.succeed(base)
                }
            }
            guard response.head.status >= 500 else { return .success(response) }
            return .failure(Tried(failure: failure(request, response)))
        } catch let error as OriginFailure {
            if !isSettled { report(error, base, permit, request) }
            return .failure(Tried(failure: failure(request, error)))
        } catch {
            if !isSettled { breakers.abandon(base, permit) }
            // What keeps it from one place, a secret that is missing say, need not keep it from the next.
            guard !isSettled, let error = error as? SourceError, error.code == .unavailable else { throw error }
            return .failure(Tried(failure: Failure(error: error)))
        }
    }

    private func failure(_ request: OriginRequest, _ response: OriginResponse) -> Failure {
        let status = response.head.status
        var failure = Failure(error: SourceError(status: status), mayRepeat: request.mayRepeat(wasSent: true))
        if request.isForwarded {
            failure.answer = response
        } else {
            response.exchange.discard()
            failure.mayPass = [500, 502, 504].contains(status)
        }
        return failure
    }

    private func failure(_ request: OriginRequest, _ error: OriginFailure) -> Failure {
        let isPassing =
            switch error.kind {
            case .unreachable: error.isShared || bases.count == 1
            case .broken: true
            case .unresolved, .resolverSilent, .connectTimedOut, .noConnection, .timedOut, .malformed, .shuttingDown:
                false
            }
        return Failure(
            error: SourceError(error),
            mayRepeat: request.mayRepeat(wasSent: !error.isBeforeSending),
            mayPass: isPassing,
            isShared: error.isShared
        )
    }

    private func report(
        _ error: OriginFailure,
        _ base: Int,
        _ permit: CircuitBreaker.Permit,
        _ request: OriginRequest
    ) {
        switch error.kind {
        // Neither says anything about the origin.
        case .noConnection, .shuttingDown: breakers.abandon(base, permit)
        // One report of it is enough.
        case _ where error.isShared: breakers.abandon(base, permit)
        case .unresolved, .resolverSilent, .unreachable, .connectTimedOut:
            breakers.fail(base, permit, .connection)
        case .timedOut, .broken, .malformed: breakers.fail(base, permit, .answer(path: request.path))
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
    /// How often a request is tried again that failed with another's connection.
    package var mostSharedFailures = 3
    /// How many addresses of a host are tried.
    package var mostAddresses = 4
    /// Of how many hosts and addresses connections are kept for later.
    package var mostClients = 32

    package init() {}
}
