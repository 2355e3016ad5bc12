import ChunkCache
import Foundation

/// A directory of its own for a database, removed when the last reference goes.
final class TemporaryDatabase: Sendable {
    let directory: String

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("lmdb-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    var dataFile: String { directory + "/data.mdb" }

    func open(
        mapSize: Int = 16 << 20,
        durability: LMDBSettings.Durability = .relaxed
    ) throws -> LMDBEnvironment {
        try LMDBEnvironment(
            LMDBSettings(
                directory: directory,
                mapSize: mapSize,
                tables: ["records", "others"],
                durability: durability
            )
        )
    }

    /// Writes `records` one transaction each, and closes the database.
    func fill(_ records: [(key: [UInt8], value: [UInt8])]) throws {
        let environment = try open()
        let table = try environment.records
        for record in records {
            try environment.write { try $0.put(record.value.span.bytes, for: record.key, in: table) }
        }
        environment.close()
    }

    /// Changes the data file as a whole, as a fault of the disk would.
    func damage(_ change: (inout [UInt8]) -> Void) throws {
        var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: dataFile)))
        change(&bytes)
        try Data(bytes).write(to: URL(fileURLWithPath: dataFile))
    }
}

struct MissingTable: Error {}

extension LMDBEnvironment {
    var records: LMDBTable {
        get throws {
            guard let table = table("records") else { throw MissingTable() }
            return table
        }
    }

    func value(_ key: [UInt8]) throws -> [UInt8]? {
        let table = try records
        return try read { transaction in
            try transaction.withValue(for: key, in: table) { [UInt8](copying: $0) }
        }
    }

    func put(_ value: [UInt8], for key: [UInt8]) throws {
        let table = try records
        try write { try $0.put(value.span.bytes, for: key, in: table) }
    }

    var keys: [[UInt8]] {
        get throws {
            let table = try records
            var keys: [[UInt8]] = []
            try read { transaction in
                try transaction.walk(table) { key, _ in
                    keys.append([UInt8](copying: key))
                    return .next
                }
            }
            return keys
        }
    }
}

extension [UInt8] {
    init(copying bytes: RawSpan) {
        self = bytes.withUnsafeBytes { [UInt8]($0) }
    }
}
