import ChunkCache
import Testing

struct ChunkSlotsTests {
    @Test("slots that were freed are used again, so that coming and going takes no memory")
    func reuse() {
        var slots = ChunkSlots()
        let first = (0..<10).map { slots.add(chunk($0)) }
        for slot in first { slots.free(slot) }
        for round in 1..<100 {
            let again = (0..<10).map { slots.add(chunk($0, of: UInt64(round))) }
            #expect(Set(again) == Set(first))
            for slot in again { slots.free(slot) }
        }
        #expect(slots.slot(of: chunk(0)) == nil)
    }

    @Test("a queue can be taken apart at its front, its back and in between")
    func unlink() {
        var slots = ChunkSlots()
        var queue = ChunkSlots.Queue()
        let taken = (0..<5).map { slots.add(chunk($0)) }
        for slot in taken { slots.append(slot, to: &queue) }
        for (index, left) in [(0, [1, 2, 3, 4]), (4, [1, 2, 3]), (2, [1, 3])] {
            slots.unlink(taken[index], from: &queue)
            #expect(slots.chunks(of: queue) == left.map { chunk($0) })
            #expect(queue.count == left.count)
        }
        slots.append(taken[2], to: &queue)
        #expect(slots.chunks(of: queue) == [1, 3, 2].map { chunk($0) })
        #expect(slots.popFirst(of: &queue) == taken[1])
    }
}
