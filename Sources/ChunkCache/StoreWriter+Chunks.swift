import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Chunks that come, and chunks that leave.
extension StoreWriter {
    static let evictionBatch = 64
    /// What a chunk that waits to be written takes of the memory at least.
    private static let leastQueued = 4096

    /// Stores a complete chunk, unless too much waits to be stored already.
    func store(_ fill: Fill) {
        let bytes = max(fill.length, Self.leastQueued)
        guard counters.queuedBytes.value + bytes <= settings.queueBytes else {
            counters.queueFull.add(1)
            fill.run.keep(fill)
            return
        }
        counters.queuedBytes.add(bytes)
        thread.submit { _ in
            let isStored = self.put(fill)
            self.counters.queuedBytes.add(-bytes)
            if isStored { self.table.end(fill, isStored: true) } else { fill.run.keep(fill) }
            if isStored { self.watchWrite(of: Self.storedBytes(fill.length)) }
        }
    }

    private func put(_ fill: Fill) -> Bool {
        guard !fill.object.isRetired, let database else { return false }
        do {
            return try state.withLock { state in
                table.takeTouches { state.touch($0) }
                guard state.admission.admit(fill.id, lastIndex: fill.object.lastIndex) else {
                    counters.notAdmitted.add(1)
                    return false
                }
                let bytes = Self.storedBytes(fill.length) + Self.recordBytes(of: fill.object)
                guard try makeRoom(for: bytes, of: fill.object.record.source, database, &state) else {
                    counters.noRoom.add(1)
                    return false
                }
                let limit = self.limit.load(ordering: .relaxed)
                try makingRoom(database, &state) { try write(fill, database, &$0) }
                if self.limit.load(ordering: .relaxed) == limit { raiseLimit(state) }
                lowerBehind(&state)
                return true
            }
        } catch {
            counters.storeFailed.add(1)
            noteFailure(error, of: database.environment)
            return false
        }
    }

    private func write(_ fill: Fill, _ database: Database, _ state: inout State) throws {
        let began = ContinuousClock.now
        let object = fill.object
        let isNewObject = state.objects[object.number] == nil
        let record = isNewObject ? object.currentRecord.encoded() : nil
        let bytes = fill.bytes
        guard !isNewObject || record != nil, let size = ChunkRecord.valueSize(of: bytes) else {
            throw CacheDirectoryError(reason: "the object's record is too long to be stored")
        }
        let replaced = try database.environment.write { transaction in
            if let record {
                try record.withUnsafeReadableBytes { bytes in
                    let key = ObjectNumber(value: object.number)
                    try transaction.put(bytes.bytes, for: key, in: database.objects)
                }
            }
            let replaced = try transaction.withValue(for: fill.id, in: database.chunks) { $0.byteCount }
            try transaction.put(size: size, for: fill.id, in: database.chunks) { value in
                ChunkRecord.write(bytes, id: fill.id, into: &value)
            }
            return replaced
        }
        counters.note(.write, since: began)
        if let replaced, !isNewObject { count(-1, of: object, length: replaced) }
        state.objects[object.number] = object
        state.track(fill.id, of: object, bytes: Self.pageBytes(size), isNew: true)
        countHeld(&state)
        counters.inserted.add(1)
        countRecord(of: object, isStored: true)
        count(1, of: object, length: size)
    }

    /// Evicts until there is room for `bytes` more of `source`: of its own chunks if it would have more than it may, and
    /// of any if the cache would be too large. What is then still above the low mark leaves later.
    ///
    /// - Returns: whether there is.
    private func makeRoom(
        for bytes: Int64,
        of source: String,
        _ database: Database,
        _ state: inout State
    ) throws -> Bool {
        let (limit, share) = (self.limit.load(ordering: .relaxed), settings.sourceSizes[source])
        guard !state.givingBack.wouldTakeBack else { return false }
        // What is held does not leave: beside too much of that everything else would leave in vain.
        guard state.eviction.heldBytes + bytes <= limit else { return false }
        if let share {
            guard (state.eviction.held(of: source)?.bytes ?? 0) + bytes <= share else { return false }
            while counters.share(of: source).bytes + bytes > share {
                state.lowering.insert(source)
                guard try lower(source, for: bytes, database, &state) else { return false }
            }
        }
        // A limit that has just become much lower is kept batch by batch, and nothing waits for that.
        let batch = Int64(Self.evictionBatch) * Self.storedBytes(settings.chunkSize)
        guard Int64(counters.bytes.value) - limit <= 2 * batch else { return false }
        while Int64(counters.bytes.value) + bytes > limit {
            state.lowering.insert(nil)
            guard try lower(nil, for: bytes, database, &state) else { return false }
        }
        return true
    }

