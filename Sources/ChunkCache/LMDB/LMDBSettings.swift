/// How a database is opened.
package struct LMDBSettings: Sendable, Hashable {
    /// What a commit waits for.
    package enum Durability: Sendable, Hashable {
        /// For the disk: whole after a loss of power too.
        case strict
        /// For nothing: whole after the process died, perhaps not after the machine did.
        case relaxed
    }

    /// Slots for reads at once, of 64 bytes each. More than there are threads that read, which is some for each core.
    package static let maxReaders: UInt32 = 1024

    /// Exists, on a local file system.
    package var directory: String
    /// The size the file can grow to. Bytes are taken from the disk only as they are used.
    package var mapSize: Int
    package var tables: [String]
    package var durability: Durability

    package init(directory: String, mapSize: Int, tables: [String], durability: Durability) {
        self.directory = directory
        self.mapSize = mapSize
        self.tables = tables
        self.durability = durability
    }
}
