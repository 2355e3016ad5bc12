/// Tells an answer that gets on from one that drips: whoever waits for a drop again and again waits without end.
struct LeastPace: Sendable {
    /// What has to come while an origin may be silent at most, in bytes.
    static let bytes = 16 << 10

    private let limit: Duration
    private var waited = Duration.zero
    private var count = 0

    /// - Parameter limit: how long an origin may be silent.
    init(limit: Duration) {
        self.limit = limit
    }

    /// Notes that so many bytes came after a wait.
    ///
    /// - Returns: whether it is worth waiting on.
    mutating func note(_ bytes: Int, after wait: Duration) -> Bool {
        waited += wait
        count += bytes
        guard waited >= limit else { return true }
        let isEnough = count >= Self.bytes
        (waited, count) = (.zero, 0)
        return isEnough
    }
}
