import Glibc
import Synchronization

/// Which chunks were found to be in memory a moment ago, so that the kernel need not be asked at every send.
///
/// It forgets at once what falls on the same place as something newer; all it can cost is one question more.
final class ResidencyMemory: Sendable {
    private final class Slot: Sendable {
        let mark = Atomic<UInt64>(0)
    }

    private static let slotCount = 4096
    /// Bits of a mark that hold the time in seconds; the others tell chunks apart.
    private static let timeBits: UInt64 = 20

    private let slots = (0..<slotCount).map { _ in Slot() }

    /// Whether the chunk was in memory within the last second or so.
    func contains(_ id: ChunkID) -> Bool {
        let (slot, mark) = place(of: id)
        return slots[slot].mark.load(ordering: .relaxed) == mark
    }

    func insert(_ id: ChunkID) {
        let (slot, mark) = place(of: id)
        slots[slot].mark.store(mark, ordering: .relaxed)
    }

    private func place(of id: ChunkID) -> (slot: Int, mark: UInt64) {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        // One more than the time, as an empty slot holds 0.
        let second = UInt64(truncatingIfNeeded: time.tv_sec &+ 1) & ((1 << Self.timeBits) - 1)
        // Fibonacci hashing, twice, so that both numbers reach all bits.
        let hash = ((id.object &* 0x9E37_79B9_7F4A_7C15) ^ id.index) &* 0x9E37_79B9_7F4A_7C15
        let slot = Int(truncatingIfNeeded: hash >> 52) & (Self.slotCount - 1)
        return (slot, hash << Self.timeBits | second)
    }
}
