import NIOPosix
import Synchronization

/// What is kept of torrents, on the disk and across restarts: metadata, resume data, what their files take, and when
/// they were used.
///
/// One record of each for a torrent, under its ID. Reading and writing is done on the pool.
final class TorrentCatalogue: Sendable {
    /// Of a torrent that is not loaded and has files on the disk.
    struct Files: Sendable, Hashable {
        var bytes: Int64
        /// Seconds since 1970.
        var lastUse: Int64
    }

    private struct State {
        var records: (any SourceRecords)?
        /// Everything there is metadata of.
        var known = KnownTorrents()
        /// Of these the records are being removed.
        var leaving: Set<ItemID> = []
        /// Version 2 hashes of torrents that are known by version 1.
        var aliases: [ItemID: ItemID] = [:]
        var files: [ItemID: Files] = [:]
        /// Read from the store already; the oldest makes room.
        var parsed: [ItemID: StoredTorrent] = [:]
        var order: [ItemID] = []
        var parsedCount = 0

        func isKnown(_ id: ItemID) -> Bool {
            let id = aliases[id] ?? id
            return known.contains(id) && !leaving.contains(id)
        }
    }

    /// Of the files of all torrents together that are kept parsed: some 600 bytes each.
    private static let parsedFiles = 50_000

    private let directory: String
    private let open: @Sendable (String) throws -> any SourceRecords
    private let policy: AddressPolicy
    private let pool: NIOThreadPool
    private let state = Mutex(State())
    private let opening = Mutex<Flight<Void>?>(nil)

    init(
        directory: String,
        policy: AddressPolicy,
        pool: NIOThreadPool,
        open: @escaping @Sendable (String) throws -> any SourceRecords
    ) {
        self.directory = directory
        self.policy = policy
        self.pool = pool
        self.open = open
    }

    /// Opens the records, once.
    ///
    /// - Throws: ``SourceError`` `unavailable`; the next call tries again.
    func ready() async throws {
        let flight = opening.withLock { opening in
            if let opening { return opening }
            let flight = Flight { [self] in try await pool.call { try self.load() } }
            opening = flight
            return flight
        }
        do {
            try await flight.value()
        } catch {
            if !(error is CancellationError) { opening.withLock { if $0 === flight { $0 = nil } } }
            throw error
        }
    }

    private func load() throws {
        let records: any SourceRecords
        let keys: [String]
        do {
            records = try open(directory)
            keys = try records.keys(prefix: "")
        } catch {
            throw SourceError(.unavailable, "what is kept of torrents cannot be read: \(error)", cause: error)
        }
        var loaded = State(records: records)
        var (metadata, uses): ([ItemID], [ItemID: KnownTorrents.Use]) = ([], [:])
        for key in keys {
            let parts = key.split(separator: "/")
            guard parts.count == 2, let id = ItemID(parts[1]) else { continue }
            switch parts[0] {
            case Record.metadata.rawValue: metadata.append(id)
            case Record.use.rawValue: uses[id] = try records.value(key).flatMap(KnownTorrents.Use.init(record:))
            case Record.alias.rawValue: loaded.aliases[id] = try records.value(key).flatMap { ItemID(text: $0) }
            case Record.files.rawValue: loaded.files[id] = try records.value(key).flatMap(Files.init(record:))
            default: break
            }
        }
        for id in metadata {
            // The record of its use is the last to be written.
            let use = try uses[id] ?? KnownTorrents.Use(time: 0, metadata: count(of: .metadata, id, records))
            loaded.known.restore(id, use)
        }
        state.withLock { $0 = loaded }
    }

    private func count(of record: Record, _ id: ItemID, _ records: any SourceRecords) throws -> Int64 {
        Int64(try records.value(record.key(id))?.count ?? 0)
    }

    private enum Record: String {
        case metadata
        case resume
        case files
        case use
        case alias

        func key(_ id: ItemID) -> String { "\(rawValue)/\(id)" }
    }

    /// The ID under which the torrent is kept.
    func resolve(_ id: ItemID) -> ItemID { state.withLock { $0.aliases[id] ?? id } }

    /// Whether the records have been read.
    var isReady: Bool { state.withLock { $0.records != nil } }

    /// Whether there is metadata of it. `false` until the records have been read, which takes a moment at the start, and
    /// while it is being removed.
    func isKnown(_ id: ItemID) -> Bool { state.withLock { $0.isKnown(id) } }

    var known: [ItemID] {
        state.withLock { state in state.known.ids.filter { !state.leaving.contains($0) } }
            .sorted { $0.description < $1.description }
    }

    /// Whether earlier records were damaged, so that there may be files of torrents that were known.
    var hasLostRecords: Bool { state.withLock { $0.records }?.setAside != nil }

    var knownCount: Int { state.withLock { $0.known.count } }

    /// What the records take, in bytes.
    var size: Int64 { state.withLock { $0.known.size } }

    /// Everything that is known, what was used longest ago first.
    var leastUsed: [ItemID] { state.withLock { $0.known.leastUsed } }

    /// Somebody wants something of the torrent.
    func used(_ id: ItemID) { state.withLock { $0.known.use($0.aliases[id] ?? id, at: Timestamp.now().seconds) } }

    /// Writes down when torrents were used, of some that were not used for a while before.
    func saveUses() async throws {
        let uses = state.withLock { $0.known.takeUnsaved(16) }
        for (id, use) in uses { try await put(.use, id, use.record) }
    }

