import Glibc
import Synchronization

/// The time of day for ages that are measured in days, which a clock that is set does not make wrong at once: a step counts
/// when the clock has stayed there for ten minutes. So some minutes in the wrong year, after somebody mistyped it, neither
/// make everything old nor keep anything for ever. What the clock says when the process starts is believed.
package struct SteadyTime: Sendable {
    /// What is not taken for a step, in nanoseconds: clocks are corrected all the time.
    static let tolerance: Int64 = 60_000_000_000
    /// For how long a step has to last, in nanoseconds.
    static let patience: Int64 = 600_000_000_000

    private struct Step {
        var offset: Int64
        var since: Int64
    }

    /// The time of day at the boot of the machine, as far as it is believed.
    private var offset: Int64?
    private var step: Step?

    package init() {}

    /// What time of day it is, in nanoseconds since 1970, when the clock says `clock` and the machine has been up for `uptime`.
    package mutating func time(clock: Int64, uptime: Int64) -> Int64 {
        let seen = clock &- uptime
        guard let believed = offset, !Self.isNear(seen, believed) else {
            (offset, step) = (seen, nil)
            return clock
        }
        let lasting = step.flatMap { Self.isNear(seen, $0.offset) ? $0 : nil } ?? Step(offset: seen, since: uptime)
        if uptime &- lasting.since >= Self.patience {
            (offset, step) = (seen, nil)
            return clock
        }
        step = lasting
        return believed &+ uptime
    }

    private static func isNear(_ one: Int64, _ other: Int64) -> Bool {
        (one &- other).magnitude <= tolerance.magnitude
    }

    private static let shared = Mutex(SteadyTime())

    /// Nanoseconds since 1970.
    package static var now: Int64 {
        shared.withLock { $0.time(clock: read(CLOCK_REALTIME), uptime: read(CLOCK_BOOTTIME)) }
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}
