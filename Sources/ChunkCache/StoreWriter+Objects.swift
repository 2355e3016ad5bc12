import Logging
import NIOCore
import NIOPosix
import Synchronization

/// Objects that are forgotten as a whole.
extension StoreWriter {
    /// Deletes what there is of objects that no request finds any more, and counts their chunks. The records go first, all
    /// at once: after ``flush()`` a process that is killed leaves nothing that the next one would find. Chunks go batch by
    /// batch, so that what is to be written in between does not wait for all of them.
    func forget(_ objects: [CachedObject], _ counter: CacheCounters.Counter) {
        guard !objects.isEmpty else { return }
        let numbers = objects.map(\.number)
        thread.submit { _ in self.forget(numbers, counter) }
    }

    /// The same with everything there is: if nobody is sending anything, with the whole file.
    func forgetAll(_ objects: [CachedObject]) {
        let numbers = objects.map(\.number)
        thread.submit { _ in
            if !self.beginAnew() { self.forget(numbers, self.counters.purged) }
        }
    }

    private func forget(_ numbers: [UInt64], _ counter: CacheCounters.Counter) {
        guard let database else { return }
        do {
            try state.withLock { state in
                try makingRoom(database, &state) { _ in
                    try database.environment.write { transaction in
                        for number in numbers {
                            try transaction.delete(ObjectNumber(value: number), from: database.objects)
                        }
                    }
                }
            }
        } catch {
            // Each time: what is forgotten may have had to go.
            logger.warning(
                "what is forgotten could not be deleted: it comes back if the gateway is killed before that is done",
                metadata: ["objects": "\(numbers.count)", "reason": "\(error)"]
            )
            noteFailure(error, of: database.environment)
        }
        eraseLater(numbers, counter)
    }

    /// Deletes what there is of objects with these numbers batch by batch, behind what waits to be written.
    func eraseLater(_ numbers: some Sequence<UInt64>, _ counter: CacheCounters.Counter) {
        state.withLock { state in
            for number in numbers { state.unfinished[number] = counter }
        }
        goOnErasing()
    }

    private func goOnErasing() {
        guard finishErasing(limit: Self.evictionBatch) else { return }
        thread.submit { if $0 == .active { self.goOnErasing() } }
    }

    /// Begins a new database in the place of one of which nothing is used any more.
    ///
    /// - Returns: `false` if something is.
    private func beginAnew() -> Bool {
        guard let place, let database else { return false }
        let isUnused = state.withLock { state in
            let objects = state.objects.values
            // Whoever comes to one from now on is told.
            return objects.allSatisfy(\.isRetired) && objects.allSatisfy { $0.beginErasing() }
        }
        guard isUnused else { return false }
        counters.purged.add(counters.chunks.value)
        withdraw(database)
        reset()
        place.setAside(keep: false)
        openAnew(place)
        return true
    }

    /// Writes the record of an object again, if it has one; now or, if that fails, later.
    func update(_ object: CachedObject) {
        thread.submit { _ in
            let isWritten = self.rewriteRecord(of: object)
            self.state.withLock { $0.unwritten[object.number] = isWritten ? nil : object }
        }
    }

    /// Goes on with what ``update(_:)`` could not write. An object of which that fails again is deleted: what the
    /// database says of it is true no more.
    func finishUpdating() {
        for (number, object) in state.withLock({ $0.unwritten }) {
            let isWritten = rewriteRecord(of: object)
            state.withLock { $0.unwritten[number] = nil }
            guard !isWritten else { continue }
            forget(directory.remove([object]), counters.evictedForSpace)
        }
    }

    /// - Returns: whether the record is what it should be, or there is none to be.
    private func rewriteRecord(of object: CachedObject) -> Bool {
        guard let database else { return true }
        do {
            try state.withLock { state in
                try makingRoom(database, &state) { state in
                    // Its last chunk may just have left to make room.
                    guard state.objects[object.number] === object, !object.isRetired,
                        let record = object.currentRecord.encoded()
                    else { return }
                    try database.environment.write { transaction in
                        try record.withUnsafeReadableBytes { bytes in
                            let key = ObjectNumber(value: object.number)
                            try transaction.put(bytes.bytes, for: key, in: database.objects)
                        }
                    }
                    countRecord(of: object, isStored: true)
                }
            }
            return true
        } catch {
            noteFailure(error, of: database.environment)
            return false
        }
    }

