import CLMDB

/// What both kinds of transaction can do. Values are lent to a closure and end with it: they lie in the map, where the
/// pages are used for something else once the transaction is over.
package protocol LMDBTransaction: ~Copyable {
    var pointer: LMDBPointer { get }
}

/// What a walk does after a record.
package enum LMDBWalkStep: Sendable {
    case next
    case stop
}

extension LMDBTransaction where Self: ~Copyable {
    /// Lends the value under `key` to `body`.
    ///
    /// - Returns: what `body` returns; `nil` if there is no such key.
    /// - Throws: ``LMDBError``, and what `body` throws.
    package func withValue<Result>(
        for key: some LMDBKey,
        in table: LMDBTable,
        _ body: (RawSpan) throws -> Result
    ) throws -> Result? {
        var value = MDB_val()
        let code = key.withKeyBytes { bytes in
            var key = MDB_val(bytes)
            return mdb_get(pointer.raw, table.handle, &key, &value)
        }
        guard code != MDB_NOTFOUND else { return nil }
        try LMDBError.check(code, "mdb_get")
        return try body(value.bytes.bytes)
    }

    /// Where the value under `key` lies; `nil` if there is no such key. It means nothing once the transaction is over,
    /// but for ``LMDBEnvironment/withPlace(_:_:)``.
    package func place(of key: some LMDBKey, in table: LMDBTable) throws -> UnsafeRawBufferPointer? {
        try withValue(for: key, in: table) { value in value.withUnsafeBytes { $0 } }
    }

    /// Lends the records of `table` to `body` in the order of their keys, from the first that is not below `start`.
    ///
    /// - Parameter body: gets key and value, and may not change the table.
    /// - Throws: ``LMDBError``, and what `body` throws.
    package func walk(
        _ table: LMDBTable,
        from start: (some LMDBKey)?,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> LMDBWalkStep
    ) throws {
        try withCursor(table, from: start) { _, key, value in
            try body(key, value) == .next
        }
    }

    /// As ``walk(_:from:_:)``, from the first record.
    package func walk(
        _ table: LMDBTable,
        _ body: (_ key: RawSpan, _ value: RawSpan) throws -> LMDBWalkStep
    ) throws {
        try walk(table, from: [UInt8]?.none, body)
    }

    /// Number of records in `table`.
    package func count(_ table: LMDBTable) throws -> Int {
        var statistics = MDB_stat()
        try LMDBError.check(mdb_stat(pointer.raw, table.handle, &statistics), "mdb_stat")
        return statistics.ms_entries
    }

    /// Moves a cursor from record to record as long as `body` returns `true`.
    func withCursor(
        _ table: LMDBTable,
        from start: (some LMDBKey)?,
        _ body: (_ cursor: OpaquePointer, _ key: RawSpan, _ value: RawSpan) throws -> Bool
    ) throws {
        var opened: OpaquePointer?
        try LMDBError.check(mdb_cursor_open(pointer.raw, table.handle, &opened), "mdb_cursor_open")
        guard let cursor = opened else { throw LMDBError(MDB_PANIC, call: "mdb_cursor_open") }
        defer { mdb_cursor_close(cursor) }

        var key = MDB_val()
        var value = MDB_val()
        var code =
            if let start {
                start.withKeyBytes { bytes in
                    key = MDB_val(bytes)
                    return mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)
                }
            } else {
                mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
            }
        while code == MDB_SUCCESS {
            guard try body(cursor, key.bytes.bytes, value.bytes.bytes) else { return }
            code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        guard code != MDB_NOTFOUND else { return }
        throw LMDBError(code, call: "mdb_cursor_get")
    }
}

extension MDB_val {
    /// For LMDB to read, and only while `bytes` is valid.
    init(_ bytes: UnsafeRawBufferPointer) {
        self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }

    /// Where LMDB's answer lies.
    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: mv_data, count: mv_data == nil ? 0 : max(mv_size, 0))
    }
}
