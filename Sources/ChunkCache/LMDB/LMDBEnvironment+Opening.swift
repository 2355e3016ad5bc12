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
        // Without MDB_NOTLS a read transaction would belong to its thread. The kernel's read-ahead is off as it reads
        // far too much for random chunks; whoever wants a chunk asks for its pages (Residency). Never MDB_WRITEMAP:
        // a full disk would be a bus error, and a stray write would reach the file.
        var flags = UInt32(MDB_NOTLS) | UInt32(MDB_NORDAHEAD)
        if settings.durability == .relaxed { flags |= UInt32(MDB_NOSYNC) }
        try LMDBError.check(mdb_env_open(environment, settings.directory, flags, 0o600), "mdb_env_open")
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
