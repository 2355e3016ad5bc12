/// Decides whether an origin that has failed is asked again: not for a while, and then by one request at a time.
///
/// The caller asks ``admit(at:)`` before a request and reports what became of each that was admitted.
package struct CircuitBreaker: Sendable {
    package typealias Instant = ContinuousClock.Instant

    /// Leave to make one request.
    package struct Permit: Sendable, Hashable {
        fileprivate let probe: UInt64?

        /// Whether everybody else waits for what becomes of it.
        package var isProbe: Bool { probe != nil }
    }

    /// What failed.
    package enum Failure: Sendable, Hashable {
        /// There was no connection.
        case connection
        /// The origin did not answer as it should. Counts once for a path: one that always fails tells nothing of
        /// others.
        case answer(path: String)
    }

    private enum State {
        /// Requests go out; so many have failed since one succeeded, and these paths among them.
        case closed(failures: Int, paths: Set<String>)
        case open(until: Instant)
        /// One request is out to see. If nothing is heard of it until then, another goes too.
        case probing(UInt64, until: Instant)
    }

    private let failures: Int
    private let pause: Duration
    private var state = State.closed(failures: 0, paths: [])
    private var probes: UInt64 = 0

    /// - Parameters:
    ///   - failures: after how many failures in a row requests stop, at least 1.
    ///   - pause: for how long, and how long a request that is out to see keeps others from it.
    package init(failures: Int, pause: Duration) {
        self.failures = max(failures, 1)
        self.pause = pause
    }

    package var isOpen: Bool {
        if case .closed = state { false } else { true }
    }

    /// - Returns: `nil` if no request is to be made now.
    package mutating func admit(at now: Instant) -> Permit? {
        switch state {
        case .closed: return Permit(probe: nil)
        case .open(let end) where end <= now, .probing(_, let end) where end <= now:
            probes += 1
            state = .probing(probes, until: now.advanced(by: pause))
            return Permit(probe: probes)
        case .open, .probing: return nil
        }
    }

    /// The origin answered. It lives, whoever found out.
    package mutating func succeed() {
        state = .closed(failures: 0, paths: [])
    }

    package mutating func fail(_ permit: Permit, _ failure: Failure, at now: Instant) {
        switch state {
        case .closed(let count, var paths):
            if case .answer(let path) = failure, !paths.insert(path).inserted { return }
            let isOver = count + 1 >= failures
            state = isOver ? .open(until: now.advanced(by: pause)) : .closed(failures: count + 1, paths: paths)
        case .probing(let probe, _) where permit.probe == probe:
            state = .open(until: now.advanced(by: pause))
        // From before it opened, or from before another was sent to see: no news.
        case .open, .probing: break
        }
    }

    /// The request was given up before it told anything; if it was the probe, the next request is.
    package mutating func abandon(_ permit: Permit, at now: Instant) {
        if case .probing(let probe, _) = state, permit.probe == probe { state = .open(until: now) }
    }
}
