package import Config

/// Says how long to wait so that no more is read in a time than is allowed. No clock of its own.
package struct RatePace: Sendable {
    /// A pause in reading is made up for by no more than this.
    private static let slack = Duration.seconds(1)

    private let rate: ByteRate
    /// When what was read so far was allowed.
    private var due = Duration.zero

    /// - Parameter rate: above 0.
    package init(_ rate: ByteRate) {
        self.rate = rate
    }

    /// Takes note of bytes that were read.
    ///
    /// - Parameter now: the time, from any moment on.
    /// - Returns: how long to wait before more is read.
    package mutating func delay(after count: Int, at now: Duration) -> Duration {
        let seconds = Double(count) / Double(max(rate.bytesPerSecond, 1))
        due = max(due, now - Self.slack) + .seconds(min(seconds, 1e6))
        return max(due - now, .zero)
    }
}
