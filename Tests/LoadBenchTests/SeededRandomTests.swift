import LoadBench
import Testing

@Suite struct SeededRandomTests {
    @Test("the numbers are those of SplitMix64")
    func knownNumbers() {
        var random = SeededRandom(seed: 1_234_567)
        let numbers = (0..<3).map { _ in random.next() }
        #expect(numbers == [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423])
    }

    @Test("each stream of a seed has numbers of its own")
    func streams() {
        let firsts = (0..<100).map { (stream: UInt64) in
            var random = SeededRandom(seed: 1, stream: stream)
            return random.next()
        }
        #expect(Set(firsts).count == 100)
    }

    @Test("times between events have the mean, and are bounded")
    func exponential() {
        var random = SeededRandom(seed: 3)
        let times = (0..<20_000).map { _ in random.exponential(mean: .seconds(10)) / .seconds(1) }
        #expect(abs(times.reduce(0, +) / 20_000 - 10) < 0.3)
        #expect(times.allSatisfy { (0...100).contains($0) })
    }

    @Test("the k-th most popular is asked for as often as its weight says")
    func zipf() {
        let zipf = ZipfDistribution(count: 4, exponent: 1)
        var random = SeededRandom(seed: 5)
        var counts = [0, 0, 0, 0]
        for _ in 0..<25_000 { counts[zipf.next(using: &random)] += 1 }
        // 1 + 1/2 + 1/3 + 1/4 is 25/12.
        for (index, expected) in [12_000, 6000, 4000, 3000].enumerated() {
            #expect(abs(counts[index] - expected) < 400)
        }
    }

    @Test("without an exponent all are alike")
    func uniform() {
        let zipf = ZipfDistribution(count: 3, exponent: 0)
        var random = SeededRandom(seed: 5)
        var counts = [0, 0, 0]
        for _ in 0..<9000 { counts[zipf.next(using: &random)] += 1 }
        #expect(counts.allSatisfy { abs($0 - 3000) < 300 })
    }
}
