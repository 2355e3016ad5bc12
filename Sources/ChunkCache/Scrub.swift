/// A check of all chunks over and over: which one is due when, at a rate that leaves the disk to others.
///
/// A value without a clock: it is told the time, and what was read.
package struct Scrub: Sendable {
    /// Nothing is earned in the rest of a longer pause, so that what is read at once afterwards is bounded.
    private static let longestPause = Duration.seconds(2)

    private let bytesPerSecond: Int64
    /// Bytes that may be read now; below 0 after a chunk that had more.
    private var credit: Int64 = 0
    private var earnedUntil: ContinuousClock.Instant?
    private var next = ChunkID.first
    private var isChecking = false

    /// - Parameter bytesPerSecond: with 0 nothing is ever due.
    package init(bytesPerSecond: Int64) {
        self.bytesPerSecond = max(bytesPerSecond, 0)
    }

    /// Takes note of the time.
    ///
    /// - Returns: from where on the next chunk is to be checked now; `nil` if none is due, or one is being checked.
    package mutating func advance(to now: ContinuousClock.Instant) -> ChunkID? {
        let pause = min(earnedUntil.map { $0.duration(to: now) } ?? .zero, Self.longestPause)
        earnedUntil = now
        credit = min(credit + bytes(in: pause), bytes(in: Self.longestPause))
        guard credit > 0, !isChecking else { return nil }
        isChecking = true
        return next
    }

    /// Takes note of a chunk that was checked.
    ///
    /// - Parameter bytes: how many were read.
    /// - Returns: from where on the next one is to be checked now; `nil` if none is due yet.
    package mutating func checked(_ id: ChunkID, bytes: Int) -> ChunkID? {
        next = id.next ?? .first
        credit -= Int64(bytes)
        isChecking = credit > 0
        return isChecking ? next : nil
    }

    /// There was no further chunk: the next check, which is not due before time goes on, is of the first.
    package mutating func endPass() { (next, isChecking) = (.first, false) }

    /// Nothing could be checked: it is tried again when time goes on.
    package mutating func interrupt() { isChecking = false }

    private func bytes(in time: Duration) -> Int64 {
        Int64(min(max(Double(bytesPerSecond) * (time / .seconds(1)), 0), 0x1p60))
    }
}
