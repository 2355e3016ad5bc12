import CLMDB
import Glibc

extension LMDBEnvironment {
    static func open(_ environment: OpaquePointer, _ settings: LMDBSettings, mapSize: Int) throws(LMDBError) {
        guard let tables = UInt32(exactly: settings.tables.count) else {
            throw LMDBError(EINVAL, call: "mdb_env_set_maxdbs")
        }
        try LMDBError.check(mdb_env_set_mapsize(environment, mapSize), "mdb_env_set_mapsize")
        try LMDBError.check(mdb_env_set_maxdbs(environment, tables), "mdb_env_set_maxdbs")
        try LMDBError.check(mdb_env_set_maxreaders(environment, LMDBSettings.maxReaders), "mdb_env_set_maxreaders")
        // Without MDB_NOTLS a read transaction would belong to its thread. Not MDB_NORDAHEAD: it would keep a page fault
        // from reading what lies around the page, but Linux (6.3 and later) then does not count a use of a page, so that
        // those of keys leave memory as fast as any. Whoever wants a chunk asks for its pages before (Residency). Never
        // MDB_WRITEMAP: a full disk would be a bus error, and a stray write would reach the file.
        var flags = UInt32(MDB_NOTLS)
        if settings.durability == .relaxed { flags |= UInt32(MDB_NOSYNC) }
        try allocateLockFile(in: settings.directory)
        try LMDBError.check(mdb_env_open(environment, settings.directory, flags, 0o600), "mdb_env_open")
        // Nor is more read ahead than is asked for, where the map is not the way.
        _ = posix_fadvise(try descriptor(of: environment), 0, 0, POSIX_FADV_RANDOM)
    }

    /// LMDB maps `lock.mdb` after it has only set its length: on a full disk the first write to it would be a bus error.
    private static func allocateLockFile(in directory: String) throws(LMDBError) {
        // As mdb.c of LMDB 0.9 makes it: 192 bytes and one slot, and one of 64 bytes for each further reader.
        let size = 192 + 64 * (Int(LMDBSettings.maxReaders) - 1)
        let file = Glibc.open(directory + "/lock.mdb", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw LMDBError(errno, call: "open of lock.mdb") }
        defer { Glibc.close(file) }
        let code = posix_fallocate(file, 0, off_t(size))
        // What cannot be allocated there may be written.
        guard [0, EOPNOTSUPP, EINVAL].contains(code) else { throw LMDBError(code, call: "allocation of lock.mdb") }
    }

    /// Opens the tables once, in a transaction of their own, as LMDB wants it; the handles then serve all others.
    static func openTables(
        _ environment: OpaquePointer,
        _ names: [String]
    ) throws(LMDBError) -> [String: LMDBTable] {
        var begun: OpaquePointer?
        try LMDBError.check(mdb_txn_begin(environment, nil, 0, &begun), "mdb_txn_begin")
        guard let transaction = begun else { throw LMDBError(ENOMEM, call: "mdb_txn_begin") }
        var tables: [String: LMDBTable] = [:]
        for name in names {
            var handle: MDB_dbi = 0
            let code = mdb_dbi_open(transaction, name, UInt32(MDB_CREATE), &handle)
            guard code == MDB_SUCCESS else {
                mdb_txn_abort(transaction)
                throw LMDBError(code, call: "mdb_dbi_open")
            }
            tables[name] = LMDBTable(name: name, handle: handle)
        }
        try LMDBError.check(mdb_txn_commit(transaction), "mdb_txn_commit")
        return tables
    }
}
