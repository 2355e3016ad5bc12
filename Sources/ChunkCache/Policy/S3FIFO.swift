/// The S3-FIFO policy (Yang et al., SOSP 2023): three queues that nothing is moved within on a hit.
///
/// - A new chunk enters the *small* queue, a tenth of the capacity. One that has had two hits by the time it is first
///   there goes on to the main queue; any other leaves the cache, and is remembered as a ghost. What is read once, a
///   scan above all, passes through the tenth and leaves the rest alone.
/// - A chunk that comes back while it is a *ghost* enters the main queue at once.
/// - The first of the *main* queue leaves if it has had no hit since it was last there, else it goes to the end and has
///   one hit less to its name.
///
/// What always holds: a tracked chunk is in exactly one of small and main, and is no ghost; there are at most as many
/// ghosts as the main queue's share of the capacity; a chunk's hits are counted up to three.
///
/// Every operation takes constant time. For ``evict()`` this is amortised: each step that evicts nothing uses up a hit.
/// A chunk takes 25 bytes in arrays and 27 to 54 in a dictionary, a ghost 8 and 16 to 32.
package struct S3FIFO: EvictionPolicy {
    package var capacity: Int {
        didSet { ghosts.capacity = mainShare }
    }

    private var slots = ChunkSlots()
    private var small = ChunkSlots.Queue()
    private var main = ChunkSlots.Queue()
    private var ghosts = RecentChunks(capacity: 0)
    private var history: ContiguousArray<History> = []

    /// What is known of the chunk in a slot.
    private struct History {
        var isInMain: Bool
        /// 0 to 3.
        var hits: UInt8
    }

    package init(capacity: Int) {
        self.capacity = capacity
        ghosts.capacity = mainShare
    }

    package var count: Int { small.count + main.count }

    /// How many ghosts there are.
    package var ghostCount: Int { ghosts.count }

    package mutating func insert(_ chunk: ChunkID) {
        guard slots.slot(of: chunk) == nil else { return touch(chunk) }
        let isGhost = ghosts.remove(chunk)
        add(chunk, toMain: isGhost)
    }

    /// Puts the chunk in the main queue, past its share if need be. The small queue is then below its share, so that
    /// evictions are from the main queue until new chunks have filled the tenth that is theirs.
    package mutating func restore(_ chunk: ChunkID) {
        guard slots.slot(of: chunk) == nil else { return }
        ghosts.remove(chunk)
        add(chunk, toMain: true)
    }

    package mutating func touch(_ chunk: ChunkID) {
        guard let slot = slots.slot(of: chunk) else { return }
        history[Int(slot)].hits = min(history[Int(slot)].hits + 1, Self.mostHits)
    }

    package mutating func remove(_ chunk: ChunkID) {
        guard let slot = slots.slot(of: chunk) else { return }
        if history[Int(slot)].isInMain {
            slots.unlink(slot, from: &main)
        } else {
            slots.unlink(slot, from: &small)
        }
        slots.free(slot)
    }

    package mutating func evict() -> ChunkID? {
        // A capacity that grew can leave all chunks in a small queue that is below its share.
        if small.count >= smallShare || main.count == 0 {
            evictFromSmall() ?? evictFromMain()
        } else {
            evictFromMain()
        }
    }

    /// The small queue, then the main queue.
    package var chunksInOrder: [ChunkID] { slots.chunks(of: small) + slots.chunks(of: main) }

    private static let mostHits: UInt8 = 3
    /// How many hits take a chunk from the small queue to the main queue.
    private static let hitsForMain: UInt8 = 2

    private var smallShare: Int { max(1, capacity / 10) }
    private var mainShare: Int { max(0, capacity - smallShare) }

    private mutating func add(_ chunk: ChunkID, toMain: Bool) {
        let slot = slots.add(chunk)
        let new = History(isInMain: toMain, hits: 0)
        if Int(slot) < history.count {
            history[Int(slot)] = new
        } else {
            history.append(new)
        }
        if toMain {
            slots.append(slot, to: &main)
        } else {
            slots.append(slot, to: &small)
        }
    }

    /// - Returns: `nil` if every chunk of the small queue has gone on to the main queue.
    private mutating func evictFromSmall() -> ChunkID? {
        while let slot = slots.popFirst(of: &small) {
            guard history[Int(slot)].hits >= Self.hitsForMain else {
                let chunk = slots.free(slot)
                ghosts.insert(chunk)
                return chunk
            }
            history[Int(slot)] = History(isInMain: true, hits: 0)
            slots.append(slot, to: &main)
            if main.count > mainShare { return evictFromMain() }
        }
        return nil
    }

    /// - Returns: `nil` if the main queue is empty.
    private mutating func evictFromMain() -> ChunkID? {
        while let slot = slots.popFirst(of: &main) {
            guard history[Int(slot)].hits > 0 else { return slots.free(slot) }
            history[Int(slot)].hits -= 1
            slots.append(slot, to: &main)
        }
        return nil
    }
}
