import Glibc
import Synchronization

/// Which parts of objects were found to be in memory a moment ago, so that the kernel need not be asked at every send.
///
/// It forgets at once what falls on the same place as something newer; all it can cost is one question more.
package final class ResidencyMemory: Sendable {
    private final class Slot: Sendable {
        let mark = Atomic<UInt64>(0)
    }

    private static let slotCount = 4096
    /// Bits of a mark that hold the time in seconds; the others tell parts apart.
    private static let timeBits: UInt64 = 20
    private static let timeMask: UInt64 = (1 << timeBits) - 1

    private let slots = (0..<slotCount).map { _ in Slot() }

    package init() {}

    /// Whether the part with number `index` of `object` was in memory within the last one to two seconds.
    package func contains(_ object: UInt64, _ index: UInt64) -> Bool {
        let (slot, mark) = place(of: object, index)
        let found = slots[slot].mark.load(ordering: .relaxed)
        let second = Self.second
        return found == mark | second || found == mark | ((second &- 1) & Self.timeMask)
    }

    package func insert(_ object: UInt64, _ index: UInt64) {
        let (slot, mark) = place(of: object, index)
        slots[slot].mark.store(mark | Self.second, ordering: .relaxed)
    }

    private static var second: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        // Two more than the time, as an empty slot holds 0.
        return UInt64(truncatingIfNeeded: time.tv_sec &+ 2) & timeMask
    }

    /// - Returns: the slot, and what it holds in the bits that are not of the time.
    private func place(of object: UInt64, _ index: UInt64) -> (slot: Int, mark: UInt64) {
        // Fibonacci hashing, twice, so that both numbers reach all bits.
        let hash = ((object &* 0x9E37_79B9_7F4A_7C15) ^ index) &* 0x9E37_79B9_7F4A_7C15
        let slot = Int(truncatingIfNeeded: hash >> 52) & (Self.slotCount - 1)
        return (slot, hash << Self.timeBits)
    }
}
