extension Duration {
    /// Rounded down; a time too long for the type (292 years) is its maximum or minimum.
    var wholeNanoseconds: Int64 {
        // Up to nine seconds there is no need to divide 128 bits.
        if let attoseconds = Int64(exactly: attoseconds), attoseconds >= 0 { return attoseconds / 1_000_000_000 }
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || carry ? (seconds < 0 ? .min : .max) : sum
    }
}
