/// The eviction policies there are, by the names that configuration gives them.
package enum CachePolicy: String, Sendable, CaseIterable {
    case s3FIFO = "s3-fifo"
    case lru

    package func makePolicy(capacity: Int) -> any EvictionPolicy {
        switch self {
        case .s3FIFO: S3FIFO(capacity: capacity)
        case .lru: LRU(capacity: capacity)
        }
    }
}
