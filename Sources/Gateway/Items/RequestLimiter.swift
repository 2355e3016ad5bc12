/// Allows so many requests in so much time for each key: at once if need be, and then as time passes.
///
/// A token bucket, kept as the one point in time at which the bucket is full again, so that a key whose bucket is full
/// needs no entry.
package struct RequestLimiter<Key: Hashable & Sendable>: Sendable {
    package typealias Instant = ContinuousClock.Instant

    private let interval: Duration
    private let period: Duration
    private let capacity: Int
    private var fullAt: [Key: Instant] = [:]

    /// - Parameters:
    ///   - count: at least one.
    ///   - capacity: how many keys are remembered; of more, the one whose bucket is full soonest is forgotten.
    package init(count: Int, per period: Duration, capacity: Int = 8192) {
        interval = period / max(count, 1)
        self.period = period
        self.capacity = max(capacity, 1)
    }

    package var count: Int { fullAt.count }

    /// Counts a request of `key`.
    ///
    /// - Returns: `nil` if it is allowed, else how long to wait for the next that is; it does not count then.
    package mutating func admit(_ key: Key, now: Instant) -> Duration? {
        let next = max(fullAt[key] ?? now, now) + interval
        let excess = next - now - period
        guard excess <= .zero else { return excess }
        if fullAt[key] == nil, fullAt.count >= capacity { makeRoom(now) }
        fullAt[key] = next
        return nil
    }

    private mutating func makeRoom(_ now: Instant) {
        fullAt = fullAt.filter { $0.value > now }
        guard fullAt.count >= capacity, let fullest = fullAt.min(by: { $0.value < $1.value }) else { return }
        fullAt[fullest.key] = nil
    }
}
