import LoadBench
import Testing

@Suite struct LatencyHistogramTests {
    @Test(
        "a percentile is within 1 % of the true one, whatever the scale",
        arguments: [1, 1000, 1_000_000, 1_000_000_000, 10_000_000_000] as [Int64]
    )
    func percentiles(_ scale: Int64) throws {
        var random = SeededRandom(seed: 7)
        var histogram = LatencyHistogram()
        let times = (0..<5000).map { _ in scale + Int64.random(in: 0..<(scale * 100), using: &random) }
        for time in times { histogram.record(.nanoseconds(time)) }
        let sorted = times.sorted()
        let ranks =
            [(0.1, 5), (1, 50), (10, 500), (50, 2500), (90, 4500), (99, 4950), (99.9, 4995), (100, 5000)]
            as [(Double, Int)]
        for (percent, rank) in ranks {
            let expected = Double(sorted[rank - 1])
            let found = try #require(histogram.percentile(percent)) / .nanoseconds(1)
            #expect(abs(found - expected) <= expected * 0.01)
        }
        #expect(histogram.longestTime == .nanoseconds(sorted[4999]))
        let mean = try #require(histogram.mean) / .nanoseconds(1)
        let expected = Double(times.reduce(0, +)) / 5000
        #expect(abs(mean - expected) <= max(expected * 0.001, 1))
    }

    @Test(
        "as many as a percentile says do not exceed it, and no more",
        arguments: [(99.9, 1000), (99.9, 7000), (99, 100), (90, 10), (0.1, 1000), (33, 300)] as [(Double, Int)]
    )
    func rank(_ percent: Double, _ count: Int) throws {
        // Those up to the rank took a millisecond, the others a second.
        let rank = Int((percent * 10).rounded()) * count / 1000
        var histogram = LatencyHistogram()
        for place in 1...count { histogram.record(place <= rank ? .milliseconds(1) : .seconds(1)) }
        #expect(try #require(histogram.percentile(percent)) < .milliseconds(2))
        #expect(try #require(histogram.percentile(percent + 0.01)) > .milliseconds(500))
    }

    @Test("one time is every percentile of itself", arguments: [0, 1, 255, 256, 257, 1_234_567_891] as [Int64])
    func single(_ time: Int64) {
        var histogram = LatencyHistogram()
        histogram.record(.nanoseconds(time))
        for percent in [0.0, 50, 100] { #expect(histogram.percentile(percent) == .nanoseconds(time)) }
    }

    @Test("what was counted apart and merged is what was counted together")
    func merge() {
        var (one, other, both) = (LatencyHistogram(), LatencyHistogram(), LatencyHistogram())
        for time in 1...100 {
            one.record(.microseconds(time))
            other.record(.milliseconds(time))
            both.record(.microseconds(time))
            both.record(.milliseconds(time))
        }
        one.merge(other)
        #expect(one.count == 200)
        for percent in [1.0, 50, 75, 99, 100] { #expect(one.percentile(percent) == both.percentile(percent)) }
    }

    @Test("nothing counted has no percentile, and odd times do no harm")
    func edges() {
        var histogram = LatencyHistogram()
        #expect(histogram.percentile(50) == nil)
        #expect(histogram.mean == nil)
        #expect(histogram.longestTime == nil)
        histogram.record(.seconds(-5))
        #expect(histogram.percentile(50) == .zero)
        histogram.record(.seconds(Int64.max))
        #expect(histogram.percentile(100) == .nanoseconds(Int64.max))
    }
}
