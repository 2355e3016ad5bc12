/// Chunks, each of which is in one of several queues. The queues are linked by 32-bit indices into one array, so that
/// moving a chunk allocates nothing.
///
/// Every slot between ``add(_:)`` and ``free(_:)`` names one chunk, and no two the same. The owner keeps each of them
/// in exactly one queue, but for the moment between two calls.
package struct ChunkSlots: Sendable {
    package typealias Slot = UInt32

    /// A queue whose links are in the slots.
    package struct Queue: Sendable {
        fileprivate var first = none
        fileprivate var last = none
        package fileprivate(set) var count = 0

        package init() {}
    }

    private struct Node {
        var chunk: ChunkID
        /// In a free slot this is unused.
        var previous = none
        /// In a free slot this is the next free one.
        var next = none
    }

    private var nodes: ContiguousArray<Node> = []
    private var slotOfChunk: [ChunkID: Slot] = [:]
    private var firstFree = none

    package init() {}

    package func slot(of chunk: ChunkID) -> Slot? {
        slotOfChunk[chunk]
    }

    /// Gives a slot to a chunk that has none: one that was freed, if there is any.
    package mutating func add(_ chunk: ChunkID) -> Slot {
        let slot = takeSlot(for: chunk)
        let previous = slotOfChunk.updateValue(slot, forKey: chunk)
        precondition(previous == nil, "a chunk has one slot")
        return slot
    }

    /// Takes its slot from a chunk that is in no queue.
    ///
    /// - Returns: the chunk.
    @discardableResult
    package mutating func free(_ slot: Slot) -> ChunkID {
        let chunk = nodes[Int(slot)].chunk
        slotOfChunk[chunk] = nil
        nodes[Int(slot)].next = firstFree
        firstFree = slot
        return chunk
    }

    private mutating func takeSlot(for chunk: ChunkID) -> Slot {
        guard firstFree == none else {
            let slot = firstFree
            firstFree = nodes[Int(slot)].next
            nodes[Int(slot)] = Node(chunk: chunk)
            return slot
        }
        // Four thousand million nodes would fill 96 GiB of memory first.
        precondition(nodes.count < Int(none), "there are too many chunks")
        nodes.append(Node(chunk: chunk))
        return Slot(nodes.count - 1)
    }

    // MARK: Queues

    package mutating func append(_ slot: Slot, to queue: inout Queue) {
        nodes[Int(slot)].previous = queue.last
        nodes[Int(slot)].next = none
        if queue.last == none {
            queue.first = slot
        } else {
            nodes[Int(queue.last)].next = slot
        }
        queue.last = slot
        queue.count += 1
    }

    package mutating func unlink(_ slot: Slot, from queue: inout Queue) {
        let node = nodes[Int(slot)]
        if node.previous == none {
            queue.first = node.next
        } else {
            nodes[Int(node.previous)].next = node.next
        }
        if node.next == none {
            queue.last = node.previous
        } else {
            nodes[Int(node.next)].previous = node.previous
        }
        queue.count -= 1
    }

    package mutating func popFirst(of queue: inout Queue) -> Slot? {
        guard queue.first != none else { return nil }
        let slot = queue.first
        unlink(slot, from: &queue)
        return slot
    }

    /// The chunks of a queue, the first in front.
    package func chunks(of queue: Queue) -> [ChunkID] {
        var chunks: [ChunkID] = []
        chunks.reserveCapacity(queue.count)
        var slot = queue.first
        while slot != none {
            chunks.append(nodes[Int(slot)].chunk)
            slot = nodes[Int(slot)].next
        }
        return chunks
    }
}

/// The link of no slot.
private let none = ChunkSlots.Slot.max
