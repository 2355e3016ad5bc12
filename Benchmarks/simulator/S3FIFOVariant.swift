/// S3-FIFO but for what it does itself.
protocol S3FIFOVariant: EvictionPolicy {
    var chunks: S3FIFO { get set }
}

extension S3FIFOVariant {
    var capacity: Int {
        get { chunks.capacity }
        set { chunks.capacity = newValue }
    }

    var count: Int { chunks.count }

    mutating func restore(_ chunk: ChunkID) {
        chunks.restore(chunk)
    }

    mutating func touch(_ chunk: ChunkID) {
        chunks.touch(chunk)
    }

    mutating func remove(_ chunk: ChunkID) {
        chunks.remove(chunk)
    }

    mutating func evict() -> ChunkID? { chunks.evict() }

    var chunksInOrder: [ChunkID] { chunks.chunksInOrder }
}
