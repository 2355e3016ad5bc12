import Synchronization

/// When requests are due, at a rate that does not depend on how fast answers come.
///
/// A wait counts from the moment a request was due, not from the moment a connection was free for it. Otherwise a
/// server that stands still for a second would be charged for the few requests that met the pause, and not for those
/// that could not even be sent (coordinated omission).
package struct RequestPace: Sendable {
    private let interval: Duration
    private var next = Duration.zero
    /// Taken, and given back unsent.
    private var returned: [Duration] = []
    /// Since when there is nobody to ask; `nil` while there is somebody.
    private var pausedSince: Duration? = .zero
    /// Due before a pause, and not sent.
    private var forgone = 0

    /// There is nobody to ask at first.
    ///
    /// - Parameter perSecond: more than 0.
    package init(perSecond: Double) {
        interval = Duration(clampingSeconds: 1 / perSecond)
    }

    /// - Returns: when the next request is due; this may be long past.
    package mutating func take() -> Duration {
        if let first = returned.indices.min(by: { returned[$0] < returned[$1] }) { return returned.remove(at: first) }
        defer { next += interval }
        return next
    }

    /// From a connection that is gone before it could ask: another one sends it, or nobody.
    package mutating func giveBack(_ due: Duration) {
        guard let pausedSince else { return returned.append(due) }
        if due < pausedSince { forgone += 1 }
    }

    /// There is nobody to ask from now on; what was due by `now` is missed.
    package mutating func pause(at now: Duration) {
        guard pausedSince == nil else { return }
        forgone += backlog(at: now) + returned.count(where: { $0 < now })
        next += interval * backlog(at: now)
        returned = []
        pausedSince = now
    }

    /// There is somebody to ask again. Nothing was due meanwhile.
    package mutating func resume(at now: Duration) {
        guard pausedSince != nil else { return }
        next = max(next, now)
        pausedSince = nil
    }

    /// How many requests were due by `now`, while there was somebody to ask, and not sent.
    package func missed(at now: Duration) -> Int {
        guard pausedSince == nil else { return forgone }
        return forgone + backlog(at: now) + returned.count(where: { $0 < now })
    }

    /// How many requests were due by `now` and not taken.
    private func backlog(at now: Duration) -> Int {
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
    func giveBack(_ due: Duration) { pace.withLock { $0.giveBack(due) } }
    func pause(at now: Duration) { pace.withLock { $0.pause(at: now) } }
    func resume(at now: Duration) { pace.withLock { $0.resume(at: now) } }
    func missed(at now: Duration) -> Int { pace.withLock { $0.missed(at: now) } }
}
