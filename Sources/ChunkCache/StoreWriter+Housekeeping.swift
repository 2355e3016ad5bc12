import Glibc
import Logging
import NIOPosix
import Synchronization

/// What is done from time to time, and how large things are.
extension StoreWriter {
    private static let ageInterval = Duration.seconds(60)
    private static let heatHalfLife = Duration.seconds(3600)

    func maintain(now: ContinuousClock.Instant) {
        thread.submit { _ in
            self.watchOpening(now: now)
            guard let database = self.database else { return }
            do {
                try database.environment.readerCheck()
            } catch {
                self.noteFailure(error, of: database.environment)
            }
            self.state.withLock { state in self.table.takeTouches { state.touch($0) } }
            self.watchDisk(database, now: now)
            self.finishUpdating()
            self.finishErasing(limit: Self.evictionBatch)
            self.ageObjects(now: now)
            self.watchPins(database, now: now)
            self.holdWhatFits(database)
        }
    }

    /// Looks at all objects, of which there may be many: at times.
    private func ageObjects(now: ContinuousClock.Instant) {
        let interval = min(settings.maxAge.map { $0 / 60 } ?? Self.ageInterval, Self.ageInterval)
        let (isDue, elapsed) = state.withLock { state in
            let elapsed = state.agedAt?.duration(to: now)
            let isDue = elapsed.map { $0 >= interval } ?? true
            if isDue { state.agedAt = now }
            return (isDue, elapsed ?? .zero)
        }
        guard isDue else { return }
        let part = exp2(-(elapsed / Self.heatHalfLife))
        for object in directory.all { object.cool(to: part) }
        expire()
    }

    private func expire() {
        guard let maxAge = settings.maxAge else { return }
        let (limit, overflow) = (SteadyTime.now / 1_000_000_000).subtractingReportingOverflow(maxAge.components.seconds)
        guard !overflow, directory.all.contains(where: { $0.record.created / 1_000_000_000 < limit }) else { return }
        forget(directory.removeAll { $0.created / 1_000_000_000 < limit }, counters.evictedForAge)
    }

    // MARK: - Sizes

    /// How many chunks fit `bytes`.
    static func capacity(_ bytes: Int64, _ settings: ChunkStoreSettings) -> Int {
        max(Int(clamping: bytes / storedBytes(settings.chunkSize)), 1)
    }

    static func makeEviction(_ settings: ChunkStoreSettings) -> Eviction {
        Eviction(
            settings.policy,
            size: settings.size,
            shares: settings.sourceSizes.mapValues { min($0, settings.size) },
            chunkBytes: storedBytes(settings.chunkSize),
            holdLimit: settings.pinBytes
        )
    }

    /// What a chunk of `length` bytes takes of the file.
    static func storedBytes(_ length: Int) -> Int64 { pageBytes(length + ChunkRecord.headerSize) }

    /// What the record of an object takes of the file. Records without attributes are short, and lie many to a page.
    static func recordBytes(of object: CachedObject) -> Int64 {
        let record = object.currentRecord
        return record.attributes.isEmpty ? 0 : pageBytes(record.encodedSize)
    }

    /// Values of that size take whole pages, with a page header of 16 bytes in front.
    static func pageBytes(_ size: Int) -> Int64 {
        let page = DataFileCheck.pageSize
        return Int64((size + 16 + page - 1) / page * page)
    }

    /// Larger than what may be stored, and than what is there of a time when more might be: a map that is full to the last
    /// page cannot even delete.
    ///
    /// - Parameter fileBytes: what is there.
    static func mapSize(_ settings: ChunkStoreSettings, fileBytes: Int64 = 0) -> Int {
        let spare = max(settings.size / 100 * 18, Int64(4 * settings.chunkSize + (4 << 20)))
        let wanted = max(settings.size, 0).addingClamped(spare)
        return Int(clamping: fileBytes > wanted ? fileBytes.addingClamped(4 << 20) : wanted)
    }
}

extension Int64 {
    func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
