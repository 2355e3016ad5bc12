import Glibc
import Synchronization

/// What is done when there is no room in the map, or on the disk, for what should have it.
extension StoreWriter {
    private static let waitsForReads = 25
    /// In microseconds.
    private static let waitForReads: UInt32 = 2000
    /// By how much the age of a read may be wrong.
    private static let ageError = Duration.milliseconds(8)
    private static let chunksPerRefusal: Int64 = 32

    /// Runs `body`, and once more after some chunks have left if there was no room for what it writes.
    func makingRoom(_ database: Database, _ state: inout State, _ body: (inout State) throws -> Void) throws {
        do {
            try awaitingReads(database, &state, body)
        } catch let error as LMDBError where isShortOfSpace(error) {
            try clear(database, &state)
            do {
                try awaitingReads(database, &state, body)
            } catch let error as LMDBError where isShortOfSpace(error) {
                // Not waited for again before something could be written: each chunk would wait in vain.
                state.waitsInVain = true
                throw error
            }
        }
        state.waitsInVain = false
    }

    /// Runs `body`, and again and again for a moment while there is no room for what it writes and a read runs that ran
    /// when it began: pages that were freed can be used when such reads have ended, and one may wait for a processor.
    ///
    /// It sleeps on the writer's own thread, where nothing but writes wait, and for 50 ms each time at most: LMDB tells
    /// nobody when a read ends.
    func awaitingReads(
        _ database: Database,
        _ state: inout State,
        _ body: (inout State) throws -> Void
    ) throws {
        let began = ContinuousClock.now
        var waits = state.waitsInVain ? 0 : Self.waitsForReads
        while true {
            do {
                return try body(&state)
            } catch let error as LMDBError where waits > 0 && isShortOfSpace(error) {
                let age = database.environment.oldestReaderAge
                guard let age, age + Self.ageError >= began.duration(to: .now) else { throw error }
                // No write transaction is open, and the state is nobody else's: only what is to be written waits, 50 ms at most.
                usleep(Self.waitForReads)
                waits -= 1
            }
        }
    }

    /// There was no room although there should have been: stores less from now on. See ``watchDisk(_:now:)`` and
    /// ``raiseLimit(_:)``.
    private func clear(_ database: Database, _ state: inout State) throws {
        let used = Int64(counters.bytes.value)
        let new = max(used - Self.storedBytes(settings.chunkSize), 0)
        limit.store(min(limit.load(ordering: .relaxed), new), ordering: .relaxed)
        try evict(min(max(state.eviction.count / 16, 2), Self.evictionBatch), of: nil, database, &state)
        try turn(database)
    }

    /// Stores a little more after each chunk for which there was room, so that a file that cannot grow is used as far as
    /// one chunk in ``chunksPerRefusal`` finds no run of free pages that is long enough, however fast chunks come.
    func raiseLimit(_ state: State) {
        let old = limit.load(ordering: .relaxed)
        guard old < state.limitAtMost else { return }
        let step = Self.storedBytes(settings.chunkSize) / Self.chunksPerRefusal
        limit.store(min(old.addingClamped(step), state.limitAtMost), ordering: .relaxed)
    }

    /// Whether there is no room in the map or on the disk.
    private func isShortOfSpace(_ error: LMDBError) -> Bool {
        switch error.kind {
        case .mapFull, .system(ENOSPC), .system(EDQUOT): true
        // A write that was cut short by the end of the disk is this to LMDB.
        case .system(EIO): place?.freeBytes.map { $0 < 2 * Self.storedBytes(settings.chunkSize) } ?? false
        default: false
        }
    }
}
