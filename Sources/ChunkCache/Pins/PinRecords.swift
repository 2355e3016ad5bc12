import Foundation

/// Where pins outlive the process: in records beside the database, as the database may have to begin anew.
struct PinRecords {
    private static let key = "pins"
    private static let mapSize = 64 << 20

    private let directory: String

    init(_ place: CacheDirectory) {
        directory = place.path + "/pins"
    }

    /// Reads the pins, of which there are none where nothing was ever pinned. Blocks.
    ///
    /// - Returns: besides, what was wrong with records that were damaged and are gone, if that was found now.
    /// - Throws: ``RecordStoreError``, or what is wrong with the record.
    func load() throws -> (pins: [Pin], damage: String?) {
        guard FileManager.default.fileExists(atPath: directory) else { return ([], nil) }
        return try withStore { store in
            let value = try store.value(Self.key)
            let damage = store.setAside ?? (store.damagedValues > 0 ? "their checksum is wrong" : nil)
            return (try value.map { try JSONDecoder().decode([Pin].self, from: Data($0)) } ?? [], damage)
        }
    }

    /// Stores the pins in the place of those before. They are on the disk when this returns. Blocks.
    ///
    /// - Throws: ``RecordStoreError``; then nothing has changed.
    func save(_ pins: [Pin]) throws {
        let value = Array(try JSONEncoder().encode(pins))
        try withStore { try $0.put(Self.key, value) }
    }

    private func withStore<Value>(_ body: (RecordStore) throws -> Value) throws -> Value {
        let store = try RecordStore(directory: directory, mapSize: Self.mapSize)
        defer { store.close() }
        return try body(store)
    }
}