    /// Deletes what there is of the object with this number, now or, if that fails, later.
    ///
    /// - Parameter limit: after how many chunks it leaves the rest for another time.
    /// - Returns: how many chunks were deleted, and 1 if there were none.
    private func erase(_ number: UInt64, _ counter: CacheCounters.Counter, limit: Int) -> Int {
        guard let database else { return 0 }
        do {
            // With the record everything of the object is gone, whatever happens to the process afterwards.
            try deleteRecord(of: number, database)
            let object = state.withLock { $0.objects[number] }
            if let object { countRecord(of: object, isStored: false) }
            // Whoever is sending the object may go on with what there is of it.
            guard object?.beginErasing() ?? true else {
                state.withLock { $0.unfinished[number] = counter }
                return 0
            }
            let (chunks, areAll) = try deleteChunks(of: number, database, counter, limit: limit)
            state.withLock { state in
                guard areAll else {
                    state.unfinished[number] = counter
                    return
                }
                state.objects[number] = nil
                state.unfinished[number] = nil
            }
            return max(chunks, 1)
        } catch {
            state.withLock { $0.unfinished[number] = counter }
            noteFailure(error, of: database.environment)
            return 0
        }
    }

    /// Goes on with what ``erase(_:_:limit:)`` could not do, or not yet.
    ///
    /// - Parameter limit: after how many chunks it leaves the rest for another time.
    /// - Returns: whether it did.
    @discardableResult
    func finishErasing(limit: Int) -> Bool {
        var chunks = 0
        for (number, counter) in state.withLock({ $0.unfinished }) {
            chunks += erase(number, counter, limit: limit - chunks)
            if chunks >= limit { return true }
        }
        return false
    }

    /// Deletes the record of an object that has no chunk, and keeps it in mind.
    func forgetRecord(of object: CachedObject) {
        guard let database else { return }
        do {
            try deleteRecord(of: object.number, database)
            state.withLock { $0.objects[object.number] = nil }
            countRecord(of: object, isStored: false)
            forget(directory.noteWithoutChunks(object), counters.evictedForSpace)
        } catch {
            noteFailure(error, of: database.environment)
        }
    }

    /// Deletes chunks that are in the database and in nothing else.
    func deleteUncounted(_ chunks: [ChunkID]) {
        guard let database else { return }
        var rest = chunks[...]
        while !rest.isEmpty {
            let batch = rest.prefix(Self.evictionBatch)
            rest = rest.dropFirst(Self.evictionBatch)
            do {
                try database.environment.write { transaction in
                    for id in batch { try transaction.delete(id, from: database.chunks) }
                }
            } catch {
                noteFailure(error, of: database.environment)
                return
            }
        }
    }

    private func deleteRecord(of number: UInt64, _ database: Database) throws {
        _ = try database.environment.write { transaction in
            try transaction.delete(ObjectNumber(value: number), from: database.objects)
        }
    }

    /// - Returns: how many were deleted, in whole batches until there are `limit`; and whether that is known to be all.
    private func deleteChunks(
        of number: UInt64,
        _ database: Database,
        _ counter: CacheCounters.Counter,
        limit: Int
    ) throws -> (chunks: Int, areAll: Bool) {
        var total = 0
        while total < limit {
            var batch: [(id: ChunkID, length: Int)] = []
            try database.environment.read { transaction in
                try transaction.walk(database.chunks, from: ChunkID(object: number, index: 0)) { key, value in
                    guard let id = ChunkID(key: key), id.object == number else { return .stop }
                    batch.append((id, value.byteCount))
                    return batch.count < Self.evictionBatch ? .next : .stop
                }
            }
            guard !batch.isEmpty else { return (total, true) }
            try database.environment.write { transaction in
                for (id, _) in batch { try transaction.delete(id, from: database.chunks) }
            }
            state.withLock { state in
                for (id, length) in batch {
                    table.remove(id)
                    state.eviction.remove(id)
                    if let object = state.objects[number] { count(-1, of: object, length: length) }
                }
                countHeld(&state)
            }
            counter.add(batch.count)
            total += batch.count
        }
        return (total, false)
    }
}
