/// Decides whether an origin that has failed is asked again: not for a while, and then by one request alone.
///
/// The caller asks ``admit(at:)`` before a request and reports what became of each that was admitted.
package struct CircuitBreaker: Sendable {
    package typealias Instant = ContinuousClock.Instant

    /// Leave to make one request.
    package struct Permit: Sendable, Hashable {
        /// Whether everybody else waits for what becomes of it.
        package let isProbe: Bool
    }

    private enum State {
        /// Requests go out; so many have failed since one succeeded.
        case closed(failures: Int)
        case open(until: Instant)
        /// One request is out to see.
        case probing
    }

    private let failures: Int
    private let pause: Duration
    private var state = State.closed(failures: 0)

    /// - Parameters:
    ///   - failures: after how many failures in a row requests stop, at least 1.
    ///   - pause: for how long.
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
        case .closed: return Permit(isProbe: false)
        case .open(let end) where end <= now:
            state = .probing
            return Permit(isProbe: true)
        case .open, .probing: return nil
        }
    }

    /// The origin answered. It lives, whoever found out.
    package mutating func succeed() {
        state = .closed(failures: 0)
    }

    package mutating func fail(_ permit: Permit, at now: Instant) {
        switch state {
        case .closed(let count):
            state = count + 1 < failures ? .closed(failures: count + 1) : .open(until: now.advanced(by: pause))
        case .probing where permit.isProbe:
            state = .open(until: now.advanced(by: pause))
        // From before it opened: no news.
        case .open, .probing: break
        }
    }

    /// The request was given up before it told anything; if it was the probe, the next request is.
    package mutating func abandon(_ permit: Permit, at now: Instant) {
        if permit.isProbe, case .probing = state { state = .open(until: now) }
    }
}
