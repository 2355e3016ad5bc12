import Logging
import Synchronization

/// The circuit breakers of the base URLs of a source.
final class OriginBreakers: Sendable {
    private let bases: [OriginURL]
    private let breakers: Mutex<[CircuitBreaker]>
    private let metrics: HTTPMetrics
    private let logger: Logger
    private let now: @Sendable () -> ContinuousClock.Instant

    init(
        _ bases: [OriginURL],
        _ settings: HTTPSettings,
        metrics: HTTPMetrics,
        logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant
    ) {
        self.bases = bases
        self.metrics = metrics
        self.logger = logger
        self.now = now
        let breaker = CircuitBreaker(failures: settings.breakerFailures, pause: settings.breakerPause)
        breakers = Mutex(Array(repeating: breaker, count: bases.count))
    }

    func admit(_ base: Int) -> CircuitBreaker.Permit? {
        breakers.withLock { $0[base].admit(at: now()) }
    }

    func succeed(_ base: Int) { change(base) { $0.succeed() } }

    func fail(_ base: Int, _ permit: CircuitBreaker.Permit, _ failure: CircuitBreaker.Failure) {
        change(base) { $0.fail(permit, failure, at: now()) }
    }

    func abandon(_ base: Int, _ permit: CircuitBreaker.Permit) {
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