    /// - Returns: `nil` if it is not known.
    /// - Throws: ``SourceError`` `unavailable`.
    func torrent(_ id: ItemID) async throws -> StoredTorrent? {
        if let parsed = state.withLock({ $0.isKnown(id) ? $0.parsed[$0.aliases[id] ?? id] : nil }) { return parsed }
        try await ready()
        let id = resolve(id)
        guard isKnown(id) else { return nil }
        let policy = policy
        guard let record = try await value(.metadata, id),
            let torrent = try await pool.call({ try? StoredTorrent(record, policy: policy) })
        else {
            // Damaged, or from a version that was less strict: as if it had never been there.
            state.withLock { $0.known.remove(id) }
            return nil
        }
        remember(torrent)
        return torrent
    }

    private func remember(_ torrent: StoredTorrent) {
        state.withLock { state in
            guard state.parsed.updateValue(torrent, forKey: torrent.id) == nil else { return }
            state.order.append(torrent.id)
            state.parsedCount += torrent.cost
            while state.parsedCount > Self.parsedFiles, state.order.count > 1 {
                state.parsedCount -= state.parsed.removeValue(forKey: state.order.removeFirst())?.cost ?? 0
            }
        }
    }

    /// - Throws: ``SourceError`` `unavailable`.
    func add(_ torrent: StoredTorrent) async throws {
        try await ready()
        let record = torrent.record
        try await put(.metadata, torrent.id, record)
        var alias: ItemID?
        if let hash = torrent.metadata.hashes.v2, let id = ItemID(hash.description), id != torrent.id {
            try await put(.alias, id, Array(torrent.id.description.utf8))
            alias = id
        }
        let use = state.withLock { state in
            if let alias { state.aliases[alias] = torrent.id }
            return state.known.add(torrent.id, metadata: Int64(record.count), at: Timestamp.now().seconds)
        }
        try await put(.use, torrent.id, use.record)
        remember(torrent)
    }

    /// Forgets everything of a torrent, which is not known from here on.
    ///
    /// - Throws: ``SourceError`` `unavailable`; it is known as before then.
    func remove(_ id: ItemID) async throws {
        try await ready()
        let aliases = state.withLock { state in
            state.leaving.insert(id)
            return state.aliases.filter { $0.value == id }.map(\.key)
        }
        defer { state.withLock { _ = $0.leaving.remove(id) } }
        for alias in aliases { try await put(.alias, alias, nil) }
        try await put(.resume, id, nil)
        try await put(.files, id, nil)
        try await put(.metadata, id, nil)
        try await put(.use, id, nil)
        state.withLock { state in
            for alias in aliases { state.aliases[alias] = nil }
            state.known.remove(id)
            state.parsedCount -= state.parsed.removeValue(forKey: id)?.cost ?? 0
            state.order.removeAll { $0 == id }
            state.files[id] = nil
        }
    }

    /// What libtorrent needs to go on with the files that there are; `nil` if they have to be looked at.
    func resumeData(_ id: ItemID) async throws -> [UInt8]? {
        // The machine was restarted since: what the records say may not have reached the files.
        guard let record = try await value(.resume, id), let boot = BootID.current else { return nil }
        return record.starts(with: boot) ? Array(record.dropFirst(boot.count)) : nil
    }

    func setResumeData(_ id: ItemID, _ data: [UInt8]?) async throws {
        let record = data.flatMap { data in BootID.current.map { $0 + data } }
        try await put(.resume, id, record)
        state.withLock { $0.known.setResume(id, Int64(record?.count ?? 0)) }
    }

    /// What torrents that are not loaded have on the disk.
    var files: [ItemID: Files] { state.withLock { $0.files } }

    /// What is on the disk counts from here on, also if it cannot be written down.
    func setFiles(_ id: ItemID, _ files: Files?) async throws {
        state.withLock { $0.files[id] = files }
        try await put(.files, id, files?.record)
    }

    private func value(_ record: Record, _ id: ItemID) async throws -> [UInt8]? {
        let records = state.withLock { $0.records }
        return try await store { try records?.value(record.key(id)) }
    }

    private func put(_ record: Record, _ id: ItemID, _ value: [UInt8]?) async throws {
        let records = state.withLock { $0.records }
        try await store {
            if let value { try records?.put(record.key(id), value) } else { try records?.remove(record.key(id)) }
        }
    }

    private func store<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await pool.call {
            do {
                return try body()
            } catch {
                throw SourceError(
                    .unavailable,
                    "what is kept of torrents cannot be read or written: \(error)",
                    cause: error
                )
            }
        }
    }
}

extension StoredTorrent {
    /// In files.
    fileprivate var cost: Int { metadata.files.count + 16 }
}

extension TorrentCatalogue.Files {
    fileprivate init?(record: [UInt8]) {
        let parts = String(decoding: record, as: UTF8.self).split(separator: " ")
        guard parts.count == 2, let bytes = Int64(parts[0]), let lastUse = Int64(parts[1]), bytes >= 0 else {
            return nil
        }
        self.init(bytes: bytes, lastUse: lastUse)
    }

    fileprivate var record: [UInt8] { Array("\(bytes) \(lastUse)".utf8) }
}

extension ItemID {
    fileprivate init?(text: [UInt8]) { self.init(String(decoding: text, as: UTF8.self)) }
}