    /// Evicts as many chunks as a transaction may have of what is above the low mark; at least one.
    ///
    /// - Parameter bytes: what is to come.
    /// - Returns: whether there were any to evict.
    private func lower(
        _ source: String?,
        for bytes: Int64,
        _ database: Database,
        _ state: inout State
    ) throws -> Bool {
        let excess = excess(over: lowMark(of: source, state), of: source) + bytes
        let chunks = Int(clamping: excess / Self.storedBytes(settings.chunkSize))
        return try evict(min(max(chunks, 1), Self.evictionBatch), of: source, database, &state)
    }

    /// What a source, or the whole cache, keeps once it has had its limit: all that is held, and of the rest its part.
    private func lowMark(of source: String?, _ state: State) -> Int64 {
        let limit = source.flatMap { settings.sourceSizes[$0] } ?? self.limit.load(ordering: .relaxed)
        let held = source.map { state.eviction.held(of: $0)?.bytes ?? 0 } ?? state.eviction.heldBytes
        return held + max(limit - held, 0) / 100 * Int64(settings.lowMarkPercent)
    }

    /// What a source, or the whole cache, has beyond `mark`, in bytes.
    private func excess(over mark: Int64, of source: String?) -> Int64 {
        (source.map { counters.share(of: $0).bytes } ?? Int64(counters.bytes.value)) - mark
    }

    /// Has what is above a low mark leave after what waits to be written, batch by batch.
    private func lowerBehind(_ state: inout State) {
        guard !state.lowering.isEmpty, !state.isLowering else { return }
        state.isLowering = true
        thread.submit { if $0 == .active { self.lowerOne() } }
    }

    private func lowerOne() {
        state.withLock { $0.isLowering = false }
        guard let database else { return }
        do {
            try state.withLock { state in
                guard let source = state.lowering.first else { return }
                // A chunk less may be far below the mark of a small cache.
                let excess = excess(over: lowMark(of: source, state), of: source)
                let isAbove = excess >= Self.storedBytes(settings.chunkSize)
                if try !isAbove || !lower(source, for: 0, database, &state) { state.lowering.remove(source) }
                lowerBehind(&state)
            }
        } catch {
            noteFailure(error, of: database.environment)
        }
    }

    /// - Parameter source: whose chunks leave, since it has more than it may; `nil` for any.
    /// - Returns: whether there were any to evict.
    @discardableResult
    func evict(
        _ number: Int,
        of source: String?,
        _ database: Database,
        _ state: inout State
    ) throws -> Bool {
        var victims: [ChunkID] = []
        while victims.count < number, let victim = state.eviction.evict(of: source) { victims.append(victim) }
        guard !victims.isEmpty else { return false }
        do {
            let counter = source == nil ? counters.evictedForSpace : counters.evictedForShare
            try awaitingReads(database, &state) { state in
                let began = ContinuousClock.now
                try delete(victims, database, &state, counter)
                counters.note(.evict, since: began)
            }
        } catch {
            // They are still there.
            for id in victims {
                if let object = state.objects[id.object] { state.eviction.insert(id, of: object.record.source) }
            }
            throw error
        }
        return true
    }

    /// Has the cache and its sources give up what they have beyond limits that are lower than they were; goes on with the
    /// rest after what waits to be written.
    func trim() {
        guard settings.mayReplace, let database else { return }
        do {
            let isOver = try state.withLock { state in
                guard !state.isTrimming else { return false }
                var isOver = try trim(to: limit.load(ordering: .relaxed), of: nil, database, &state)
                for (source, share) in settings.sourceSizes {
                    if try trim(to: share, of: source, database, &state) { isOver = true }
                }
                state.isTrimming = isOver
                return isOver
            }
            guard isOver else { return }
            thread.submit { state in
                self.state.withLock { $0.isTrimming = false }
                if state == .active { self.trim() }
            }
        } catch {
            noteFailure(error, of: database.environment)
        }
    }

