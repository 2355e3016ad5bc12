import CLMDB

/// Changes that become visible all at once, when the transaction ends, or not at all.
package struct LMDBWriteTransaction: LMDBTransaction, ~Copyable {
    package let pointer: LMDBPointer
    private let map: LMDBMap
    /// A record whose bytes were promised is not whole, so that nothing of this transaction may be kept.
    private(set) var isSpoiled = false

    init(_ pointer: LMDBPointer, _ map: LMDBMap) {
        self.pointer = pointer
        self.map = map
    }

    /// Before LMDB frees the pages of the value under `key`, if there is one.
    ///
    /// - Throws: ``LMDBError`` of kind `damaged` if it would free pages of others.
    private func checkPages(of key: some LMDBKey, in table: LMDBTable) throws(LMDBError) {
        var value = MDB_val()
        let (code, keySize) = key.withKeyBytes { bytes in
            var key = MDB_val(bytes)
            return (mdb_get(pointer.raw, table.handle, &key, &value), bytes.count)
        }
        guard code != MDB_NOTFOUND else { return }
        try LMDBError.check(code, "mdb_get")
        try map.check(value.bytes, keySize: keySize)
    }

    /// Stores `value` under `key`, in the place of what was there.
    package mutating func put(_ value: RawSpan, for key: some LMDBKey, in table: LMDBTable) throws(LMDBError) {
        try checkPages(of: key, in: table)
        let code = key.withKeyBytes { key in
            value.withUnsafeBytes { value in
                var key = MDB_val(key)
                var value = MDB_val(value)
                return mdb_put(pointer.raw, table.handle, &key, &value, 0)
            }
        }
        try LMDBError.check(code, "mdb_put")
    }

    /// Makes room for `size` bytes under `key` and lets `fill` write them where they stay, in the place of what was
    /// there. What the room holds before is undefined; `fill` writes all of it.
    ///
    /// - Throws: ``LMDBError``, and what `fill` throws; then nothing of the transaction can be kept.
    package mutating func put(
        size: Int,
        for key: some LMDBKey,
        in table: LMDBTable,
        fill: (inout MutableRawSpan) throws -> Void
    ) throws {
        guard size >= 0 else { throw LMDBError(MDB_BAD_VALSIZE, call: "mdb_put") }
        try checkPages(of: key, in: table)
        var value = MDB_val(mv_size: size, mv_data: nil)
        let code = key.withKeyBytes { bytes in
            var key = MDB_val(bytes)
            return mdb_put(pointer.raw, table.handle, &key, &value, UInt32(MDB_RESERVE))
        }
        try LMDBError.check(code, "mdb_put")
        let room = UnsafeMutableRawBufferPointer(start: value.mv_data, count: value.mv_data == nil ? 0 : size)
        var span = room.mutableBytes
        do {
            try fill(&span)
        } catch {
            isSpoiled = true
            throw error
        }
    }

    /// - Returns: `false` if there is no such key.
    @discardableResult
    package mutating func delete(_ key: some LMDBKey, from table: LMDBTable) throws(LMDBError) -> Bool {
        try checkPages(of: key, in: table)
        let code = key.withKeyBytes { bytes in
            var key = MDB_val(bytes)
            return mdb_del(pointer.raw, table.handle, &key, nil)
        }
        guard code != MDB_NOTFOUND else { return false }
        try LMDBError.check(code, "mdb_del")
        return true
    }

    /// Deletes up to `limit` records in the order of their keys, from the first that is not below `start`, as long as
    /// `condition` holds for the key.
    ///
    /// - Returns: how many were deleted; fewer than `limit` if the condition failed or the table ended.
    @discardableResult
    package mutating func delete(
        from table: LMDBTable,
        from start: some LMDBKey,
        limit: Int,
        while condition: (_ key: RawSpan) throws -> Bool
    ) throws -> Int {
        guard limit > 0 else { return 0 }
        var deleted = 0
        let map = map
        try withCursor(table, from: start) { cursor, key, value in
            guard try condition(key) else { return false }
            try value.withUnsafeBytes { try map.check($0, keySize: key.byteCount) }
            try LMDBError.check(mdb_cursor_del(cursor, 0), "mdb_cursor_del")
            deleted += 1
            return deleted < limit
        }
        return deleted
    }
}
