/// How the cache is set up.
package struct ChunkStoreSettings: Sendable {
    /// Absolute; made if it is not there.
    package var directory: String
    /// What chunks may take of the disk, in bytes.
    package var size: Int64
    /// What chunks of a source may take of that, in bytes, by the source's name. Others may take all of it.
    package var sourceSizes: [String: Int64] = [:]
    /// What a cache, or a source, that has reached its limit keeps of what is not pinned; 100 or less. The rest leaves in
    /// batches behind what is written, so that it is seldom that something has to leave before something is written.
    package var lowMarkPercent = 99
    /// What pinned chunks may take of it, in bytes; a quarter, if nothing else is said.
    package var pinBytes: Int64
    /// How many pins there may be: each new object is compared with every one of them.
    package var pinCount = 1000
    package var chunkSize: Int
    package var policy: CachePolicy
    /// Whether a chunk has to be asked for twice before it is stored.
    package var admitsOnSecondHit: Bool
    /// For how long an object may be used after its first chunk was stored; `nil`: for ever.
    package var maxAge: Duration?
    /// What is to be free on the file system, in bytes; chunks leave for that where it takes their space back.
    package var minFreeDisk: Int64
    package var durability: LMDBSettings.Durability
    /// How fast ``ChunkStore/maintain(now:)`` has all chunks checked, over and over, in bytes a second; 0: not at all.
    package var scrubRate: Int64 = 0
    /// Whether what is there may go at the opening: a database that cannot be used, or is of another format, for a new
    /// one, without which there is no cache; and what is beyond a limit that is lower now.
    package var mayReplace = true
    /// What chunks on their way into the cache may take of the memory, in bytes. Chunks that are larger are not stored:
    /// what it takes to write one is as much again.
    package var fillBytes = MemoryLimit.part(oneOf: 8, atMost: 256 << 20)
    /// What of that may wait to be written; chunks that come beyond it are not stored.
    package var queueBytes = 64 << 20
    /// What objects with attributes may take of the memory, in bytes. Beyond it some of them leave.
    package var attributedBytes = MemoryLimit.part(oneOf: 8, atMost: 128 << 20)

    package init(
        directory: String,
        size: Int64,
        chunkSize: Int,
        policy: CachePolicy = .s3FIFO,
        admitsOnSecondHit: Bool = false,
        maxAge: Duration? = nil,
        minFreeDisk: Int64 = 0,
        durability: LMDBSettings.Durability = .relaxed
    ) {
        self.directory = directory
        self.size = size
        self.pinBytes = size / 4
        self.chunkSize = chunkSize
        self.policy = policy
        self.admitsOnSecondHit = admitsOnSecondHit
        self.maxAge = maxAge
        self.minFreeDisk = minFreeDisk
        self.durability = durability
    }
}
