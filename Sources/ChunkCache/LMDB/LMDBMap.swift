import CLMDB
import Glibc

/// Where an environment's file lies in memory, and whether the pages of long values are what LMDB takes them for.
///
/// A value that is too long for a page of keys has a run of pages of its own, whose first begins with its number and the
/// length of the run (mdb.c of LMDB 0.9; see ``TreeCheck``). LMDB believes both when the value leaves: where they are
/// wrong it frees pages that are in use. They are not read when the file is opened, which would be a read of the disk for
/// each value, but before LMDB believes them.
struct LMDBMap: Sendable {
    private static let headerSize = 16
    private static let overflowFlag: UInt16 = 0x04
    /// What a key and a value may take of a page of keys, of which each holds two.
    private static let longestNode = ((DataFileCheck.pageSize - headerSize) / 2 & -2) - MemoryLayout<UInt16>.size
    private static let nodeHeaderSize = 8

    private let start: UInt
    private let size: UInt

    /// - Parameter table: the name of a table in the environment.
    /// - Throws: ``LMDBError`` if the environment cannot be read.
    init(of environment: OpaquePointer, size: Int, table: String) throws(LMDBError) {
        var begun: OpaquePointer?
        try LMDBError.check(mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &begun), "mdb_txn_begin")
        guard let transaction = begun else { throw LMDBError(ENOMEM, call: "mdb_txn_begin") }
        defer { mdb_txn_abort(transaction) }
        // The table's own record is short, and lies in a page of the table of tables.
        var tables: MDB_dbi = 0
        try LMDBError.check(mdb_dbi_open(transaction, nil, 0, &tables), "mdb_dbi_open")
        var record = MDB_val()
        let code = Array(table.utf8).withKeyBytes { bytes in
            var key = MDB_val(bytes)
            return mdb_get(transaction, tables, &key, &record)
        }
        try LMDBError.check(code, "mdb_get")
        guard let place = record.mv_data else { throw LMDBError(MDB_CORRUPTED, call: "mdb_get") }
        let page = UInt(bitPattern: place) / Self.pageSize
        let header = UnsafeRawBufferPointer(
            start: UnsafeRawPointer(bitPattern: page * Self.pageSize),
            count: Self.headerSize
        )
        let number = header.loadUnaligned(as: UInt.self)
        guard number <= page else { throw LMDBError(MDB_CORRUPTED, call: "mdb_get") }
        self.start = (page - number) * Self.pageSize
        self.size = UInt(size)
    }

    /// Where bytes of the map lie in the file; `nil` if they do not lie in the map.
    func offset(of bytes: UnsafeRawBufferPointer) -> Int64? {
        guard let place = bytes.baseAddress else { return nil }
        let address = UInt(bitPattern: place)
        guard address >= start, address - start < size else { return nil }
        let offset = address - start
        return size - offset >= UInt(bytes.count) ? Int64(offset) : nil
    }

    /// The two pages with which every transaction begins.
    var metaPages: Range<UInt> { start..<start + UInt(DataFileCheck.metaPages) * Self.pageSize }

    private static var pageSize: UInt { UInt(DataFileCheck.pageSize) }

    /// Looks at a value before LMDB frees its pages.
    ///
    /// - Throws: ``LMDBError`` of kind `damaged` if it would free pages of others.
    func check(_ value: UnsafeRawBufferPointer, keySize: Int) throws(LMDBError) {
        guard !hasRightPages(value, keySize: keySize) else { return }
        let reason = "the pages of a value begin with what cannot be true"
        throw LMDBError(.damaged, code: MDB_CORRUPTED, call: "check of data.mdb", text: reason)
    }

    /// Whether a value with a key of that length is short, or begins its run of pages as it should.
    private func hasRightPages(_ value: UnsafeRawBufferPointer, keySize: Int) -> Bool {
        guard let place = value.baseAddress, Self.isLong(value.count, keySize: keySize) else { return true }
        let header = UInt(bitPattern: place) &- UInt(Self.headerSize)
        // What the transaction has written itself is in memory of its own.
        guard header >= start, header < start + size else { return true }
        let bytes = UnsafeRawBufferPointer(start: place - Self.headerSize, count: Self.headerSize)
        // A bad place of the disk would end the process.
        guard Residency.load(bytes) else { return false }
        let pages = (Self.headerSize + value.count + DataFileCheck.pageSize - 1) / DataFileCheck.pageSize
        return bytes.loadUnaligned(as: UInt.self) == (header - start) / Self.pageSize
            && bytes.loadUnaligned(fromByteOffset: 10, as: UInt16.self) == Self.overflowFlag
            && bytes.loadUnaligned(fromByteOffset: 12, as: UInt32.self) == UInt32(truncatingIfNeeded: pages)
    }

    /// Whether a value has a run of pages of its own.
    static func isLong(_ length: Int, keySize: Int) -> Bool { nodeHeaderSize + keySize + length > longestNode }
}
