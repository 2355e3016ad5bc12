/// S3-FIFO whose new chunks go to the main queue at once if they are the first or the last of their title: players ask for
/// the first to start, and for the last since many containers have their index there.
struct FavouredEdges: S3FIFOVariant {
    var chunks: S3FIFO
    /// The last chunk of each title.
    private let last: [UInt64: UInt64]

    init(capacity: Int, last: [UInt64: UInt64]) {
        chunks = S3FIFO(capacity: capacity)
        self.last = last
    }

    mutating func insert(_ chunk: ChunkID) {
        if chunk.index == 0 || chunk.index == last[chunk.object] { chunks.restore(chunk) } else { chunks.insert(chunk) }
    }
}
