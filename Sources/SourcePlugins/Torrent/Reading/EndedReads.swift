/// Where reads ended a short time ago, and how much each had read in one go: a read that begins there goes on with it.
///
/// What a player reads in one go may come here in runs, with pauses between them.
struct EndedReads: Sendable {
    private struct Entry {
        let position: Int64
        let contiguous: Int64
        let time: ContinuousClock.Instant
    }

    private static let capacity = 16

    private var entries: [Entry] = []

    mutating func add(_ position: Int64, contiguous: Int64, now: ContinuousClock.Instant) {
        if entries.count == Self.capacity { entries.removeFirst() }
        entries.append(Entry(position: position, contiguous: contiguous, time: now))
    }

    /// What was read in one go up to `position`, or the nearest place to it within `slack`. It is forgotten with that.
    mutating func take(
        near position: Int64,
        slack: Int64,
        notBefore oldest: ContinuousClock.Instant
    ) -> Int64? {
        entries.removeAll { $0.time < oldest }
        func distance(_ index: Int) -> Int64 { abs(entries[index].position - position) }
        guard let nearest = entries.indices.min(by: { distance($0) < distance($1) }), distance(nearest) <= slack else {
            return nil
        }
        return entries.remove(at: nearest).contiguous
    }
}
