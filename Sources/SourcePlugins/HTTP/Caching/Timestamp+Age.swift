extension Timestamp {
    /// The time from `earlier` to this; negative if it is later.
    func elapsed(since earlier: Timestamp) -> Duration {
        .nanoseconds(nanoseconds) - .nanoseconds(earlier.nanoseconds)
    }

    /// - Returns: the nearest timestamp that can be expressed.
    func advanced(by duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        let step = Timestamp(seconds: seconds, nanoseconds: attoseconds / 1_000_000_000)
        let (sum, overflow) = nanoseconds.addingReportingOverflow(step.nanoseconds)
        return Timestamp(nanoseconds: overflow ? (step.nanoseconds < 0 ? .min : .max) : sum)
    }
}

extension Duration {
    /// Whole seconds, rounded towards zero.
    var wholeSeconds: Int64 { components.seconds }
}
