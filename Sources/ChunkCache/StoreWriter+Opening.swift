import Glibc
import Logging
import NIOPosix
import Synchronization

/// How a database is opened, at the start and later, and replaced.
extension StoreWriter {
    static let format = "1"
    /// How long a process that has opened a database must live for the database not to be to blame.
    private static let crashWatch = Duration.seconds(10)
    static let retryInterval = Duration.seconds(30)

    /// - Throws: ``CacheInUse``.
    func open(now: ContinuousClock.Instant) throws {
        access.withLock { $0.triedAt = now }
        do {
            let place = try place ?? CacheDirectory(settings.directory)
            access.withLock { $0.place = place }
            do {
                try open(place)
            } catch {
                // Another process may have it meanwhile, and the directory may be another one the next time.
                access.withLock { $0.place = nil }
                place.leave()
                throw error
            }
            access.withLock { $0.openedAt = now }
        } catch let error as CacheInUse {
            throw error
        } catch {
            fail(error)
        }
    }

    private func fail(_ error: any Error) {
        let reason = "\(error)"
        let isNews = access.withLock { access in
            defer { (access.open, access.failure) = (nil, reason) }
            return access.failure != reason
        }
        // Who may not replace it serves nothing, and says why by itself.
        if isNews, settings.mayReplace { logger.error("running without a cache", metadata: ["reason": "\(reason)"]) }
        directory.skipNumbers()
    }

    private func open(_ place: CacheDirectory) throws {
        guard settings.mayReplace || !place.hasCrashed else {
            throw CacheDirectoryError(reason: "the gateway that had the cache crashed soon after it was started")
        }
        guard settings.mayReplace || !place.wasCutOff else {
            throw CacheDirectoryError(
                reason: "the machine stopped while the cache was open; the gateway begins a new one when it starts"
            )
        }
        if place.hasCrashed {
            setAside(place, because: "the process crashed soon after it was opened", counters.lostToCrash)
        } else if place.wasCutOff {
            logger.notice("cache emptied: the machine stopped while it was open")
            place.setAside(keep: false)
            counters.lostToMachine.add(1)
        }
        loadPins(place)
        let (wasMarked, wasStrict) = (place.isMarkedOpen, place.wasStrict)
        place.watchForCrashes()
        do {
            // Of what was written before, some may not have waited for the disk.
            let isUncertain = wasMarked && !wasStrict
            try place.markOpen(isUncertain ? .relaxed : settings.durability)
            do {
                try openDatabase(place)
            } catch let error as OtherFormat {
                guard settings.mayReplace else {
                    let advice = error.canBeRebuilt ? "; `media-gateway cache rebuild` changes that" : ""
                    throw CacheDirectoryError(reason: "\(error)\(advice)")
                }
                let advice =
                    error.canBeRebuilt
                    ? "; `media-gateway cache rebuild` before the start would have kept what was in it" : ""
                logger.warning("cache emptied\(advice)", metadata: ["reason": "\(error)"])
                place.setAside(keep: false)
                counters.lostToFormat.add(1)
                try openDatabase(place)
            } catch let error as LMDBError where error.isDamage && settings.mayReplace {
                setAside(place, because: "\(error)", counters.lostToDamage)
                try openDatabase(place)
            }
            if isUncertain, settings.durability == .strict {
                try database?.environment.sync()
                try place.markOpen(.strict)
            }
        } catch {
            place.endWatchForCrashes()
            if !wasMarked { place.markClosed() }
            throw error
        }
    }

    private func setAside(_ place: CacheDirectory, because reason: String, _ counter: CacheCounters.Counter) {
        logger.warning("cache set aside as data.mdb.bad", metadata: ["reason": "\(reason)"])
        place.setAside(keep: true)
        counter.add(1)
    }

    private func openDatabase(_ place: CacheDirectory) throws {
        let database = try Database(in: place.path, settings)
        do {
            try checkFormat(database)
            try loadObjects(database)
        } catch {
            database.environment.close()
            throw error
        }
        access.withLock { ($0.open, $0.failure) = (database, nil) }
    }

