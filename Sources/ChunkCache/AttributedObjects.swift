/// The objects that have attributes, and the memory they take together.
///
/// Any client can have the cache know more of them, by asking for one address more; each takes the same memory however
/// short its body is. So there is a limit to it, and an eviction policy decides which of them leave: of those that are not
/// pinned, as long as what is pinned takes no more than half.
struct AttributedObjects {
    private struct Entry {
        let object: CachedObject
        let bytes: Int
        /// It is not in the policy.
        let isHeld: Bool
    }

    /// Each object stands in it for one chunk, its first.
    private var policy: any EvictionPolicy
    private var entries: [UInt64: Entry] = [:]
    private(set) var bytes = 0
    private var heldBytes = 0
    private let limit: Int

    /// - Parameter limit: of the memory, in bytes.
    init(limit: Int, policy: CachePolicy) {
        self.limit = limit
        self.policy = policy.withoutViewers.makePolicy(capacity: max(limit / 2048, 1))
    }

    /// Takes in an object that is used by a request, or changes what it is counted for.
    mutating func insert(_ object: CachedObject) {
        if !take(in: object) { policy.insert(object.firstChunk) }
    }

    /// Takes in an object that was there at the start.
    mutating func restore(_ object: CachedObject) {
        if !take(in: object) { policy.restore(object.firstChunk) }
    }

    /// Takes note of which objects are pinned now.
    mutating func notePins() {
        let changed = entries.values.filter { $0.isHeld != $0.object.isPinned }
        // Those that are pinned no longer give their room to others, which there was none for before.
        for entry in changed where entry.isHeld { restore(entry.object) }
        for entry in changed where !entry.isHeld { restore(entry.object) }
    }

    /// - Returns: whether it is held.
    private mutating func take(in object: CachedObject) -> Bool {
        forget(object.number)
        let bytes = object.footprint
        let isHeld = object.isPinned && heldBytes + bytes <= limit / 2
        entries[object.number] = Entry(object: object, bytes: bytes, isHeld: isHeld)
        self.bytes += bytes
        if isHeld {
            heldBytes += bytes
            policy.remove(object.firstChunk)
        }
        return isHeld
    }

    /// - Returns: what was known of it.
    @discardableResult
    private mutating func forget(_ number: UInt64) -> Entry? {
        guard let known = entries.removeValue(forKey: number) else { return nil }
        bytes -= known.bytes
        if known.isHeld { heldBytes -= known.bytes }
        return known
    }

    /// Notes that an object was looked up.
    mutating func touch(_ object: CachedObject) { policy.touch(object.firstChunk) }

    /// Forgets an object, if it is one of these.
    mutating func remove(_ object: CachedObject) {
        guard forget(object.number) != nil else { return }
        policy.remove(object.firstChunk)
    }

    /// Chooses an object to leave and forgets it. `nil` if there is room for `bytes` more, or nothing left to evict.
    mutating func evict(for bytes: Int) -> CachedObject? {
        while self.bytes + bytes > limit, let chunk = policy.evict() {
            guard let known = forget(chunk.object) else { continue }
            return known.object
        }
        return nil
    }
}

extension CachedObject {
    fileprivate var firstChunk: ChunkID { ChunkID(object: number, index: 0) }

    /// About how much memory it takes, with one chunk and all that leads to it, in bytes.
    var footprint: Int {
        // What does not depend on lengths is measured: the object, its places in tables, queues and policies.
        1500 + record.path.count + 2 * record.variant.utf8.count + attributes.count
    }
}
