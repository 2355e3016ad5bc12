import Glibc
import Synchronization

extension RecordStore {
    /// Runs `body` on the database. If it meets damage, the database is opened anew, or another one begun, and `body`
    /// is run once more on that.
    ///
    /// - Throws: ``RecordStoreError``.
    func perform<Result>(_ body: (Database) throws -> Result) throws -> Result {
        var attempts = 0
        while true {
            let database = try current()
            do {
                return try body(database)
            } catch let error as LMDBError where error.isDamage && attempts < 2 {
                // What cannot be opened is set aside at once, what fails again after it was, then.
                replace(database, setsAside: attempts > 0, because: error)
                attempts += 1
            } catch let error as LMDBError where error.kind == .closed && attempts < 2 {
                // Another call has replaced it.
                attempts += 1
            } catch let error as LMDBError {
                throw translated(error)
            }
        }
    }

    private func current() throws -> Database {
        try state.withLock { state in
            guard !state.isClosed else { throw RecordStoreError(.closed, "the records in \(place.path) are closed") }
            do {
                return try state.database ?? openDatabase(&state)
            } catch {
                throw RecordStoreError(.unusable, "the records in \(place.path) cannot be opened", cause: error)
            }
        }
    }

    private func translated(_ error: LMDBError) -> RecordStoreError {
        switch error.kind {
        case .mapFull, .system(ENOSPC):
            RecordStoreError(.full, "there is no room for the record in \(place.path)", cause: error)
        case .closed: RecordStoreError(.closed, "the records in \(place.path) are closed", cause: error)
        case .notFound, .readersFull, .damaged, .system, .refused:
            RecordStoreError(.unusable, "the records in \(place.path) cannot be used", cause: error)
        }
    }

    /// Others may have found the damage as well, so that it may be another database already.
    private func replace(_ database: Database, setsAside: Bool, because error: LMDBError) {
        state.withLock { state in
            guard state.database?.environment === database.environment else { return }
            state.database = nil
            // Waits for those who use it, none of whom waits for this lock meanwhile.
            database.environment.close()
            if setsAside { setAside(&state, because: error) }
        }
    }

    private func setAside(_ state: inout sending State, because error: any Error) {
        state.setAside = "\(error)"
        place.setAside(keep: true)
    }

    /// - Throws: ``LMDBError``, or ``CacheDirectoryError``.
    @discardableResult
    func openDatabase(_ state: inout sending State) throws -> Database {
        let environment: LMDBEnvironment
        do {
            environment = try openEnvironment()
        } catch  where error.isDamage {
            setAside(&state, because: error)
            environment = try openEnvironment()
        }
        guard let records = environment.table("records") else {
            throw CacheDirectoryError(reason: "the database has no table of records")
        }
        let database = Database(environment: environment, records: records)
        state.database = database
        return database
    }

    private func openEnvironment() throws(LMDBError) -> LMDBEnvironment {
        try LMDBEnvironment(
            LMDBSettings(directory: place.path, mapSize: mapSize, tables: ["records"], durability: .strict)
        )
    }
}
