import Synchronization

/// When requests are due, at a rate that does not depend on how fast answers come.
///
/// A wait counts from the moment a request was due, not from the moment a connection was free for it. Otherwise a
/// server that stands still for a second would be charged for the few requests that met the pause, and not for those
/// that could not even be sent (coordinated omission).
package struct RequestPace: Sendable {
    private let interval: Duration
    private var next = Duration.zero

    /// - Parameter perSecond: more than 0.
    package init(perSecond: Double) {
        interval = Duration(clampingSeconds: 1 / perSecond)
    }

    /// - Returns: when the next request is due; this may be long past.
    package mutating func take() -> Duration {
        defer { next += interval }
        return next
    }

    /// Nothing was due while there was nobody to ask.
    package mutating func resume(at now: Duration) { next = max(next, now) }

    /// How many requests were due by `now` and not taken.
    package func missed(at now: Duration) -> Int {
        guard now > next, interval > .zero else { return 0 }
        return Int(min((now - next) / interval, 1e15)) + 1
    }
}

/// One pace for all event loops.
final class SharedPace: Sendable {
    private let pace: Mutex<RequestPace>

    init(_ pace: RequestPace) {
        self.pace = Mutex(pace)
    }

    func take() -> Duration { pace.withLock { $0.take() } }
    func resume(at now: Duration) { pace.withLock { $0.resume(at: now) } }
    func missed(at now: Duration) -> Int { pace.withLock { $0.missed(at: now) } }
}