    /// - Throws: ``OtherFormat``.
    private func checkFormat(_ database: Database) throws {
        let wanted = Database.format(settings)
        guard let found = try database.format() else {
            guard try database.isEmpty() else { throw OtherFormat(found: "not told", wanted: wanted) }
            return try database.setFormat(settings)
        }
        guard found == wanted else { throw OtherFormat(found: found, wanted: wanted) }
    }

    /// Reads the records of all objects. Their chunks are left to ``scan()``.
    private func loadObjects(_ database: Database) throws {
        // A process that ended in between leaves a revision beside the one that was to replace it: the newer counts.
        var (records, older): ([ObjectKey: ObjectRecord], [UInt64]) = ([:], [])
        var next = directory.nextNumber
        try database.environment.read { transaction in
            try transaction.walk(database.objects) { key, value in
                guard let number = ObjectNumber(key: key)?.value else { return .next }
                if let record = ObjectRecord(encoded: value), record.number == number,
                    number < ObjectDirectory.numberLimit
                {
                    next = max(next, number + 1)
                    if let replaced = records.updateValue(record, forKey: record.key) { older.append(replaced.number) }
                } else {
                    older.append(number)
                }
                return .next
            }
            // No object may get the number of chunks that were left behind. There are hardly ever any up there.
            while let number = try Self.firstNumber(from: next, in: database, transaction) { next = number + 1 }
        }
        if next > 1 { directory.noteUsed(next - 1) }
        var loaded: [CachedObject] = []
        for record in records.values.sorted(by: { $0.number < $1.number }) {
            let (object, left) = directory.restore(record)
            loaded.append(object)
            older += left.map(\.number)
        }
        loaded.removeAll { $0.isRetired }
        for object in loaded { countRecord(of: object, isStored: true) }
        state.withLock { state in
            state.objects = Dictionary(uniqueKeysWithValues: loaded.map { ($0.number, $0) })
            state.unfinished = Dictionary(uniqueKeysWithValues: older.map { ($0, CacheCounters.Counter()) })
        }
    }

    /// The lowest number of an object from `number` on that has chunks.
    private static func firstNumber(
        from number: UInt64,
        in database: Database,
        _ transaction: borrowing LMDBReadTransaction
    ) throws -> UInt64? {
        var found: UInt64?
        try transaction.walk(database.chunks, from: ChunkID(object: number, index: 0)) { key, _ in
            found = ChunkID(key: key)?.object
            return .stop
        }
        return found.flatMap { $0 < ObjectDirectory.numberLimit ? $0 : nil }
    }

    /// Finds the chunks that are there. The cache is in use meanwhile.
    func scan() {
        guard let database else { return }
        var (orphans, strays): (Set<UInt64>, [ChunkID]) = ([], [])
        do {
            try database.environment.read { transaction in
                try transaction.walk(database.chunks) { key, value in
                    guard let id = ChunkID(key: key) else { return .next }
                    state.withLock { state in
                        guard let object = state.objects[id.object] else {
                            orphans.insert(id.object)
                            return
                        }
                        guard id.index <= object.lastIndex, table.restore(id) else {
                            // Outside of its object, or being fetched: then it will be stored anew.
                            strays.append(id)
                            return
                        }
                        let bytes = Self.pageBytes(value.byteCount)
                        state.track(id, of: object, bytes: bytes, isNew: false)
                        count(1, of: object, length: value.byteCount)
                    }
                    return .next
                }
            }
        } catch {
            noteFailure(error, of: database.environment)
            return
        }
        state.withLock { countHeld(&$0) }
        deleteUncounted(strays)
        for object in state.withLock({ Array($0.objects.values) }) where object.storedChunks == 0 {
            forgetRecord(of: object)
        }
        eraseLater(orphans, CacheCounters.Counter())
        trim()
    }

    /// Sets the database aside and begins a new one, if that is allowed, after what runs now. Others may have found the
    /// damage as well, so that it may be another one already.
    func replace(_ environment: LMDBEnvironment, because error: any Error) {
        thread.submit { _ in
            guard let place = self.place, let database = self.database, database.environment === environment else {
                return
            }
            self.withdraw(database)
            _ = self.directory.removeAll { _ in true }
            self.reset()
            guard self.settings.mayReplace else { return self.fail(error) }
            self.setAside(place, because: "\(error)", self.counters.lostToDamage)
            self.openAnew(place)
        }
    }

