/// What the cache does away from the event loops, and what takes time: none of it holds up a hit.
package enum CacheOperation: String, Sendable, CaseIterable {
    /// A chunk, or what is wanted of it, is brought into memory, and checked the first time.
    case read
    /// A chunk is stored, up to the commit; what has to leave for it is ``evict``.
    case write
    /// A batch of chunks leaves, for want of space or since their source had more than it may.
    case evict
}
