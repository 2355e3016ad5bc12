/// Counts of times in buckets that grow with the time, so that a percentile is right to 1 % at any scale.
///
/// Each power of two is cut into 128 buckets. The value of a bucket is its middle: at most 0.4 % from any time in it.
package struct LatencyHistogram: Sendable, Equatable {
    private static let bucketsPerOctave: UInt64 = 128

    /// Only as far as the longest time needs.
    private var counts: [UInt64] = []
    package private(set) var count: UInt64 = 0
    private var sum = 0.0
    private var shortest = UInt64.max
    private var longest: UInt64 = 0

    package init() {}

    /// Counts one time; a negative one counts as zero.
    package mutating func record(_ time: Duration) {
        let nanoseconds = time.wholeNanoseconds
        let index = Self.index(of: nanoseconds)
        if index >= counts.count { counts += [UInt64](repeating: 0, count: index - counts.count + 1) }
        counts[index] += 1
        count += 1
        sum += Double(nanoseconds)
        shortest = min(shortest, nanoseconds)
        longest = max(longest, nanoseconds)
    }

    /// Adds what another one has counted.
    package mutating func merge(_ other: LatencyHistogram) {
        if other.counts.count > counts.count {
            counts += [UInt64](repeating: 0, count: other.counts.count - counts.count)
        }
        for index in other.counts.indices { counts[index] += other.counts[index] }
        count += other.count
        sum += other.sum
        shortest = min(shortest, other.shortest)
        longest = max(longest, other.longest)
    }

    /// The time that `percent` of all do not exceed; `nil` if nothing was counted.
    package func percentile(_ percent: Double) -> Duration? {
        guard count > 0 else { return nil }
        let place = min(max(percent, 0), 100) * Double(count) / 100
        // 99.9 is no binary fraction: what is a hair above a whole number is that number.
        let rank = max((place - place * 1e-12).rounded(.up), 1)
        // The longest is known exactly.
        guard rank < Double(count) else { return longestTime }
        var seen = 0.0
        let index = counts.firstIndex { bucket in
            seen += Double(bucket)
            return seen >= rank
        }
        return .nanoseconds(clamping: min(max(Self.middle(of: index ?? 0), shortest), longest))
    }

    package var longestTime: Duration? { count > 0 ? .nanoseconds(clamping: longest) : nil }

    package var mean: Duration? {
        count > 0 ? .nanoseconds(clamping: UInt64(sum / Double(count))) : nil
    }

    private static func index(of value: UInt64) -> Int {
        let width = UInt64.bitWidth - value.leadingZeroBitCount
        let shift = max(width - 8, 0)
        return shift * Int(bucketsPerOctave) + Int(value >> UInt64(shift))
    }

    private static func middle(of index: Int) -> UInt64 {
        let perOctave = Int(bucketsPerOctave)
        guard index >= 2 * perOctave else { return UInt64(index) }
        let shift = UInt64(index / perOctave - 1)
        let low = UInt64(index % perOctave + perOctave) << shift
        return low + (UInt64(1) << shift) / 2
    }
}

extension Duration {
    /// Rounded down; 0 for negative times.
    var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (scaled, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (total, carry) = scaled.addingReportingOverflow(UInt64(attoseconds) / 1_000_000_000)
        // What no clock counts as a time, so that sums of it cannot overflow.
        return overflow || carry || total > UInt64(Int64.max) ? UInt64(Int64.max) : total
    }

    static func nanoseconds(clamping value: UInt64) -> Duration { .nanoseconds(Int64(clamping: value)) }

    var inSeconds: Double { self / .seconds(1) }

    /// As reports have it: rounded to microseconds.
    var inMilliseconds: Double { (self / .microseconds(1)).rounded() / 1000 }

    /// - Parameter seconds: not a number and what is out of bounds become the nearest that a clock has use for.
    init(clampingSeconds seconds: Double) {
        let bounded = seconds.isNaN ? 0 : min(max(seconds, -1e9), 1e9)
        self = .nanoseconds(Int64(bounded * 1e9))
    }
}
