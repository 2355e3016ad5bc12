import Synchronization

extension PrometheusRegistry {
    /// Counts things. Never goes down.
    package final class Counter: Sendable {
        private let total = Atomic(0)

        package init() {}

        package var value: Int { total.load(ordering: .relaxed) }

        /// - Parameter amount: what to add; a negative amount is ignored.
        @inline(__always)
        package func increment(by amount: Int = 1) {
            guard amount > 0 else { return }
            total.wrappingAdd(amount, ordering: .relaxed)
        }

        /// Takes over a count that is kept elsewhere; a smaller one than last time is ignored.
        package func raise(to newTotal: Int) {
            total.max(newTotal, ordering: .relaxed)
        }
    }

    /// Adds up time. Never goes down.
    package final class SecondsCounter: Sendable {
        private let nanoseconds = Atomic<Int64>(0)

        package init() {}

        package var value: Duration { .nanoseconds(nanoseconds.load(ordering: .relaxed)) }

        /// - Parameter amount: what to add; a negative amount is ignored.
        package func increment(by amount: Duration) {
            guard amount > .zero else { return }
            nanoseconds.wrappingAdd(amount.wholeNanoseconds, ordering: .relaxed)
        }

        /// Takes over a time that is kept elsewhere; a smaller one than last time is ignored.
        package func raise(to newTotal: Duration) {
            nanoseconds.max(newTotal.wholeNanoseconds, ordering: .relaxed)
        }
    }

    /// Shows a value that goes up and down.
    package final class Gauge: Sendable {
        private let bits = Atomic(Double.zero.bitPattern)

        package init() {}

        package var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

        package func set(_ value: Double) {
            bits.store(value.bitPattern, ordering: .relaxed)
        }

        package func set(_ value: some BinaryInteger) {
            set(Double(value))
        }

        package func increment(by amount: Double = 1) {
            var seen = bits.load(ordering: .relaxed)
            while true {
                let sum = (Double(bitPattern: seen) + amount).bitPattern
                let (exchanged, original) = bits.weakCompareExchange(expected: seen, desired: sum, ordering: .relaxed)
                if exchanged { return }
                seen = original
            }
        }

        package func decrement(by amount: Double = 1) {
            increment(by: -amount)
        }
    }

    /// Sorts observations into buckets with fixed bounds.
    package final class Histogram: Sendable {
        package struct Snapshot: Sendable, Equatable {
            /// One count per bound and one for what lies above the last.
            package fileprivate(set) var counts: [Int]
            package fileprivate(set) var sum = 0.0
        }

        /// The upper bounds, ascending, without the infinite one.
        package let bounds: [Double]
        private let state: Mutex<Snapshot>

        package init(buckets: [Double] = defaultBuckets) {
            let bounds = Set(buckets.filter(\.isFinite)).sorted()
            self.bounds = bounds
            self.state = Mutex(Snapshot(counts: Array(repeating: 0, count: bounds.count + 1)))
        }

        package var snapshot: Snapshot { state.withLock { $0 } }

        /// - Parameter value: what was measured; one that is not finite is ignored.
        package func observe(_ value: Double) {
            guard value.isFinite else { return }
            let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
            state.withLock {
                $0.counts[bucket] &+= 1
                $0.sum += value
            }
        }

        /// - Parameter seconds: the time measured.
        package func observe(seconds: Double) {
            observe(seconds)
        }

        package func observe(_ time: Duration) {
            observe(Double(time.wholeNanoseconds) / 1e9)
        }
    }
}
