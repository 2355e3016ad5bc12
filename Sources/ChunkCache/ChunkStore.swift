package import Logging
import NIOCore
package import NIOPosix
import Synchronization

/// The chunk cache: popular parts of objects in one LMDB file.
///
/// A chunk is visible when it is complete and committed, and what is read of it is what was put there, or it is no hit.
/// No failure of the cache is a failure of a request: it is counted, and the source is asked.
package final class ChunkStore: Sendable {
    package let settings: ChunkStoreSettings
    package let counters = CacheCounters()
    let table = ChunkTable()
    let runs = ActiveRuns()
    let budget: FillBudget
    let directory: ObjectDirectory
    let writer: StoreWriter
    /// For page faults and checksums.
    let pool: NIOThreadPool
    /// For copies.
    let copyPool: NIOThreadPool
    let residents = ResidencyMemory()
    /// Which chunks were looked up by a thread that may wait, neighbourhood by neighbourhood.
    let lookUps: ResidencyMemory
    /// What was read from the disk, block by block.
    let reads: ResidencyMemory
    let copies = CopyBuffers()
    let scrubbing: Mutex<Scrub>
    let preparing = Mutex<Set<ChunkID>>([])
    private let isClosing = Atomic(false)

    /// Opens the cache, or begins a new one if that is not to be had. Blocks; reads the records of all objects. It has to
    /// be closed.
    ///
    /// If there can be no database now, for want of permission or of space, say, ``failure`` says why, everything is a
    /// bypass, and ``maintain(now:)`` tries again.
    ///
    /// - Parameters:
    ///   - pool: runs what may wait for the disk; it must outlive the cache.
    ///   - copyPool: runs what takes a moment, for a client that waits; it must outlive the cache.
    ///   - reads: notes what is read from the disk.
    ///   - lookUps: notes what is looked up. Pages of keys do not leave memory as fast as that, unless it is very short.
    /// - Throws: ``CacheInUse`` if another process has it.
    package init(
        _ settings: ChunkStoreSettings,
        pool: NIOThreadPool,
        copyPool: NIOThreadPool? = nil,
        reads: ResidencyMemory = ResidencyMemory(),
        lookUps: ResidencyMemory = ResidencyMemory(trust: 4),
        logger: Logger
    ) throws {
        self.settings = settings
        self.pool = pool
        self.copyPool = copyPool ?? pool
        self.reads = reads
        self.lookUps = lookUps
        budget = FillBudget(bytes: settings.fillBytes)
        scrubbing = Mutex(Scrub(bytesPerSecond: settings.scrubRate))
        directory = ObjectDirectory(
            chunkSize: Int64(settings.chunkSize),
            attributedBytes: settings.attributedBytes,
            policy: settings.policy,
            counters: counters
        )
        writer = try StoreWriter(settings, table: table, directory: directory, counters: counters, logger: logger)
        guard settings.fillBytes < 4 * settings.chunkSize else { return }
        logger.warning(
            "there is little memory for chunks of this size: much of what is read will not be stored, or nothing",
            metadata: ["chunk_size": "\(settings.chunkSize)", "fill_limit_bytes": "\(settings.fillBytes)"]
        )
    }

    /// Whether there is a database to read from and to write to.
    package var isOpen: Bool { !isClosing.load(ordering: .relaxed) && writer.database != nil }

    /// Why there is none.
    package var failure: String? { writer.failure }

    /// Waits for what is to be written and closes the file. Blocks. Readers go on with their sources: nobody is left
    /// waiting for a chunk.
    package func close() {
        isClosing.store(true, ordering: .relaxed)
        for fill in table.fills where !fill.isComplete { fill.run.abandon() }
        writer.close()
        table.removeAllStored()
    }

    /// Runs what has to be done from time to time: about once a second. Does not wait for it.
    package func maintain(now: ContinuousClock.Instant = .now) {
        writer.maintain(now: now)
        goOnScrubbing(now: now)
        if !isMemoryShort { copies.removeAll() }
        for fill in table.fills where !fill.isComplete { fill.run.endIfForsaken(now: now) }
    }

    /// Waits, but not for ever, as long as more is to be written than half of what may be.
    func awaitWrites() async {
        let half = min(settings.queueBytes, settings.fillBytes) / 2
        for _ in 0..<8 where isOpen && counters.queuedBytes.value > half { await flush() }
    }

    /// Returns when everything that was complete before the call has been written or given up.
    package func flush() async { await writer.flush() }

    // MARK: - Objects

    /// The object that `record` describes, under the number it has in the cache; that in `record` means nothing. An
    /// earlier revision is forgotten.
    ///
    /// Nothing of it is stored unless ``canStore(_:)`` holds for the record.
    package func object(_ record: ObjectRecord) -> CachedObject {
        let (object, replaced, left) = directory.object(record)
        if let replaced { writer.forget([replaced], counters.replaced) }
        writer.forget(left, counters.evictedForSpace)
        return object
    }

    /// Whether a record is short enough to be stored.
    package func canStore(_ record: ObjectRecord) -> Bool { record.isEncodable }

    /// What the cache knows of an object without asking its source.
    package func find(_ key: ObjectKey) -> CachedObject? { directory.find(key) }

    /// The representations of which the cache knows under one path, those whose variant begins with the line
    /// `key.variant`.
    package func representations(_ key: ObjectKey) -> [CachedObject] { directory.family(key) }

    /// Changes what is known of an object, its bytes staying what they are: one write of its record. If that cannot be
    /// written, the object is forgotten: what was known before does not come back with the next start.
    ///
    /// - Returns: `false` if the record is too long now, and the object forgotten.
    @discardableResult
    package func update(_ object: CachedObject, attributes: [UInt8]) -> Bool {
        object.set(attributes: attributes)
        guard canStore(object.currentRecord) else {
            remove([object])
            return false
        }
        writer.forget(directory.noteAttributes(of: object), counters.evictedForSpace)
        writer.update(object)
        return true
    }

    /// Forgets these objects, as ``purge(where:)`` does, since others take their place.
    package func remove(_ objects: [CachedObject]) {
        writer.forget(directory.remove(objects), counters.replaced)
    }

    /// Every object of which something is known.
    package var objects: [CachedObject] { directory.all }

    /// Forgets the objects for which `condition` holds. When this returns no new request finds them; what is being sent
    /// of them may end well.
    ///
    /// - Returns: how many chunks they had.
    @discardableResult
    package func purge(where condition: (ObjectRecord) -> Bool) -> Int {
        let objects = directory.removeAll(where: condition)
        let chunks = objects.reduce(0) { $0 + $1.storedChunks }
        writer.forget(objects, counters.purged)
        return chunks
    }

    /// The same with every object. If nobody is sending any of them the database begins anew, so that the file is as short as
    /// that of an empty cache.
    @discardableResult
    package func purgeAll() -> Int {
        let objects = directory.removeAll { _ in true }
        let chunks = objects.reduce(0) { $0 + $1.storedChunks }
        writer.forgetAll(objects)
        return chunks
    }

    // MARK: - Chunks

    /// Whether the chunk can be sent as it is.
    package func isReady(_ id: ChunkID) -> Bool { table.isReady(id) }

    /// Whether the chunk is in the database, checked or not.
    package func isStored(_ id: ChunkID) -> Bool {
        if case .stored = table.state(of: id) { true } else { false }
    }

    /// Notes that the chunk, which is one of `object`, was sent from the cache, be it gone by now. That is a hit, unless it
    /// was fetched ahead and nobody came to it before: each chunk that is fetched for somebody is one miss.
    package func use(_ id: ChunkID, of object: CachedObject) -> ChunkUse {
        let use = table.use(id) ?? .again
        switch use {
        case .first:
            counters.missed.add(1)
            object.lookups.missed.add(1)
        case .again:
            counters.hits.add(1)
            object.lookups.hits.add(1)
            object.countHit()
        }
        return use
    }

    /// Notes that a chunk of `object` was read from its source, and nothing of it kept.
    package func noteBypass(of object: CachedObject) {
        counters.bypassed.add(1)
        object.lookups.bypassed.add(1)
    }

    /// Lends bytes of chunk after chunk to `body`, straight from the database. Does not block: they are in memory.
    ///
    /// - Parameters:
    ///   - range: positions in the object; it is cut where a chunk is not ready, not in memory, or was not looked up a
    ///     moment ago.
    ///   - body: makes one system call with the parts, of which there is at least one; they must not outlive it.
    /// - Returns: `nil` if the first byte is not to be had.
    package func withBytes<Value>(
        of object: CachedObject,
        at range: Range<Int64>,
        _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) -> Value
    ) -> Value? {
        // Asked before the transaction begins: what is ready then is in what it sees.
        let ready = readyChunks(of: object, in: range)
        guard ready > 0, mayLookUp(object.chunk(at: range.lowerBound)), let (environment, chunks) = writer.reading
        else { return nil }
        let result = try? environment.read { transaction in
            try withUnsafeTemporaryAllocation(
                of: UnsafeRawBufferPointer.self,
                capacity: ready
            ) { parts -> Value? in
                var (count, position) = (0, range.lowerBound)
                while position < range.upperBound, count < ready {
                    let id = object.chunk(at: position)
                    let start = object.range(of: id).lowerBound
                    let end = min(range.upperBound - start, object.chunkSize)
                    let part = try residentPart(of: id, Int(position - start)..<Int(end), chunks, transaction)
                    guard let part else { break }
                    parts.initializeElement(at: count, to: part)
                    count += 1
                    position += Int64(part.count)
                }
                return count > 0 ? body(UnsafeBufferPointer(rebasing: parts[..<count])) : nil
            }
        }
        return result ?? nil
    }

    private static let chunksLentAtOnce = 16

    /// How many chunks from the start of `range` on are ready, up to as many as are lent at once.
    private func readyChunks(of object: CachedObject, in range: Range<Int64>) -> Int {
        guard !range.isEmpty else { return 0 }
        let first = object.chunk(at: range.lowerBound)
        let last = object.chunk(at: range.upperBound - 1)
        var count = 0
        while count < Self.chunksLentAtOnce, first.index + UInt64(count) <= last.index,
            table.isReady(ChunkID(object: first.object, index: first.index + UInt64(count)))
        {
            count += 1
        }
        return count
    }

    /// - Returns: bytes that stay where they are until the transaction ends: LMDB gives no page of theirs to a writer before.
    private func residentPart(
        of id: ChunkID,
        _ range: Range<Int>,
        _ chunks: LMDBTable,
        _ transaction: borrowing LMDBReadTransaction
    ) throws -> UnsafeRawBufferPointer? {
        guard mayLookUp(id), let place = try transaction.place(of: id, in: chunks) else { return nil }
        guard let part = Self.bytes(range, of: place), isResident(part, of: place, id) else { return nil }
        return part
    }

    /// - Parameter part: what is wanted of `value`.
    func isResident(_ part: UnsafeRawBufferPointer, of value: UnsafeRawBufferPointer, _ id: ChunkID) -> Bool {
        if residents.contains(id.object, id.index) { return true }
        // For a small part the kernel need not look at the whole chunk.
        if part.count >= value.count / 8, Residency.isResident(value) {
            residents.insert(id.object, id.index)
            return true
        }
        return Residency.isResident(part)
    }

    /// A part of a chunk; `nil` if there is nothing of it in `value`.
    static func bytes(_ part: Range<Int>, of value: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let end = min(part.upperBound, value.count - ChunkRecord.headerSize)
        guard part.lowerBound >= 0, part.lowerBound < end else { return nil }
        return UnsafeRawBufferPointer(
            rebasing: value[ChunkRecord.headerSize + part.lowerBound..<ChunkRecord.headerSize + end]
        )
    }

    // MARK: - Fills

    func completed(_ fill: Fill) { writer.store(fill) }

    func end(_ fill: Fill, failure: any Error) {
        table.end(fill, isStored: false)
        fill.fail(failure)
    }
}

/// Another process has the cache.
package struct CacheInUse: Error, Sendable, CustomStringConvertible {
    package let directory: String

    package var description: String { "the cache in \(directory) is in use by another process" }
}
