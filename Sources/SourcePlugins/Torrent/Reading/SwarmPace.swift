/// How fast pieces have come of late, to tell a swarm that outruns its readers from one that they wait for.
struct SwarmPace: Sendable {
    /// For so long what was measured counts.
    static let memory = Duration.milliseconds(200)
    private static let span = Duration.milliseconds(100)

    /// Bytes in a span from which on the swarm is swift.
    private let swiftBytes: Int64
    private var spanStart: ContinuousClock.Instant?
    private var bytes: Int64 = 0
    private var swiftUntil: ContinuousClock.Instant?

    /// - Parameter swiftRate: in bytes a second.
    init(swiftRate: Int64) {
        swiftBytes = swiftRate / 10
    }

    /// So many bytes have come.
    mutating func add(_ count: Int64, now: ContinuousClock.Instant) {
        if let spanStart, now - spanStart < Self.span {
            bytes += min(count, .max - bytes)
        } else {
            (spanStart, bytes) = (now, count)
        }
        if bytes >= swiftBytes { swiftUntil = now + Self.memory }
    }

    func isSwift(now: ContinuousClock.Instant) -> Bool {
        swiftUntil.map { now < $0 } ?? false
    }
}
