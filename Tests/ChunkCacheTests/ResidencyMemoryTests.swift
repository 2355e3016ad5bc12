import ChunkCache
import Synchronization
import Testing

/// A clock that moves when it is told.
final class CoarseClock: Sendable {
    private let milliseconds: Atomic<UInt64>

    /// In the middle of a unit of the memory's, so that tests do not fall on its borders.
    init(at start: UInt64 = 1_000_000 * 128 + 64) { milliseconds = Atomic(start) }

    func advance(by milliseconds: UInt64) { self.milliseconds.wrappingAdd(milliseconds, ordering: .relaxed) }

    func memory(trust: UInt64 = 1) -> ResidencyMemory {
        ResidencyMemory(trust: trust) { self.milliseconds.load(ordering: .relaxed) }
    }
}

struct ResidencyMemoryTests {
    @Test(
        "a part is known to be in memory for its time, and up to an eighth of a second more",
        arguments: [1, 8] as [UInt64]
    )
    func trust(units: UInt64) {
        let clock = CoarseClock()
        let memory = clock.memory(trust: units)
        #expect(!memory.contains(7, 3))
        memory.insert(7, 3)
        #expect(memory.contains(7, 3))
        #expect(!memory.contains(7, 4))
        #expect(!memory.contains(3, 7))
        clock.advance(by: units * 128)
        #expect(memory.contains(7, 3))
        clock.advance(by: 128)
        #expect(!memory.contains(7, 3))
        memory.insert(7, 3)
        #expect(memory.contains(7, 3))
    }

    @Test("an empty memory knows nothing, whatever the time", arguments: [0, 64, 127, 128 << 20] as [UInt64])
    func empty(time: UInt64) {
        let memory = CoarseClock(at: time).memory(trust: 8)
        for object in 0..<100 as Range<UInt64> { #expect(!memory.contains(object, 0)) }
        #expect(!memory.isMemoryShort)
        memory.noteAbsent(0, 0)
        #expect(!memory.isMemoryShort)
    }

    @Test(
        "memory is short if a part leaves it within one to ten seconds",
        arguments: [
            (0, false), (800, false), (1100, true), (3000, true), (9900, true), (10_200, false), (60_000, false),
        ] as [(UInt64, Bool)]
    )
    func leaving(after milliseconds: UInt64, isShort: Bool) {
        let clock = CoarseClock()
        let memory = clock.memory()
        memory.insert(7, 3)
        clock.advance(by: milliseconds)
        memory.noteAbsent(7, 3)
        #expect(memory.isMemoryShort == isShort)
    }

    @Test("a part that was never seen in memory says nothing when it is not there")
    func unknown() {
        let clock = CoarseClock()
        let memory = clock.memory()
        memory.insert(7, 3)
        clock.advance(by: 3000)
        memory.noteAbsent(7, 4)
        memory.noteAbsent(8, 3)
        #expect(!memory.isMemoryShort)
    }

    @Test("memory is short for a minute, and as long again as parts go on to leave")
    func minute() {
        let clock = CoarseClock()
        let memory = clock.memory()
        memory.insert(7, 3)
        clock.advance(by: 3000)
        memory.noteAbsent(7, 3)
        clock.advance(by: 57_000)
        #expect(memory.isMemoryShort)
        memory.insert(7, 3)
        clock.advance(by: 2000)
        memory.noteAbsent(7, 3)
        clock.advance(by: 59_000)
        #expect(memory.isMemoryShort)
        clock.advance(by: 2000)
        #expect(!memory.isMemoryShort)
    }
}