    /// Closes a database that another one is to take the place of. Its last reader, which may be an event loop, is not to do
    /// that: to give up a large map takes a while.
    func withdraw(_ database: Database) {
        access.withLock { ($0.open, $0.failure) = (nil, "being replaced") }
        database.environment.close()
    }

    /// Opens a database in the place of one that was put away.
    func openAnew(_ place: CacheDirectory) {
        do {
            try openDatabase(place)
        } catch {
            fail(error)
        }
    }

    /// Forgets which chunks were in the database.
    func reset() {
        table.removeAllStored()
        state.withLock { state in
            state.eviction = Self.makeEviction(settings)
            state.eviction.size = limit.load(ordering: .relaxed)
            (state.objects, state.unfinished, state.unwritten) = ([:], [:], [:])
            state.lowering = []
            state.givingBack = GivingBack()
            countHeld(&state)
        }
        counters.clearContents()
    }

    /// Tries again to open what could not be opened, and sees what has been open for long enough.
    func watchOpening(now: ContinuousClock.Instant) {
        let access = access.withLock { $0 }
        guard !access.isClosed else { return }
        if access.open != nil {
            if let openedAt = access.openedAt, openedAt.duration(to: now) >= Self.crashWatch {
                access.place?.endWatchForCrashes()
            }
        } else if let triedAt = access.triedAt, triedAt.duration(to: now) >= Self.retryInterval {
            do {
                try open(now: now)
            } catch {
                fail(error)
            }
            guard database != nil else { return }
            logger.notice("cache opened", metadata: ["directory": "\(settings.directory)"])
            scan()
        }
    }
}

extension StoreWriter.Database {
    /// Opens the one in `directory`, whatever its format, or makes one.
    ///
    /// - Throws: ``LMDBError``, or ``CacheDirectoryError``.
    init(in directory: String, _ settings: ChunkStoreSettings) throws {
        var file = stat()
        let fileBytes = stat(directory + "/data.mdb", &file) == 0 ? Int64(file.st_size) : 0
        let environment = try LMDBEnvironment(
            LMDBSettings(
                directory: directory,
                mapSize: StoreWriter.mapSize(settings, fileBytes: fileBytes),
                tables: ["chunks", "objects", "about"],
                durability: settings.durability
            )
        )
        guard let chunks = environment.table("chunks"), let objects = environment.table("objects"),
            let about = environment.table("about")
        else { throw CacheDirectoryError(reason: "the database has no tables") }
        self.init(environment: environment, chunks: chunks, objects: objects, about: about)
    }

    private static let formatKey = Array("format".utf8)

    /// What the database of a cache with these settings says of itself: the version of its records, and the size of its
    /// chunks.
    static func format(_ settings: ChunkStoreSettings) -> String { "\(StoreWriter.format) \(settings.chunkSize)" }

    /// What it says; `nil` if it is new.
    func format() throws -> String? {
        try environment.read { transaction in
            try transaction.withValue(for: Self.formatKey, in: about) { value in
                value.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
            }
        }
    }

    /// Whether it has neither chunks nor objects.
    func isEmpty() throws -> Bool {
        var isEmpty = true
        try environment.read { transaction in
            for table in [chunks, objects] {
                try transaction.walk(table) { _, _ in
                    isEmpty = false
                    return .stop
                }
            }
        }
        return isEmpty
    }

    func setFormat(_ settings: ChunkStoreSettings) throws {
        try environment.write { transaction in
            try transaction.put(Array(Self.format(settings).utf8).span.bytes, for: Self.formatKey, in: about)
        }
    }
}

/// The database is whole, and not for these settings.
private struct OtherFormat: Error, CustomStringConvertible {
    let found: String
    let wanted: String

    /// Whether only the size of the chunks is another one.
    var canBeRebuilt: Bool { found.split(separator: " ").first == wanted.split(separator: " ").first }

    var description: String {
        guard canBeRebuilt else { return "its format and chunk size are \(found), and not \(wanted)" }
        let sizes = [found, wanted].map { $0.split(separator: " ").dropFirst().joined(separator: " ") }
        return "its chunks are of \(sizes[0]) bytes, and not of \(sizes[1])"
    }
}
