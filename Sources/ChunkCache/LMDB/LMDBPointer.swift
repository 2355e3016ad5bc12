/// A pointer to one of LMDB's own structures.
///
/// Sendable because the address alone does nothing, and each call of LMDB that takes it is made where LMDB allows it:
/// an environment serves all threads (lmdb.h, "mdb_env_create"); a read transaction under `MDB_NOTLS` serves one thread
/// at a time, which ``LMDBReaderPool`` sees to; a write transaction never leaves the call that began it.
package struct LMDBPointer: @unchecked Sendable {
    let raw: OpaquePointer
}