    /// Evicts as many chunks as a transaction may have.
    ///
    /// - Returns: whether more are to leave.
    private func trim(
        to limit: Int64,
        of source: String?,
        _ database: Database,
        _ state: inout State
    ) throws -> Bool {
        let excess = excess(over: limit, of: source)
        guard excess > 0 else { return false }
        // No chunk takes more, so that these are never too many.
        let largest = Self.storedBytes(settings.chunkSize)
        let chunks = Int(clamping: (excess + largest - 1) / largest)
        let isLess = try evict(min(chunks, Self.evictionBatch), of: source, database, &state)
        return isLess && self.excess(over: limit, of: source) > 0
    }

    /// Deletes chunks that are counted, and that no policy is to know any more.
    private func delete(
        _ victims: [ChunkID],
        _ database: Database,
        _ state: inout State,
        _ counter: CacheCounters.Counter
    ) throws {
        let objects = state.objects
        var lengths: [ChunkID: Int] = [:]
        var emptied: [CachedObject] = []
        try database.environment.write { transaction in
            var leaving: [UInt64: Int] = [:]
            for id in victims {
                lengths[id] = try transaction.withValue(for: id, in: database.chunks) { $0.byteCount }
                if try transaction.delete(id, from: database.chunks) { leaving[id.object, default: 0] += 1 }
            }
            emptied = leaving.compactMap { number, count in
                objects[number].flatMap { $0.storedChunks <= count ? $0 : nil }
            }
            for object in emptied {
                try transaction.delete(ObjectNumber(value: object.number), from: database.objects)
            }
        }
        for id in victims { table.remove(id) }
        for (id, length) in lengths {
            guard let object = state.objects[id.object] else { continue }
            count(-1, of: object, length: length)
            // What was to leave anyway did not leave for this.
            (state.unfinished[id.object] ?? counter).add(1)
        }
        // The objects stay known: chunks of them may be on their way.
        for object in emptied {
            state.objects[object.number] = nil
            countRecord(of: object, isStored: false)
        }
        for object in emptied { forget(directory.noteWithoutChunks(object), counters.evictedForSpace) }
    }

    /// Deletes a chunk that is not what was stored.
    func drop(_ id: ChunkID, corruptBy fault: ChunkRecordFault) {
        // In the thread's queue before whoever fetches the chunk anew: what is stored over is not counted as corrupt.
        table.doubt(id) {
            thread.submit { state in
                // Of a pool that has ended this is not on its thread, but here, under the lock.
                if state == .active { self.dropNow(id, fault) }
            }
        }
    }

    private func dropNow(_ id: ChunkID, _ fault: ChunkRecordFault) {
        guard let database else { return }
        do {
            // Another reader may have found it out before, and it is another chunk since.
            guard try isCorrupt(id, database) else { return }
            let record = state.withLock { $0.objects[id.object]?.record }
            let path = String(decoding: record?.path ?? [], as: UTF8.self)
            logger.warning(
                "chunk dropped from the cache: it is not what was stored",
                metadata: [
                    "source": "\(record?.source ?? "")", "path": "\(path)", "object": "\(id.object)",
                    "chunk": "\(id.index)", "fault": "\(fault.rawValue)",
                ]
            )
            try state.withLock { state in
                // Of one that could not be deleted the policy still knows.
                try awaitingReads(database, &state) { try delete([id], database, &$0, counters.corrupt) }
                state.eviction.remove(id)
                countHeld(&state)
            }
        } catch {
            noteFailure(error, of: database.environment)
        }
    }

    private func isCorrupt(_ id: ChunkID, _ database: Database) throws -> Bool {
        try database.environment.read { transaction in
            try transaction.withValue(for: id, in: database.chunks) { ChunkRecord.fault(of: $0, id: id) != nil }
                ?? false
        }
    }

    func count(_ change: Int, of object: CachedObject, length: Int) {
        let bytes = Int64(change) * Self.pageBytes(length)
        object.countStored(change, bytes: bytes)
        counters.count(bytes: bytes, chunks: change, of: object.record.source)
    }

    /// Counts what the record of an object takes of the file.
    func countRecord(of object: CachedObject, isStored: Bool) {
        let bytes = isStored ? Int(Self.recordBytes(of: object)) : 0
        counters.count(bytes: Int64(bytes - object.countRecord(bytes)), of: object.record.source)
    }
}
