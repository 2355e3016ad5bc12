import ChunkCache

/// LRU in the fewest words: an array, the least recently used in front.
struct NaiveLRU: EvictionPolicy {
    var capacity: Int
    var chunksInOrder: [ChunkID] = []

    var count: Int { chunksInOrder.count }

    mutating func insert(_ chunk: ChunkID) {
        remove(chunk)
        chunksInOrder.append(chunk)
    }

    mutating func restore(_ chunk: ChunkID) {
        if !chunksInOrder.contains(chunk) { chunksInOrder.append(chunk) }
    }

    mutating func touch(_ chunk: ChunkID) {
        if chunksInOrder.contains(chunk) { insert(chunk) }
    }

    mutating func remove(_ chunk: ChunkID) {
        chunksInOrder.removeAll { $0 == chunk }
    }

    mutating func evict() -> ChunkID? {
        chunksInOrder.isEmpty ? nil : chunksInOrder.removeFirst()
    }
}

/// S3-FIFO as its paper writes it down, on arrays that are searched from end to end.
struct NaiveS3FIFO: EvictionPolicy {
    private struct Entry {
        let chunk: ChunkID
        var frequency = 0
    }

    var capacity: Int {
        willSet { if mainShare(of: newValue) != mainTarget { resizeGhosts(to: mainShare(of: newValue)) } }
    }

    private var small: [Entry] = []
    private var main: [Entry] = []
    /// The latest evictions from the small queue; `nil` for one that has come back.
    private var ghosts: [ChunkID?] = []

    init(capacity: Int) {
        self.capacity = capacity
    }

    var count: Int { small.count + main.count }
    var ghostCount: Int { ghosts.count { $0 != nil } }
    var chunksInOrder: [ChunkID] { (small + main).map(\.chunk) }

    mutating func insert(_ chunk: ChunkID) {
        if chunksInOrder.contains(chunk) { return touch(chunk) }
        if forgetGhost(chunk) { main.append(Entry(chunk: chunk)) } else { small.append(Entry(chunk: chunk)) }
    }

    mutating func restore(_ chunk: ChunkID) {
        if chunksInOrder.contains(chunk) { return }
        _ = forgetGhost(chunk)
        main.append(Entry(chunk: chunk))
    }

    mutating func touch(_ chunk: ChunkID) {
        for index in small.indices where small[index].chunk == chunk {
            small[index].frequency = min(small[index].frequency + 1, 3)
        }
        for index in main.indices where main[index].chunk == chunk {
            main[index].frequency = min(main[index].frequency + 1, 3)
        }
    }

    mutating func remove(_ chunk: ChunkID) {
        small.removeAll { $0.chunk == chunk }
        main.removeAll { $0.chunk == chunk }
    }

    mutating func evict() -> ChunkID? {
        let fromSmall = main.isEmpty || small.count >= smallTarget
        return fromSmall ? evictSmall() ?? evictMain() : evictMain()
    }

    private var smallTarget: Int { max(1, capacity / 10) }
    private var mainTarget: Int { mainShare(of: capacity) }

    private func mainShare(of capacity: Int) -> Int { max(0, capacity - max(1, capacity / 10)) }

    private mutating func evictSmall() -> ChunkID? {
        while !small.isEmpty {
            let tail = small.removeFirst()
            if tail.frequency > 1 {
                main.append(Entry(chunk: tail.chunk))
                if main.count > mainTarget { return evictMain() }
            } else {
                ghosts = (ghosts + [tail.chunk]).suffix(mainTarget)
                return tail.chunk
            }
        }
        return nil
    }

    private mutating func evictMain() -> ChunkID? {
        while !main.isEmpty {
            var tail = main.removeFirst()
            if tail.frequency == 0 { return tail.chunk }
            tail.frequency -= 1
            main.append(tail)
        }
        return nil
    }

    private mutating func forgetGhost(_ chunk: ChunkID) -> Bool {
        guard let index = ghosts.lastIndex(of: chunk) else { return false }
        ghosts[index] = nil
        return true
    }

    private mutating func resizeGhosts(to count: Int) {
        ghosts = ghosts.filter { $0 != nil }.suffix(count)
    }
}
