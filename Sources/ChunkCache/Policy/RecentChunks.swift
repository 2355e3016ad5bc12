/// The chunks that were noted last, as 64-bit hashes: about one in 2^64 / ``count`` others is taken for one of them.
///
/// Every operation takes constant time, but for a change of ``capacity``. A chunk takes 8 bytes in an array and 16 to
/// 32 in a dictionary.
struct RecentChunks: Sendable {
    /// How many of the latest insertions are remembered. A removal does not free a place.
    var capacity: Int {
        didSet { if capacity != oldValue { resize() } }
    }

    /// Hashes in the order of insertion, in a circle once there are as many as the capacity. Of equal ones only the
    /// latest counts, and none that has been removed.
    private var ring: ContiguousArray<UInt64> = []
    /// Where the oldest is, once the ring is full.
    private var oldest = 0
    /// Where in the ring the latest of each hash is. The ring has fewer than 2^32 places.
    private var placeOfHash: [UInt64: UInt32] = [:]

    init(capacity: Int) {
        self.capacity = capacity
    }

    var count: Int { placeOfHash.count }

    func contains(_ chunk: ChunkID) -> Bool {
        placeOfHash[Self.hash(chunk)] != nil
    }

    /// Notes a chunk as the latest, in place of the oldest if there are as many as the capacity.
    mutating func insert(_ chunk: ChunkID) {
        append(Self.hash(chunk))
    }

    /// - Returns: whether the chunk was remembered.
    @discardableResult
    mutating func remove(_ chunk: ChunkID) -> Bool {
        placeOfHash.removeValue(forKey: Self.hash(chunk)) != nil
    }

    private var usedCapacity: Int { min(max(capacity, 0), Int(UInt32.max)) }

    private mutating func append(_ hash: UInt64) {
        guard usedCapacity > 0 else { return }
        if ring.count < usedCapacity {
            placeOfHash[hash] = UInt32(ring.count)
            ring.append(hash)
            return
        }
        let forgotten = ring[oldest]
        if placeOfHash[forgotten] == UInt32(oldest) { placeOfHash[forgotten] = nil }
        ring[oldest] = hash
        placeOfHash[hash] = UInt32(oldest)
        oldest = (oldest + 1) % ring.count
    }

    /// Starts again with the latest of those that count.
    private mutating func resize() {
        let places = (0..<ring.count).map { (oldest + $0) % ring.count }
        let kept = places.filter { placeOfHash[ring[$0]] == UInt32($0) }.map { ring[$0] }.suffix(usedCapacity)
        ring = []
        oldest = 0
        placeOfHash = [:]
        for hash in kept { append(hash) }
    }

    /// The finalizer of MurmurHash3 over both halves. It need not withstand an adversary: a collision makes a chunk
    /// look known, no more.
    private static func hash(_ chunk: ChunkID) -> UInt64 {
        mixed(mixed(chunk.object) ^ chunk.index)
    }

    private static func mixed(_ value: UInt64) -> UInt64 {
        var value = value &+ 0x9E37_79B9_7F4A_7C15
        value = (value ^ (value >> 33)) &* 0xFF51_AFD7_ED55_8CCD
        value = (value ^ (value >> 33)) &* 0xC4CE_B9FE_1A85_EC53
        return value ^ (value >> 33)
    }
}
