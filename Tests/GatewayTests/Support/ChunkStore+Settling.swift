import ChunkCache

extension ChunkStore {
    /// Waits until all that was being fetched has been stored or given up: a client that has its bytes is ahead of that.
    /// The suite's time limit ends a wait in vain.
    func settle() async {
        while usage.fillBytes > 0, !Task.isCancelled { await flush() }
        await flush()
    }
}
