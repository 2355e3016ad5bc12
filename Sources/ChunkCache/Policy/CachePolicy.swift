/// The eviction policies there are, by the names that configuration gives them.
package enum CachePolicy: String, Sendable, CaseIterable {
    case s3FIFO = "s3-fifo"
    case viewers
    case lru

    /// The same for what is not read one after the other.
    package var withoutViewers: CachePolicy { self == .viewers ? .s3FIFO : self }

    package func makePolicy(capacity: Int) -> any EvictionPolicy {
        switch self {
        case .s3FIFO: S3FIFO(capacity: capacity)
        case .viewers: ViewerAware(capacity: capacity)
        case .lru: LRU(capacity: capacity)
        }
    }
}
