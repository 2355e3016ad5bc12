import Glibc
import Synchronization

/// Which parts of objects were found to be in memory a moment ago, so that the kernel need not be asked at every send, and
/// whether memory is so short that they leave it again within seconds.
///
/// It forgets at once what falls on the same place as something newer; all it can cost is one question more.
package final class ResidencyMemory: Sendable {
    private final class Slot: Sendable {
        let mark = Atomic<UInt64>(0)
    }

    private static let slotCount = 4096
    /// The unit of time here, an eighth of a second: 128 ms as a power of two.
    private static let unitBits: UInt64 = 7
    /// Bits of a mark that hold the time; the others tell parts apart.
    private static let timeBits: UInt64 = 20
    private static let timeMask: UInt64 = (1 << timeBits) - 1
    /// What was in memory so long ago, and is not now, left it for want of room: 1 to 10 s. Two who wait for the same
    /// read of the disk are not so far apart.
    private static let ageOfLeaving: ClosedRange<UInt64> = 8...78
    /// How long memory is taken for short after that: 60 s.
    private static let shortage: UInt64 = 469

    private let slots = (0..<slotCount).map { _ in Slot() }
    private let trust: UInt64
    private let milliseconds: @Sendable () -> UInt64
    private let shortUntil = Atomic<UInt64>(0)

    /// - Parameters:
    ///   - trust: eighths of a second for which an answer holds, and up to one more.
    ///   - milliseconds: of a clock that only goes forward.
    package init(trust: UInt64 = 1, milliseconds: @escaping @Sendable () -> UInt64 = ResidencyMemory.monotonic) {
        self.trust = trust
        self.milliseconds = milliseconds
    }

    /// Whether the part with number `index` of `object` was in memory a moment ago.
    package func contains(_ object: UInt64, _ index: UInt64) -> Bool {
        age(of: object, index).map { $0 <= trust } ?? false
    }

    /// Notes that a part is in memory.
    package func insert(_ object: UInt64, _ index: UInt64) {
        let (slot, mark) = place(of: object, index)
        slots[slot].mark.store(mark | now & Self.timeMask, ordering: .relaxed)
    }

    /// Notes that a part is not in memory.
    package func noteAbsent(_ object: UInt64, _ index: UInt64) {
        guard let age = age(of: object, index), Self.ageOfLeaving.contains(age) else { return }
        shortUntil.store(now + Self.shortage, ordering: .relaxed)
    }

    /// Whether parts left memory seconds after they were there, within the last minute: what was there when it was asked
    /// about may be gone when it is read.
    package var isMemoryShort: Bool {
        let end = shortUntil.load(ordering: .relaxed)
        return end != 0 && now < end
    }

    /// How long ago, in eighths of a second, a part was found in memory; `nil` if that is not known.
    private func age(of object: UInt64, _ index: UInt64) -> UInt64? {
        let (slot, mark) = place(of: object, index)
        let found = slots[slot].mark.load(ordering: .relaxed)
        guard found & ~Self.timeMask == mark else { return nil }
        return (now &- found) & Self.timeMask
    }

    /// Two minutes more than the clock says, as an empty slot holds 0.
    private var now: UInt64 { (milliseconds() >> Self.unitBits) + 1024 }

    /// - Returns: the slot, and what it holds in the bits that are not of the time.
    private func place(of object: UInt64, _ index: UInt64) -> (slot: Int, mark: UInt64) {
        // Fibonacci hashing, twice, so that both numbers reach all bits.
        let hash = ((object &* 0x9E37_79B9_7F4A_7C15) ^ index) &* 0x9E37_79B9_7F4A_7C15
        let slot = Int(truncatingIfNeeded: hash >> 52) & (Self.slotCount - 1)
        return (slot, hash << Self.timeBits)
    }

    /// The coarse clock: it is good to some milliseconds and costs a tenth of the precise one.
    package static let monotonic: @Sendable () -> UInt64 = {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return UInt64(clamping: time.tv_sec) &* 1000 &+ UInt64(clamping: time.tv_nsec) / 1_000_000
    }
}
