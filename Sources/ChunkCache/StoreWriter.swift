import Dispatch
import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Everything that changes the database, on one thread of its own, in order.
final class StoreWriter: Sendable {
    /// The open database.
    private struct Database {
        let environment: LMDBEnvironment
        let chunks: LMDBTable
        let objects: LMDBTable
        let about: LMDBTable
    }

    /// Only the writer's thread works with this.
    private struct State {
        var policy: any EvictionPolicy
        var admission: Admission
        /// Objects whose record is in the database, by number.
        var objects: [UInt64: CachedObject] = [:]
        /// Above this many bytes chunks are evicted; below the configured size while the disk is short.
        var limit: Int64
    }

    private let settings: ChunkStoreSettings
    private let table: ChunkTable
    private let directory: ObjectDirectory
    private let counters: CacheCounters
    private let logger: Logger
    private let place: CacheDirectory?
    private let thread = NIOThreadPool(numberOfThreads: 1)
    private let state: Mutex<State>
    private let database = Mutex<(open: Database?, failure: String?)>((nil, nil))

    private static let evictionBatch = 64
    /// What may wait to be written.
    private static let queueBytes = 64 << 20
    private static let format = "1"

    init(
        _ settings: ChunkStoreSettings,
        table: ChunkTable,
        directory: ObjectDirectory,
        counters: CacheCounters,
        logger: Logger
    ) throws {
        self.settings = settings
        self.table = table
        self.directory = directory
        self.counters = counters
        self.logger = logger
        let capacity = max(Int(clamping: settings.size / Self.storedBytes(settings.chunkSize)), 1)
        state = Mutex(
            State(
                policy: settings.policy.makePolicy(capacity: capacity),
                admission: settings.admitsOnSecondHit ? .secondHit(remembering: 4 * capacity) : .always,
                limit: settings.size
            )
        )
        thread.start()
        do {
            place = try CacheDirectory(settings.directory)
        } catch let error as CacheDirectoryError {
            place = nil
            fail(error)
            return
        } catch {
            thread.shutdownGracefully { _ in }
            throw error
        }
        open()
        thread.submit { _ in self.scan() }
    }

    // MARK: - The database

    var environment: LMDBEnvironment? { database.withLock { $0.open?.environment } }

    var failure: String? { database.withLock { $0.failure } }

    var reading: (LMDBEnvironment, chunks: LMDBTable)? {
        database.withLock { database in database.open.map { ($0.environment, $0.chunks) } }
    }

    private func fail(_ error: any Error) {
        database.withLock { $0 = (nil, "\(error)") }
        logger.error("running without a cache", metadata: ["reason": "\(error)"])
    }

    private func open() {
        guard let place else { return }
        if settings.durability == .relaxed, place.wasCutOff {
            logger.notice("cache emptied: the machine stopped while it was open")
            place.setAside(keep: false)
        }
        do {
            try openDatabase(place)
        } catch let error as LMDBError where error.isDamage {
            replace(place, because: error)
        } catch {
            fail(error)
        }
    }

    /// Sets the database aside and begins a new one.
    private func replace(_ place: CacheDirectory, because error: any Error) {
        logger.warning("cache set aside as data.mdb.bad", metadata: ["reason": "\(error)"])
        place.setAside(keep: true)
        do {
            try openDatabase(place)
        } catch {
            fail(error)
        }
    }

    private func openDatabase(_ place: CacheDirectory) throws {
        let environment = try LMDBEnvironment(
            LMDBSettings(
                directory: place.path,
                mapSize: Self.mapSize(settings),
                tables: ["chunks", "objects", "about"],
                durability: settings.durability
            )
        )
        guard let chunks = environment.table("chunks"), let objects = environment.table("objects"),
            let about = environment.table("about")
        else { throw CacheDirectoryError(reason: "the database has no tables") }
        let database = Database(environment: environment, chunks: chunks, objects: objects, about: about)
        do {
            try checkFormat(database)
            try loadObjects(database)
        } catch {
            environment.close()
            throw error
        }
        place.markOpen()
        self.database.withLock { $0 = (database, nil) }
    }

    /// - Throws: a damage if the database is of another format or grid.
    private func checkFormat(_ database: Database) throws {
        let wanted = "\(Self.format) \(settings.chunkSize)"
        let key = Array("format".utf8)
        let found = try database.environment.read { transaction in
            try transaction.withValue(for: key, in: database.about) { value in
                value.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            }
        }
        guard found != wanted else { return }
        if let found {
            throw LMDBError(
                .damaged,
                code: 0,
                call: "open",
                text: "its format and chunk size are \(found); now they are \(wanted)"
            )
        }
        try database.environment.write { transaction in
            try transaction.put(Array(wanted.utf8).span.bytes, for: key, in: database.about)
        }
    }

