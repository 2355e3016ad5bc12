/// S3-FIFO that keeps what somebody is about to read.
///
/// Video is read in order: where one viewer is, the same asks for the chunks behind that place within minutes. A chunk
/// that ``S3FIFO`` evicts and that a viewer is going to reach is *awaited* instead of leaving. How far a viewer is looked
/// ahead of is what they come to while four times as many chunks are asked for as the cache has places: a place that is
/// taken for longer serves others better.
///
/// To its ``S3FIFO`` an awaited chunk has left, and is a new one when it is read. It leaves if the viewer does before that.
///
/// What always holds: a tracked chunk is either awaited or one of the ``S3FIFO``; when an eviction has ended, at most half
/// the capacity is awaited or, after the capacity became smaller, one chunk less than before. So viewers, whoever they are,
/// cannot keep the cache from changing.
///
/// Every operation takes constant time, amortised. Beside what ``S3FIFO`` takes, an awaited chunk takes as much as one of
/// ``LRU``, and there are the ``Viewers``.
package struct ViewerAware: EvictionPolicy {
    package var capacity: Int {
        didSet {
            chunks.capacity = capacity
            viewers.sweepInterval = Self.sweepInterval(capacity)
        }
    }

    private var chunks: S3FIFO
    private var viewers: Viewers
    private var awaitedSlots = ChunkSlots()
    /// The one whose viewer has not been looked for for longest is in front.
    private var awaited = ChunkSlots.Queue()

    package init(capacity: Int) {
        self.capacity = capacity
        chunks = S3FIFO(capacity: capacity)
        viewers = Viewers(sweepInterval: Self.sweepInterval(capacity))
    }

    package var count: Int { chunks.count + awaited.count }

    /// How many chunks are awaited.
    package var awaitedCount: Int { awaited.count }

    /// How many viewers are remembered. Takes linear time.
    package var viewerCount: Int { viewers.count }

    package mutating func insert(_ chunk: ChunkID) {
        viewers.note(chunk)
        removeAwaited(chunk)
        chunks.insert(chunk)
    }

    package mutating func restore(_ chunk: ChunkID) {
        guard awaitedSlots.slot(of: chunk) == nil else { return }
        chunks.restore(chunk)
    }

    package mutating func touch(_ chunk: ChunkID) {
        viewers.note(chunk)
        if removeAwaited(chunk) { chunks.insert(chunk) } else { chunks.touch(chunk) }
    }

    package mutating func remove(_ chunk: ChunkID) {
        if !removeAwaited(chunk) { chunks.remove(chunk) }
    }

    package mutating func evict() -> ChunkID? {
        if let chunk = evictFromAwaited() { return chunk }
        for _ in 0..<Self.mostPassed {
            guard let chunk = chunks.evict() else { return popAwaited() }
            guard awaited.count < mostAwaited, isAwaited(chunk) else { return chunk }
            awaitedSlots.append(awaitedSlots.add(chunk), to: &awaited)
        }
        return chunks.evict() ?? popAwaited()
    }

    /// Those of the ``S3FIFO``, then the awaited ones.
    package var chunksInOrder: [ChunkID] { chunks.chunksInOrder + awaitedSlots.chunks(of: awaited) }

    /// How far ahead counts, in requests for each place of the cache.
    private static let reach = 4.0
    /// How many chunks one eviction takes for awaited at most.
    private static let mostPassed = 8

    /// Long enough for viewers to be known who are as many as there are chunks, up to a limit of the memory.
    private static func sweepInterval(_ capacity: Int) -> Int { min(max(capacity, 4096), 65536) }

    private var mostAwaited: Int { capacity / 2 }

    private func isAwaited(_ chunk: ChunkID) -> Bool {
        viewers.areToRead(chunk, within: Self.reach * Double(capacity))
    }

    /// Looks at one chunk, which leaves if nobody is about to read it any more, or if there are too many.
    private mutating func evictFromAwaited() -> ChunkID? {
        guard let chunk = popAwaited() else { return nil }
        guard awaited.count < mostAwaited, isAwaited(chunk) else { return chunk }
        awaitedSlots.append(awaitedSlots.add(chunk), to: &awaited)
        return nil
    }

    private mutating func popAwaited() -> ChunkID? {
        awaitedSlots.popFirst(of: &awaited).map { awaitedSlots.free($0) }
    }

    /// - Returns: whether the chunk was awaited.
    @discardableResult
    private mutating func removeAwaited(_ chunk: ChunkID) -> Bool {
        guard let slot = awaitedSlots.slot(of: chunk) else { return false }
        awaitedSlots.unlink(slot, from: &awaited)
        awaitedSlots.free(slot)
        return true
    }
}
