import Logging
import NIOPosix
import Synchronization

/// What is not to be evicted.
extension StoreWriter {
    func pin(_ pin: Pin) async throws -> Bool { try await thread.runIfActive { try self.pinNow(pin) } }

    func unpin(_ pin: Pin) async throws { try await thread.runIfActive { try self.unpinNow(pin) } }

    /// Takes in the pins of the last process. Comes before the objects do; later, only if that failed.
    func loadPins(_ place: CacheDirectory) {
        do {
            let (pins, damage) = try PinRecords(place).load()
            if let damage { logger.error("pins were damaged and are gone", metadata: ["reason": "\(damage)"]) }
            directory.set(pins: pins)
            access.withLock { $0.pinFailure = nil }
        } catch {
            let reason = "the pins cannot be read: \(error)"
            let isNews = access.withLock { access in
                defer { access.pinFailure = reason }
                return access.pinFailure != reason
            }
            if isNews { logger.error("nothing is pinned: the pins cannot be read", metadata: ["reason": "\(error)"]) }
        }
    }

    /// Tries again to read pins that could not be read.
    func watchPins(_ database: Database, now: ContinuousClock.Instant) {
        let access = access.withLock { $0 }
        guard access.pinFailure != nil, let place = access.place, let triedAt = access.triedAt,
            triedAt.duration(to: now) >= Self.retryInterval
        else { return }
        self.access.withLock { $0.triedAt = now }
        loadPins(place)
        guard pinFailure == nil else { return }
        logger.notice("pins read", metadata: ["directory": "\(settings.directory)"])
        holdPinned(database)
    }

    private func pinNow(_ pin: Pin) throws -> Bool {
        let (database, records) = try pinning()
        let pins = directory.pins
        guard !pins.contains(pin) else { return false }
        guard pins.count < settings.pinCount else { throw PinError.tooMany(limit: settings.pinCount) }
        let new = directory.all.filter { !$0.isPinned && pin.contains($0.record) }
        try checkRoom(for: new.reduce(0) { $0 + $1.storedBytes }, of: pin.source)
        try save(pins + [pin], in: records)
        holdPinned(database)
        return true
    }

    /// - Throws: ``PinError`` if so many bytes more of a source cannot be held.
    private func checkRoom(for bytes: Int64, of source: String) throws(PinError) {
        let (held, share) = state.withLock { ($0.eviction.heldBytes, $0.eviction.held(of: source)) }
        guard settings.pinBytes > 0, held + bytes <= settings.pinBytes else {
            throw .overBudget(bytes: bytes, pinned: held, limit: settings.pinBytes)
        }
        guard let share else { return }
        guard share.limit > 0, share.bytes + bytes <= share.limit else {
            throw .overShare(source: source, bytes: bytes, pinned: share.bytes, limit: share.limit)
        }
    }

    private func unpinNow(_ pin: Pin) throws {
        let (database, records) = try pinning()
        let pins = directory.pins
        guard pins.contains(pin) else { throw PinError.notPinned(coveredBy: pins.first { $0.covers(pin) }) }
        try save(pins.filter { $0 != pin }, in: records)
        state.withLock { state in
            for id in state.eviction.heldChunks {
                guard let object = state.objects[id.object], !object.isPinned else { continue }
                state.eviction.release(id, of: object.record.source)
            }
        }
        // What was beyond the limit may fit now.
        holdPinned(database)
    }

    private func pinning() throws(PinError) -> (Database, PinRecords) {
        let access = access.withLock { $0 }
        if let failure = access.pinFailure { throw .unavailable(failure) }
        guard let database = access.open, let place = access.place else {
            throw .unavailable(access.failure ?? "there is no cache")
        }
        return (database, PinRecords(place))
    }

    private func save(_ pins: [Pin], in records: PinRecords) throws(PinError) {
        do {
            try records.save(pins)
        } catch {
            throw .unavailable("the pins cannot be written: \(error)")
        }
        directory.set(pins: pins)
    }

    /// Goes on with what there was no room for when it was to be held, once there is.
    func holdWhatFits(_ database: Database) {
        let bytes = Self.storedBytes(settings.chunkSize)
        let isDue = state.withLock { state in
            state.shortOfPins.contains { state.eviction.hasRoomToHold(bytes, of: $0) }
        }
        if isDue { holdPinned(database) }
    }

    /// Keeps the chunks of pinned objects from being evicted, as far as there is room.
    private func holdPinned(_ database: Database) {
        state.withLock { $0.shortOfPins = [] }
        defer { state.withLock { countHeld(&$0) } }
        let pinned = directory.all.filter { $0.isPinned && $0.storedChunks > 0 }.sorted { $0.number < $1.number }
        for object in pinned {
            do {
                let chunks = try storedChunks(of: object, in: database)
                let source = object.record.source
                state.withLock { state in
                    for (id, bytes) in chunks where !state.eviction.hold(id, of: source, bytes: bytes) {
                        state.shortOfPins.insert(source)
                    }
                }
            } catch {
                noteFailure(error, of: database.environment)
                return
            }
        }
    }

    private func storedChunks(of object: CachedObject, in database: Database) throws -> [(ChunkID, bytes: Int64)] {
        var chunks: [(ChunkID, bytes: Int64)] = []
        try database.environment.read { transaction in
            try transaction.walk(database.chunks, from: ChunkID(object: object.number, index: 0)) { key, value in
                guard let id = ChunkID(key: key), id.object == object.number else { return .stop }
                chunks.append((id, Self.pageBytes(value.byteCount)))
                return .next
            }
        }
        return chunks
    }

    /// Tells the eviction policies, and others, what is held.
    func countHeld(_ state: inout State) {
        state.eviction.fitPolicies()
        counters.pinnedBytes.add(Int(state.eviction.heldBytes) - counters.pinnedBytes.value)
    }
}