    private func loadObjects(_ database: Database) throws {
        var loaded: [UInt64: CachedObject] = [:]
        try database.environment.read { transaction in
            try transaction.walk(database.objects) { _, value in
                // A revision that another one was about to replace comes first, and is left to the scan.
                if let record = ObjectRecord(encoded: value) {
                    let (object, replaced) = directory.restore(record)
                    if let replaced { loaded[replaced.number] = nil }
                    loaded[record.number] = object
                }
                return .next
            }
        }
        state.withLock { $0.objects = loaded }
    }

    /// Finds the chunks that are there. The cache is in use meanwhile.
    private func scan() {
        guard let database = database.withLock({ $0.open }) else { return }
        var orphans: Set<UInt64> = []
        do {
            try database.environment.read { transaction in
                try transaction.walk(database.chunks) { key, value in
                    guard let id = ChunkID(key: key) else { return .next }
                    state.withLock { state in
                        directory.noteUsed(id.object)
                        guard let object = state.objects[id.object], id.index <= object.lastIndex else {
                            orphans.insert(id.object)
                            return
                        }
                        if table.restore(id) {
                            state.policy.restore(id)
                            count(1, of: object, length: value.byteCount)
                        }
                    }
                    return .next
                }
            }
        } catch {
            noteFailure(error)
        }
        for number in orphans {
            deleteRecord(of: number)
            deleteChunks(of: number) { _ in }
        }
    }

    // MARK: - Chunks

    /// Stores a complete chunk, unless too much waits to be stored already.
    func store(_ fill: Fill) {
        guard counters.queuedBytes.value + fill.length <= Self.queueBytes else {
            counters.queueFull.add(1)
            table.end(fill, isStored: false)
            return
        }
        counters.queuedBytes.add(fill.length)
        thread.submit { _ in
            let isStored = self.put(fill)
            self.counters.queuedBytes.add(-fill.length)
            self.table.end(fill, isStored: isStored)
        }
    }

    private func put(_ fill: Fill) -> Bool {
        guard !fill.object.isRetired, let database = database.withLock({ $0.open }) else { return false }
        return state.withLock { state in
            table.takeTouches { state.policy.touch($0) }
            guard state.admission.admit(fill.id, lastIndex: fill.object.lastIndex) else {
                counters.notAdmitted.add(1)
                return false
            }
            let pieces = fill.pieces
            makeRoom(for: Self.storedBytes(fill.length), database, &state)
            do {
                do {
                    try write(fill, pieces, database, state)
                } catch let error as LMDBError where error.isShortOfSpace {
                    // Freed pages can be used from the next transaction but one on.
                    state.limit = max(Int64(counters.bytes.value) - Self.storedBytes(settings.chunkSize), 0)
                    evict(Self.evictionBatch, database, &state)
                    try write(fill, pieces, database, state)
                }
            } catch {
                counters.storeFailed.add(1)
                noteFailure(error)
                return false
            }
            state.objects[fill.object.number] = fill.object
            state.policy.insert(fill.id)
            counters.inserted.add(1)
            count(1, of: fill.object, length: fill.length + ChunkRecord.headerSize)
            return true
        }
    }

    private func write(_ fill: Fill, _ pieces: [ByteBuffer], _ database: Database, _ state: borrowing State) throws {
        let isNewObject = state.objects[fill.object.number] == nil
        let record = isNewObject ? fill.object.record.encoded() : nil
        guard !isNewObject || record != nil, let size = ChunkRecord.valueSize(of: pieces) else {
            throw CacheDirectoryError(reason: "the object's record is too long to be stored")
        }
        try database.environment.write { transaction in
            if let record {
                try record.withUnsafeReadableBytes { bytes in
                    let key = ObjectNumber(value: fill.object.number)
                    try transaction.put(bytes.bytes, for: key, in: database.objects)
                }
            }
            try transaction.put(size: size, for: fill.id, in: database.chunks) { value in
                ChunkRecord.write(pieces, id: fill.id, into: &value)
            }
        }
    }

    /// Evicts until there is room for `bytes` more.
    private func makeRoom(for bytes: Int64, _ database: Database, _ state: inout State) {
        while Int64(counters.bytes.value) + bytes > state.limit, state.policy.count > 0 {
            // More than one at a time: each batch is a transaction.
            guard evict(min(max(state.policy.count / 128, 1), Self.evictionBatch), database, &state) else { return }
        }
    }

