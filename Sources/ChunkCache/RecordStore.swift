import Synchronization

/// A small durable store of values under names, for what must outlive the process and a loss of power.
///
/// All calls block, on memory, on the disk and on each other, and may be made on any thread that can wait; a change
/// is on the disk when its call returns. Names are told apart by their bytes. Each value has a checksum: one that is
/// not what was stored counts as absent, and is removed.
///
/// A database that is damaged is set aside as `data.mdb.bad` and a new one begun; ``setAside`` tells. The directory
/// belongs to the store alone, and to one process at a time.
package final class RecordStore: Sendable {
    package static let maxKeyBytes = 200
    package static let maxValueBytes = 16 << 20

    struct Database: Sendable {
        let environment: LMDBEnvironment
        let records: LMDBTable
    }

    struct State {
        /// `nil` after ``RecordStore/close()``, and while there is none that can be used.
        var database: Database?
        var isClosed = false
        var setAside: String?
        var damagedValues = 0
    }

    let place: CacheDirectory
    let mapSize: Int
    let state = Mutex(State())

    /// Opens the store in `directory`, which is made if there is none.
    ///
    /// - Parameter mapSize: what the database can grow to, in bytes; an eighth of it is kept free.
    /// - Throws: ``RecordStoreError``: `inUse` if another store has the directory, or `unusable`.
    package init(directory: String, mapSize: Int = 1 << 30) throws {
        do {
            place = try CacheDirectory(directory)
        } catch is CacheInUse {
            throw RecordStoreError(.inUse, "the records in \(directory) are in use by another process")
        } catch {
            throw RecordStoreError(.unusable, "the records in \(directory) cannot be used", cause: error)
        }
        self.mapSize = mapSize
        do {
            _ = try state.withLock { try openDatabase(&$0) }
        } catch {
            place.leave()
            throw RecordStoreError(.unusable, "the records in \(directory) cannot be opened", cause: error)
        }
    }

    deinit { close() }

    /// Why a database was set aside since this was made; `nil` if none was.
    package var setAside: String? { state.withLock { $0.setAside } }

    /// How many values were not what was stored, and were removed, since this was made.
    package var damagedValues: Int { state.withLock { $0.damagedValues } }

    /// The value that was stored under `key`; `nil` if there is none.
    ///
    /// - Throws: ``RecordStoreError``.
    package func value(_ key: String) throws -> [UInt8]? {
        let key = try Self.checked(key)
        let found = try perform { database in
            try database.environment.read { transaction in
                try transaction.withValue(for: key, in: database.records) { RecordCoding.value(of: $0, key: key) }
            }
        }
        switch found {
        case .some(.some(let value)): return value
        case .some(.none):
            try removeDamaged(key)
            state.withLock { $0.damagedValues += 1 }
            return nil
        case .none: return nil
        }
    }

    /// Stores `value` under `key`, in the place of what was there.
    ///
    /// - Throws: ``RecordStoreError``: `full` if there is no room; then nothing has changed.
    package func put(_ key: String, _ value: [UInt8]) throws {
        let key = try Self.checked(key)
        guard value.count <= Self.maxValueBytes else {
            throw RecordStoreError(
                .valueTooLarge,
                "a record of \(value.count) bytes is more than the \(Self.maxValueBytes) that can be stored"
            )
        }
        try perform { database in
            try checkRoom(for: value.count, in: database)
            try database.environment.write { transaction in
                let size = RecordCoding.headerSize + value.count
                try transaction.put(size: size, for: key, in: database.records) {
                    RecordCoding.write(value, key: key, into: &$0)
                }
            }
        }
    }

    /// Removes what is stored under `key`, if there is anything.
    ///
    /// - Throws: ``RecordStoreError``.
    package func remove(_ key: String) throws {
        let key = try Self.checked(key)
        try perform { database in
            _ = try database.environment.write { try $0.delete(key, from: database.records) }
        }
    }

    /// The names that begin with the bytes of `prefix`, in the order of their bytes. Values are not looked at.
    ///
    /// - Throws: ``RecordStoreError``.
    package func keys(prefix: String = "") throws -> [String] {
        let prefix = Array(prefix.utf8)
        guard prefix.count <= Self.maxKeyBytes else { return [] }
        return try perform { database in
            var keys: [String] = []
            try database.environment.read { transaction in
                try transaction.walk(database.records, from: prefix.isEmpty ? nil : prefix) { key, _ in
                    key.withUnsafeBytes { bytes in
                        guard bytes.starts(with: prefix) else { return .stop }
                        // Only what was stored through `put` can be asked for again.
                        if let name = String(validating: bytes, as: UTF8.self) { keys.append(name) }
                        return .next
                    }
                }
            }
            return keys
        }
    }

    /// Waits for the calls that run, and lets another process have the store. Later calls throw.
    package func close() {
        let open = state.withLock { state in
            state.isClosed = true
            return state.database.take()
        }
        open?.environment.close()
        place.leave()
    }

    private static func checked(_ key: String) throws -> [UInt8] {
        let bytes = Array(key.utf8)
        guard (1...maxKeyBytes).contains(bytes.count) else {
            throw RecordStoreError(.badKey, "the name of a record has 1 to \(maxKeyBytes) bytes, not \(bytes.count)")
        }
        return bytes
    }

    /// Removes the record unless it has been stored anew meanwhile.
    private func removeDamaged(_ key: [UInt8]) throws {
        try perform { database in
            try database.environment.write { transaction in
                let found = try transaction.withValue(for: key, in: database.records) {
                    RecordCoding.value(of: $0, key: key)
                }
                if case .some(.none) = found { try transaction.delete(key, from: database.records) }
            }
        }
    }

    /// Without some free pages not even a record could be removed.
    private func checkRoom(for count: Int, in database: Database) throws {
        let usage = try database.environment.usage()
        let limit = usage.mapPages - usage.mapPages / 8
        guard usage.usedPages + count / usage.pageSize < limit else {
            throw LMDBError(.mapFull, code: 0, call: "put", text: "\(usage.usedPages) of \(limit) pages are in use")
        }
    }
}

/// Why a ``RecordStore`` could not do what was asked.
package struct RecordStoreError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        case inUse = "in_use"
        case badKey = "bad_key"
        case valueTooLarge = "value_too_large"
        case full
        /// There is no database that can be used.
        case unusable
        case closed
    }

    package let code: Code
    package let message: String
    package let cause: (any Error)?

    init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String { cause.map { "\(message) (\($0))" } ?? message }
}
