/// The same numbers for the same seed, on every machine (SplitMix64).
package struct SeededRandom: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) {
        state = seed
    }

    /// A generator of its own for each of many, all from one seed.
    package init(seed: UInt64, stream: UInt64) {
        var mixed = SeededRandom(seed: seed ^ (stream &* 0xD1B5_4A32_D192_ED03))
        state = mixed.next()
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }

    /// At least 0, less than 1.
    package mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// Times between events that do not know of each other; ten times the mean at most.
    package mutating func exponential(mean: Duration) -> Duration {
        let factor = min(-(1 - unit()).logarithm, 10)
        return Duration(clampingSeconds: mean.inSeconds * factor)
    }
}

/// Which of many is asked for how often: the k-th most popular with a weight of 1 / k^s.
package struct ZipfDistribution: Sendable {
    /// Sums of the weights, each with those before it; the last is 1.
    private let sums: [Double]

    /// - Parameter count: at least one.
    package init(count: Int, exponent: Double) {
        precondition(count > 0)
        var (sums, sum) = ([Double](), 0.0)
        for rank in 1...count {
            sum += (-exponent * Double(rank).logarithm).exponential
            sums.append(sum)
        }
        self.sums = sums.map { $0 / sum }
    }

    /// - Returns: an index; 0 is the most popular.
    package func next(using random: inout SeededRandom) -> Int {
        let place = random.unit()
        var (low, high) = (0, sums.count - 1)
        while low < high {
            let middle = (low + high) / 2
            if sums[middle] > place { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
