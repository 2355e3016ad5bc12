import Logging
import NIOPosix
import Synchronization

/// Objects that are forgotten as a whole.
extension StoreWriter {
    /// Deletes what there is of objects that no request finds any more, and counts their chunks.
    func forget(_ objects: [CachedObject], _ counter: CacheCounters.Counter) {
        guard !objects.isEmpty else { return }
        thread.submit { _ in
            for object in objects { self.erase(object.number, counter) }
        }
    }

    /// Deletes what there is of the object with this number, now or, if that fails, later.
    func erase(_ number: UInt64, _ counter: CacheCounters.Counter) {
        guard let database else { return }
        do {
            // With the record everything of the object is gone, whatever happens to the process afterwards.
            try deleteRecord(of: number, database)
            try deleteChunks(of: number, database, counter)
            state.withLock { state in
                state.objects[number] = nil
                state.unfinished[number] = nil
            }
        } catch {
            state.withLock { $0.unfinished[number] = counter }
            noteFailure(error, of: database.environment)
        }
    }

    /// Goes on with what ``erase(_:_:)`` could not do.
    func finishErasing() {
        for (number, counter) in state.withLock({ $0.unfinished }) { erase(number, counter) }
    }

    /// Deletes the record of an object that has no chunk, and keeps it in mind.
    func forgetRecord(of object: CachedObject) {
        guard let database else { return }
        do {
            try deleteRecord(of: object.number, database)
            state.withLock { $0.objects[object.number] = nil }
            forget(directory.noteWithoutChunks(object), counters.purged)
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

    private func deleteChunks(of number: UInt64, _ database: Database, _ counter: CacheCounters.Counter) throws {
        while true {
            var batch: [(id: ChunkID, length: Int)] = []
            try database.environment.read { transaction in
                try transaction.walk(database.chunks, from: ChunkID(object: number, index: 0)) { key, value in
                    guard let id = ChunkID(key: key), id.object == number else { return .stop }
                    batch.append((id, value.byteCount))
                    return batch.count < Self.evictionBatch ? .next : .stop
                }
            }
            guard !batch.isEmpty else { return }
            try database.environment.write { transaction in
                for (id, _) in batch { try transaction.delete(id, from: database.chunks) }
            }
            state.withLock { state in
                for (id, length) in batch {
                    table.remove(id)
                    state.policy.remove(id)
                    if let object = state.objects[number] { count(-1, of: object, length: length) }
                }
            }
            counter.add(batch.count)
        }
    }
}
