/// Which torrents are known, when each was used last, and what its records take.
///
/// A value without clock and I/O. Times are in seconds since 1970, and count among what was not used since the start; the
/// rest has an order.
package struct KnownTorrents: Sendable {
    package struct Use: Sendable, Hashable {
        package var time: Int64
        /// Bytes of its metadata.
        package var metadata: Int64
        /// Bytes of its resume data.
        package var resume: Int64

        package init(time: Int64, metadata: Int64, resume: Int64 = 0) {
            (self.time, self.metadata, self.resume) = (time, metadata, resume)
        }
    }

    private struct Entry {
        var use: Use
        var order: UInt64
        /// As it is on the disk.
        var saved: Use

        var size: Int64 { use.metadata + use.resume + KnownTorrents.overhead }
    }

    /// Seconds for which a use is not written down again.
    private static let precision: Int64 = 3600
    /// The small records, keys, and what is left of the last page of each record.
    private static let overhead: Int64 = 8 << 10

    private var entries: [ItemID: Entry] = [:]
    private var unsaved: Set<ItemID> = []
    private var lastOrder: UInt64 = 0
    /// What the records of all take, in bytes.
    package private(set) var size: Int64 = 0

    package init() {}

    package var ids: [ItemID] { Array(entries.keys) }
    package var count: Int { entries.count }

    package func contains(_ id: ItemID) -> Bool { entries[id] != nil }

    /// What was used longest ago comes first.
    package var leastUsed: [ItemID] {
        entries.sorted { ($0.value.order, $0.value.use.time) < ($1.value.order, $1.value.use.time) }.map(\.key)
    }

    /// Takes in what was known before a restart.
    package mutating func restore(_ id: ItemID, _ use: Use) {
        remove(id)
        let entry = Entry(use: use, order: 0, saved: use)
        size += entry.size
        entries[id] = entry
    }

    /// Takes in what is used now for the first time.
    ///
    /// - Returns: what is to be written down.
    @discardableResult
    package mutating func add(_ id: ItemID, metadata: Int64, at time: Int64) -> Use {
        let use = Use(time: time, metadata: metadata, resume: entries[id]?.use.resume ?? 0)
        restore(id, use)
        self.use(id, at: time)
        return use
    }

    package mutating func use(_ id: ItemID, at time: Int64) {
        guard var entry = entries[id] else { return }
        lastOrder += 1
        (entry.use.time, entry.order) = (time, lastOrder)
        entries[id] = entry
        if abs(time - entry.saved.time) >= Self.precision { unsaved.insert(id) }
    }

    package mutating func setResume(_ id: ItemID, _ bytes: Int64) {
        guard var entry = entries[id] else { return }
        size += bytes - entry.use.resume
        entry.use.resume = bytes
        entries[id] = entry
        if abs(bytes - entry.saved.resume) >= Self.overhead { unsaved.insert(id) }
    }

    package mutating func remove(_ id: ItemID) {
        guard let entry = entries.removeValue(forKey: id) else { return }
        size -= entry.size
        unsaved.remove(id)
    }

    /// Uses that are to be written down, which they are taken to be then: `count` at most.
    package mutating func takeUnsaved(_ count: Int) -> [(ItemID, Use)] {
        let taken = unsaved.prefix(count).compactMap { id in entries[id].map { (id, $0.use) } }
        for (id, use) in taken {
            unsaved.remove(id)
            entries[id]?.saved = use
        }
        return taken
    }
}

extension KnownTorrents.Use {
    package init?(record: [UInt8]) {
        let parts = String(decoding: record, as: UTF8.self).split(separator: " ")
        let numbers = parts.compactMap { Int64($0) }
        guard parts.count == 3, numbers.count == 3, numbers.allSatisfy({ (0...1 << 40).contains($0) }) else {
            return nil
        }
        self.init(time: numbers[0], metadata: numbers[1], resume: numbers[2])
    }

    package var record: [UInt8] { Array("\(time) \(metadata) \(resume)".utf8) }
}