    /// - Returns: whether chunks were evicted.
    @discardableResult
    private func evict(_ number: Int, _ database: Database, _ state: inout State) -> Bool {
        var victims: [ChunkID] = []
        while victims.count < number, let victim = state.policy.evict() { victims.append(victim) }
        return delete(victims, database, &state) { $0.evictedForSpace }
    }

    /// Deletes chunks that the policy has forgotten.
    private func delete(
        _ victims: [ChunkID],
        _ database: Database,
        _ state: inout State,
        _ counter: (CacheCounters) -> CacheCounters.Counter
    ) -> Bool {
        guard !victims.isEmpty else { return false }
        var lengths: [ChunkID: Int] = [:]
        do {
            try database.environment.write { transaction in
                for id in victims {
                    lengths[id] = try transaction.withValue(for: id, in: database.chunks) { $0.byteCount }
                    try transaction.delete(id, from: database.chunks)
                }
                for object in emptied(by: lengths.keys, state) {
                    try transaction.delete(ObjectNumber(value: object.number), from: database.objects)
                }
            }
        } catch {
            // They are still there.
            for id in victims { state.policy.insert(id) }
            noteFailure(error)
            return false
        }
        for id in victims { table.remove(id) }
        for (id, length) in lengths {
            guard let object = state.objects[id.object] else { continue }
            count(-1, of: object, length: length)
            counter(counters).add(1)
            if object.storedChunks == 0 {
                state.objects[id.object] = nil
                directory.remove(object)
            }
        }
        return true
    }

    /// The objects that lose their last chunk with these.
    private func emptied(by victims: some Sequence<ChunkID>, _ state: borrowing State) -> [CachedObject] {
        var leaving: [UInt64: Int] = [:]
        for id in victims { leaving[id.object, default: 0] += 1 }
        let objects = state.objects
        return leaving.compactMap { number, count in
            objects[number].flatMap { $0.storedChunks <= count ? $0 : nil }
        }
    }

    /// Deletes a chunk that is not what was stored.
    func drop(_ id: ChunkID, corruptBy fault: ChunkRecordFault) {
        table.remove(id)
        logger.warning(
            "chunk dropped from the cache: it is not what was stored",
            metadata: ["object": "\(id.object)", "chunk": "\(id.index)", "fault": "\(fault.rawValue)"]
        )
        thread.submit { _ in
            guard let database = self.database.withLock({ $0.open }) else { return }
            self.state.withLock { state in
                state.policy.remove(id)
                _ = self.delete([id], database, &state) { $0.corrupt }
            }
        }
    }

    // MARK: - Objects

    /// Deletes what there is of objects that no request finds any more.
    func forget(_ objects: [CachedObject], _ counter: @escaping @Sendable (CacheCounters) -> CacheCounters.Counter) {
        guard !objects.isEmpty else { return }
        thread.submit { _ in
            for object in objects {
                self.deleteRecord(of: object.number)
                self.deleteChunks(of: object.number) { counter(self.counters).add($0) }
            }
        }
    }

    /// With the record everything of the object is gone, whatever happens to the process afterwards.
    private func deleteRecord(of number: UInt64) {
        guard let database = database.withLock({ $0.open }) else { return }
        do {
            _ = try database.environment.write { transaction in
                try transaction.delete(ObjectNumber(value: number), from: database.objects)
            }
        } catch {
            noteFailure(error)
        }
    }

    private func deleteChunks(of number: UInt64, _ deleted: (Int) -> Void) {
        guard let database = database.withLock({ $0.open }) else { return }
        var next = ChunkID(object: number, index: 0)
        while true {
            var batch: [(id: ChunkID, length: Int)] = []
            do {
                try database.environment.read { transaction in
                    try transaction.walk(database.chunks, from: next) { key, value in
                        guard let id = ChunkID(key: key), id.object == number else { return .stop }
                        batch.append((id, value.byteCount))
                        return batch.count < Self.evictionBatch ? .next : .stop
                    }
                }
                guard let last = batch.last else { break }
                try database.environment.write { transaction in
                    for (id, _) in batch { try transaction.delete(id, from: database.chunks) }
                }
                next = last.id
            } catch {
                noteFailure(error)
                break
            }
            state.withLock { state in
                for (id, length) in batch {
                    table.remove(id)
                    state.policy.remove(id)
                    if let object = state.objects[number] { count(-1, of: object, length: length) }
                }
            }
            deleted(batch.count)
        }
        state.withLock { $0.objects[number] = nil }
    }

