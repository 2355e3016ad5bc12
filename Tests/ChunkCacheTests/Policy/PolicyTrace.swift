import ChunkCache
import Foundation

/// SplitMix64: the same numbers for the same seed.
struct TraceRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Chunk `index` of one object.
func chunk(_ index: Int, of object: UInt64 = 1) -> ChunkID {
    ChunkID(object: object, index: UInt64(index))
}

/// A cache that holds nothing: what is in it is what its policy has not evicted.
struct TraceCache {
    private(set) var policy: any EvictionPolicy
    private(set) var resident: Set<ChunkID> = []
    private(set) var hits = 0
    private(set) var requests = 0

    init(_ policy: CachePolicy, capacity: Int) {
        self.policy = policy.makePolicy(capacity: capacity)
    }

    var hitRatio: Double { Double(hits) / Double(max(1, requests)) }

    mutating func request(_ chunk: ChunkID) {
        requests += 1
        if resident.contains(chunk) {
            hits += 1
            policy.touch(chunk)
            return
        }
        while policy.count >= policy.capacity, let victim = policy.evict() {
            resident.remove(victim)
        }
        policy.insert(chunk)
        resident.insert(chunk)
    }
}

/// Draws numbers below a bound, small ones more often: the n-th in proportion to n to the power of `-exponent`.
struct Zipf {
    private let cumulative: [Double]

    init(count: Int, exponent: Double) {
        var sum = 0.0
        cumulative = (1...count).map { rank in
            sum += pow(Double(rank), -exponent)
            return sum
        }
    }

    func next(using random: inout TraceRandom) -> Int {
        let point = Double.random(in: 0..<(cumulative.last ?? 0), using: &random)
        var range = 0..<cumulative.count
        while !range.isEmpty {
            let middle = range.lowerBound + range.count / 2
            range = cumulative[middle] > point ? range.lowerBound..<middle : (middle + 1)..<range.upperBound
        }
        return range.lowerBound
    }
}
