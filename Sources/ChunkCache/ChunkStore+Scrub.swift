import Glibc
import NIOPosix
import Synchronization

/// A chunk of which all bytes were read.
struct CheckedChunk {
    let id: ChunkID
    /// Of the value, in bytes.
    let length: Int
    let isCorrupt: Bool
}

extension ChunkStore {
    /// Has chunks checked, as many as are due. No policy hears of it.
    func goOnScrubbing(now: ContinuousClock.Instant) {
        if let start = scrubbing.withLock({ $0.advance(to: now) }) { scrub(from: start) }
    }

    /// Each chunk is work of its own, so that what readers wait for comes in between.
    private func scrub(from start: ChunkID) {
        pool.submit { state in
            if state == .active, let next = self.scrubOne(from: start) { self.scrub(from: next) }
        }
    }

    /// - Returns: from where on to go on at once; `nil` if nothing more is due.
    private func scrubOne(from start: ChunkID) -> ChunkID? {
        let checked: CheckedChunk?
        do {
            guard let (environment, chunks) = writer.reading else { throw LMDBError.closed("scrub") }
            checked = try checkOne(from: start, environment, chunks)
        } catch {
            // Whoever has the database knows of it.
            scrubbing.withLock { $0.interrupt() }
            return nil
        }
        guard let checked else {
            scrubbing.withLock { $0.endPass() }
            counters.noteScrubbedAll(at: Self.unixTime)
            return nil
        }
        let next = scrubbing.withLock { $0.checked(checked.id, bytes: checked.length) }
        counters.scrubbedBytes.add(checked.length)
        counters.scrubbedChunks.add(1)
        return next
    }

    /// Checks the first chunk that is not before `start`, and drops it if it is not what was stored.
    ///
    /// That of which nothing was in memory leaves it again, unless somebody has begun to send it: a check of all chunks must
    /// not take the place of those that are in use.
    ///
    /// - Returns: `nil` if there is none.
    func checkOne(
        from start: ChunkID,
        _ environment: LMDBEnvironment,
        _ chunks: LMDBTable
    ) throws -> CheckedChunk? {
        var found: ChunkID?
        do {
            return try environment.withPlace { transaction in
                var place: UnsafeRawBufferPointer?
                try transaction.walk(chunks, from: start) { key, value in
                    found = ChunkID(key: key)
                    guard found != nil else { return .next }
                    place = value.withUnsafeBytes { $0 }
                    return .stop
                }
                return place
            } _: { place in
                guard let id = found else { return nil }
                let wasOnDisk = Residency.isAbsent(place)
                let check = try check(id, in: place, environment, chunks)
                let isInUse = residents.contains(id.object, id.index) || wasRead(id, 0..<place.count)
                if wasOnDisk, !isInUse { Residency.drop(place) }
                return CheckedChunk(id: id, length: place.count, isCorrupt: check == .corrupt)
            } ?? nil
        } catch {
            writer.noteReadFailure(error, of: environment)
            throw error
        }
    }

    private static var unixTime: Int64 {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec)
    }
}
