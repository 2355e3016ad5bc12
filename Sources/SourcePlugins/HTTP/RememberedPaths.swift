import Synchronization

/// Remembers paths for a while, such as those of objects of which an origin gives all when it is asked for a part.
final class RememberedPaths: Sendable {
    private let lifetime: Duration
    private let limit: Int
    private let now: @Sendable () -> ContinuousClock.Instant
    private let ends = Mutex<[MediaPath: ContinuousClock.Instant]>([:])

    init(lifetime: Duration, limit: Int = 4096, now: @escaping @Sendable () -> ContinuousClock.Instant) {
        self.lifetime = lifetime
        self.limit = limit
        self.now = now
    }

    func contains(_ path: MediaPath) -> Bool {
        let now = now()
        return ends.withLock { ends in
            guard let end = ends[path] else { return false }
            if end <= now { ends[path] = nil }
            return end > now
        }
    }

    func insert(_ path: MediaPath) {
        let end = now().advanced(by: lifetime)
        ends.withLock { ends in
            // To forget costs a request, no more.
            if ends.count >= limit { ends = [:] }
            ends[path] = end
        }
    }
}
