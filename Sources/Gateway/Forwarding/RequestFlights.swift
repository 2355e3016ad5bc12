import Synchronization

/// Requests for the same thing that are under way, so that one asks the origin and the others wait for what comes of it
/// (RFC 9211: collapsed).
package final class RequestFlights<Key: Hashable & Sendable>: Sendable {
    package enum Joined: Sendable {
        /// Nobody was asking; the caller does, for all that come now.
        case first(RequestFlight)
        case waited(RequestOutcome)
        /// The caller asks for itself: waiting is in vain, or has taken too long.
        case alone
    }

    private typealias Waiter = CheckedContinuation<Joined, Never>

    private struct State {
        var flights: [Key: [UInt64: Waiter]] = [:]
        var nextWaiter: UInt64 = 0
        /// Keys of which it is known that waiting is in vain, and until when.
        var lonely: [Key: ContinuousClock.Instant] = [:]
    }

    private static var lonelyLimit: Int { 4096 }
    private static var lonelyTime: Duration { .seconds(60) }

    private let state = Mutex(State())

    package init() {}

    /// How many wait for whoever is asking for `key`.
    package func waiting(for key: Key) -> Int { state.withLock { $0.flights[key]?.count ?? 0 } }

    /// Waits for whoever is asking for `key`, unless that has turned out to be in vain. A cancelled caller does not wait.
    package func join(_ key: Key, within limit: Duration, now: ContinuousClock.Instant = .now) async -> Joined {
        let first = state.withLock { state -> Joined? in
            if let end = state.lonely[key] {
                if end > now { return .alone }
                state.lonely[key] = nil
            }
            guard state.flights[key] == nil else { return nil }
            state.flights[key] = [:]
            return .first(RequestFlight { self.end(key, $0) })
        }
        if let first { return first }
        let waiter = state.withLock { state in
            defer { state.nextWaiter += 1 }
            return state.nextWaiter
        }
        let timeout = Task {
            // Cancelled when the wait is over.
            guard (try? await Task.sleep(for: limit)) != nil else { return }
            giveUp(waiter, key)
        }
        defer { timeout.cancel() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: Waiter) in
                let settled = state.withLock { state -> Joined? in
                    guard state.flights[key] != nil else { return .waited(.stored) }
                    if Task.isCancelled { return .alone }
                    state.flights[key]?[waiter] = continuation
                    return nil
                }
                if let settled { continuation.resume(returning: settled) }
            }
        } onCancel: {
            giveUp(waiter, key)
        }
    }

    /// Notes that for a while nobody is to wait for `key`.
    package func keepApart(_ key: Key, now: ContinuousClock.Instant = .now) {
        state.withLock { state in
            if state.lonely.count >= Self.lonelyLimit { state.lonely.removeAll() }
            state.lonely[key] = now + Self.lonelyTime
        }
    }

    private func giveUp(_ waiter: UInt64, _ key: Key) {
        let continuation = state.withLock { $0.flights[key]?.removeValue(forKey: waiter) }
        continuation?.resume(returning: .alone)
    }

    private func end(_ key: Key, _ outcome: RequestOutcome) {
        if outcome == .unshared { keepApart(key) }
        let waiting = state.withLock { $0.flights.removeValue(forKey: key) ?? [:] }
        for continuation in waiting.values { continuation.resume(returning: .waited(outcome)) }
    }
}

/// What the first of several requests found out.
package enum RequestOutcome: Sendable {
    /// The cache has a response now, or will have its body soon.
    case stored
    /// A response that is of no use to another request.
    case unshared
    /// Nothing; the next one may try.
    case failed
}

/// A request on its way to the origin, for which others wait. It ends with its last reference.
package final class RequestFlight: Sendable {
    private let tell: @Sendable (RequestOutcome) -> Void
    private let isOver = Mutex(false)

    fileprivate init(_ tell: @escaping @Sendable (RequestOutcome) -> Void) {
        self.tell = tell
    }

    deinit { end(.failed) }

    /// Lets go of those who wait. Only the first call counts.
    package func end(_ outcome: RequestOutcome) {
        let isFirst = isOver.withLock { isOver in
            defer { isOver = true }
            return !isOver
        }
        if isFirst { tell(outcome) }
    }
}