    // MARK: - Housekeeping

    func maintain() {
        thread.submit { _ in
            guard let database = self.database.withLock({ $0.open }) else { return }
            _ = try? database.environment.readerCheck()
            self.state.withLock { state in
                self.table.takeTouches { state.policy.touch($0) }
                self.watchDisk(database, &state)
            }
            self.expire()
        }
    }

    /// Keeps the cache from growing while the file system is short of space: other programs fill disks too.
    private func watchDisk(_ database: Database, _ state: inout State) {
        guard let free = place?.freeBytes else { return }
        let used = Int64(counters.bytes.value)
        let spare = free - settings.minFreeDisk
        // What was evicted stays in the file and is used again.
        state.limit = spare >= 2 * Self.storedBytes(settings.chunkSize) ? settings.size : min(state.limit, used)
    }

    private func expire() {
        guard let maxAge = settings.maxAge else { return }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let (limit, overflow) = Int64(now.tv_sec).subtractingReportingOverflow(maxAge.components.seconds)
        guard !overflow else { return }
        let expired = directory.removeAll { $0.created / 1_000_000_000 < limit }
        for object in expired {
            deleteRecord(of: object.number)
            deleteChunks(of: object.number) { counters.evictedForAge.add($0) }
        }
    }

    func flush() async {
        await withCheckedContinuation { continuation in thread.submit { _ in continuation.resume() } }
    }

    func close() {
        let done = ConditionLatch()
        thread.submit { _ in
            if let database = self.database.withLock({ $0.open }) {
                self.database.withLock { $0 = (nil, "closed") }
                let isSynced = (try? database.environment.sync()) != nil
                database.environment.close()
                if isSynced { self.place?.markClosed() }
            }
            done.open()
        }
        done.wait()
        thread.shutdownGracefully { _ in }
    }

    func noteReadFailure(_ error: any Error) {
        thread.submit { _ in self.noteFailure(error) }
    }

    /// On the writer's thread.
    private func noteFailure(_ error: any Error) {
        guard let error = error as? LMDBError, error.isDamage, let place else {
            logger.warning("cache operation failed", metadata: ["reason": "\(error)"])
            return
        }
        guard database.withLock({ $0.open != nil }) else { return }
        // The thread that holds the state may be this one: what follows is done when it has let go.
        thread.submit { _ in
            guard self.database.withLock({ $0.open != nil }) else { return }
            self.database.withLock { $0 = (nil, "being replaced") }
            self.reset()
            self.replace(place, because: error)
        }
    }

    /// Forgets everything that was in the database.
    private func reset() {
        _ = directory.removeAll { _ in true }
        table.removeAllStored()
        state.withLock { state in
            while state.policy.evict() != nil {}
            state.objects = [:]
        }
        counters.bytes.add(-counters.bytes.value)
        counters.chunks.add(-counters.chunks.value)
    }

    private func count(_ change: Int, of object: CachedObject, length: Int) {
        _ = object.countStored(change)
        counters.chunks.add(change)
        counters.bytes.add(change * Int(Self.pageBytes(length)))
    }

    // MARK: - Sizes

    /// What a chunk of `length` bytes takes of the file.
    private static func storedBytes(_ length: Int) -> Int64 { pageBytes(length + ChunkRecord.headerSize) }

    /// Values of that size take whole pages, with a page header of 16 bytes in front.
    private static func pageBytes(_ size: Int) -> Int64 {
        let page = DataFileCheck.pageSize
        return Int64((size + 16 + page - 1) / page * page)
    }

    /// Larger than what may be stored: a map that is full to the last page cannot even delete.
    private static func mapSize(_ settings: ChunkStoreSettings) -> Int {
        let size = Int(clamping: settings.size)
        let spare = max(size / 100 * 18, 4 * settings.chunkSize + (4 << 20))
        let (sum, overflow) = size.addingReportingOverflow(spare)
        return overflow ? size : sum
    }
}

extension LMDBError {
    /// Whether there is no room in the map or on the disk.
    fileprivate var isShortOfSpace: Bool {
        switch kind {
        case .mapFull, .system(ENOSPC), .system(EDQUOT): true
        default: false
        }
    }
}

/// Lets one thread wait for another.
private final class ConditionLatch: Sendable {
    private let semaphore = DispatchSemaphore(value: 0)

    func open() { semaphore.signal() }
    func wait() { semaphore.wait() }
}
