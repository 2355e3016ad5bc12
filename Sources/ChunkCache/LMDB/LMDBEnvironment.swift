import CLMDB
import Glibc
import Synchronization

/// An LMDB database: a directory with `data.mdb` and its lock file.
///
/// Reads may run on any number of threads at once and see the last commit before they began. Writes belong on one
/// thread, the cache's writer: LMDB would let others wait for it. Nothing here suspends, and nothing read outlives the
/// closure it is lent to. A directory is opened once at a time, by one process.
package final class LMDBEnvironment: Sendable {
    package let settings: LMDBSettings
    /// Of the map as it is: ``LMDBSettings/mapSize``, rounded up to whole pages.
    package let mapSize: Int
    let environment: LMDBPointer
    let map: LMDBMap
    let pool = LMDBReaderPool()
    private let tables: [String: LMDBTable]

    /// Opens the database in a directory that exists, and makes one if there is none.
    ///
    /// - Throws: ``LMDBError``; ``LMDBError/isDamage`` says that the file has to be set aside first. It is found out
    ///   before the file is mapped if it is too short to be read without a bus error.
    package init(_ settings: LMDBSettings) throws(LMDBError) {
        let pageSize = DataFileCheck.pageSize
        let (padded, overflow) = settings.mapSize.addingReportingOverflow(pageSize - 1)
        guard settings.mapSize > 0, !overflow else { throw LMDBError(EINVAL, call: "mdb_env_set_mapsize") }
        self.settings = settings
        self.mapSize = padded / pageSize * pageSize
        if case .damaged(let reason) = try DataFileCheck.run(directory: settings.directory) {
            throw LMDBError(.damaged, code: MDB_INVALID, call: "check of data.mdb", text: reason)
        }

        var created: OpaquePointer?
        try LMDBError.check(mdb_env_create(&created), "mdb_env_create")
        guard let raw = created else { throw LMDBError(ENOMEM, call: "mdb_env_create") }
        do throws(LMDBError) {
            try Self.open(raw, settings, mapSize: mapSize)
            self.tables = try Self.openTables(raw, settings.tables)
            self.map = try LMDBMap(of: raw, size: mapSize, table: settings.tables.first ?? "")
        } catch {
            mdb_env_close(raw)
            throw error
        }
        self.environment = LMDBPointer(raw: raw)
        keepEntrance()
    }

    deinit { close() }

    /// The table of that name, which ``LMDBSettings/tables`` has.
    package func table(_ name: String) -> LMDBTable? { tables[name] }

    /// Runs `body` on the last committed state. Costs well under a microsecond beside `body` itself.
    ///
    /// As long as `body` runs, no page that was in use when it began can be used again: it takes what it needs and
    /// ends. What may have to wait for the disk is brought into memory before, with ``withPlace(_:_:)``.
    ///
    /// - Throws: ``LMDBError``, and what `body` throws.
    package func read<Result>(_ body: (borrowing LMDBReadTransaction) throws -> Result) throws -> Result {
        let reader: LMDBReaderPool.Reader
        if let idle = try pool.enter("read") {
            reader = idle
            let code = mdb_txn_renew(idle.transaction.raw)
            guard code == MDB_SUCCESS else {
                pool.leave(idle)
                throw LMDBError(code, call: "mdb_txn_renew")
            }
        } else {
            do throws(LMDBError) {
                reader = LMDBReaderPool.Reader(try begin(UInt32(MDB_RDONLY)))
            } catch {
                pool.leave(nil)
                throw error
            }
            pool.add(reader)
        }
        pool.readBegins(reader)
        defer {
            mdb_txn_reset(reader.transaction.raw)
            pool.readEnded(reader)
            pool.leave(reader)
        }
        return try body(LMDBReadTransaction(reader.transaction))
    }

    /// Lends `body` the place of a value that `find` looks for, to have it read into memory, or dropped from it, for as
    /// long as the disk takes: no read runs meanwhile. What lies there may become another value at any time, so that the
    /// bytes mean nothing to `body`, unless they say themselves whose they are.
    ///
    /// - Returns: `nil` if `find` finds none.
    /// - Throws: ``LMDBError``, and what `find` and `body` throw.
    package func withPlace<Result>(
        _ find: (borrowing LMDBReadTransaction) throws -> UnsafeRawBufferPointer?,
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result? {
        // The map stays until the last user has left.
        try pool.enterWithoutReader("read")
        defer { pool.leave(nil) }
        let found = try read { transaction -> (place: UnsafeRawBufferPointer, snapshot: UInt64)? in
            guard let place = try find(transaction) else { return nil }
            let snapshot = UInt64(clamping: mdb_txn_id(transaction.pointer.raw))
            pool.placeBegins(snapshot)
            return (place, snapshot)
        }
        guard let found else { return nil }
        defer { pool.placeEnded(found.snapshot) }
        return try body(found.place)
    }

    /// Runs `body`, and makes its changes visible when it returns. If it throws, or the commit fails, nothing changed.
    ///
    /// - Throws: ``LMDBError``, and what `body` throws. After an error of the transaction's own calls nothing of it can
    ///   be committed, even if `body` goes on.
    package func write<Result>(_ body: (inout LMDBWriteTransaction) throws -> Result) throws -> Result {
        try pool.enterWithoutReader("write")
        defer { pool.leave(nil) }
        let pointer = try begin(0)
        var transaction = LMDBWriteTransaction(pointer, map)
        let result: Result
        do {
            result = try body(&transaction)
            guard !transaction.isSpoiled else { throw LMDBError(MDB_BAD_TXN, call: "mdb_txn_commit") }
        } catch {
            mdb_txn_abort(pointer.raw)
            throw error
        }
        try LMDBError.check(mdb_txn_commit(pointer.raw), "mdb_txn_commit")
        return result
    }

    /// Waits until all that was committed is on the disk.
    package func sync() throws(LMDBError) {
        try pool.enterWithoutReader("sync")
        defer { pool.leave(nil) }
        try LMDBError.check(mdb_env_sync(environment.raw, 1), "mdb_env_sync")
    }

    /// Frees the slots of readers whose process died.
    ///
    /// - Returns: how many there were.
    @discardableResult
    package func readerCheck() throws(LMDBError) -> Int {
        try pool.enterWithoutReader("reader check")
        defer { pool.leave(nil) }
        var dead: Int32 = 0
        try LMDBError.check(mdb_reader_check(environment.raw, &dead), "mdb_reader_check")
        return Int(dead)
    }

    /// Age of the oldest read that runs now, good to some milliseconds; `nil` if none does.
    package var oldestReaderAge: Duration? { pool.readers().oldestAge }

    /// How many reads ever ran at once.
    package var readerCount: Int { pool.readers().count }

    /// How long the longest read took that ended since this was last called, good to some milliseconds.
    package func takeLongestRead() -> Duration { pool.takeLongestRead() }

    /// How the map is used. Costs some microseconds.
    package func usage() throws -> LMDBUsage {
        try read { transaction in
            var info = MDB_envinfo()
            try LMDBError.check(mdb_env_info(environment.raw, &info), "mdb_env_info")
            // 0 is the list of free pages, 1 the table of tables.
            var pages = DataFileCheck.metaPages
            for handle in [0, 1] + tables.values.map(\.handle) {
                var statistics = MDB_stat()
                try LMDBError.check(mdb_stat(transaction.pointer.raw, handle, &statistics), "mdb_stat")
                // Numbers out of the file: without traps.
                pages &+= statistics.ms_branch_pages &+ statistics.ms_leaf_pages &+ statistics.ms_overflow_pages
            }
            var status = stat()
            guard try fstat(descriptor(), &status) == 0 else { throw LMDBError(errno, call: "fstat") }
            return LMDBUsage(
                pageSize: DataFileCheck.pageSize,
                mapPages: mapSize / DataFileCheck.pageSize,
                usedPages: pages,
                filePages: info.me_last_pgno &+ 1,
                // What is kept ready behind the end does not count.
                diskBytes: min(Int64(clamping: status.st_blocks) &* 512, Int64(status.st_size))
            )
        }
    }

    /// Lets no call in any more, waits for those that run, and closes the file. Further calls do nothing.
    ///
    /// Never called from within ``read(_:)`` or ``write(_:)``, for whose end it waits. The database is closed as well
    /// when the last reference to it goes.
    package func close() {
        guard pool.close() else { return }
        mdb_env_close(environment.raw)
    }

    /// Of the data file, which stays LMDB's.
    func descriptor() throws(LMDBError) -> Int32 { try Self.descriptor(of: environment.raw) }

    static func descriptor(of environment: OpaquePointer) throws(LMDBError) -> Int32 {
        var file: Int32 = -1
        try LMDBError.check(mdb_env_get_fd(environment, &file), "mdb_env_get_fd")
        return file
    }

    private func begin(_ flags: UInt32) throws(LMDBError) -> LMDBPointer {
        var begun: OpaquePointer?
        try LMDBError.check(mdb_txn_begin(environment.raw, nil, flags, &begun), "mdb_txn_begin")
        guard let raw = begun else { throw LMDBError(ENOMEM, call: "mdb_txn_begin") }
        return LMDBPointer(raw: raw)
    }
}
