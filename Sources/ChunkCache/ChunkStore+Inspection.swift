import NIOPosix
import Synchronization

/// What an operator wants to know of the cache as a whole.
package struct CacheUsage: Sendable, Hashable {
    /// What chunks take of the file, in whole pages, and how much that may be now.
    package var bytes: Int64
    package var limit: Int64
    package var chunks: Int
    /// Objects that have chunks.
    package var objects: Int
    /// Length of the database's file.
    package var fileBytes: Int64
    /// What the file takes of the disk: less where space was given back; 0 without a database, as is the next.
    package var diskBytes: Int64
    /// What of that is free for new chunks.
    package var freeBytes: Int64
    /// What chunks on their way into the cache take of the memory.
    package var fillBytes: Int
    /// Age of the oldest read of the database that runs now; `nil` if none does.
    package var oldestReader: Duration?
}

/// How far a check of all chunks is.
package struct CacheVerification: Sendable, Hashable {
    package var checked = 0
    /// As far as is known: the cache is in use meanwhile.
    package var total = 0
    package var bytes: Int64 = 0
    /// Chunks that were not what was stored, and have been dropped.
    package var corrupt = 0
}

extension ChunkStore {
    /// Whether the chunk is in the database or on its way there.
    package func isComing(_ id: ChunkID) -> Bool { table.contains(id) }

    /// Whether the chunk is in the database, or whole and on its way there.
    package func isAtHand(_ id: ChunkID) -> Bool {
        switch table.state(of: id) {
        case .stored: true
        case .filling(let fill): fill.isComplete
        case nil: false
        }
    }

    /// Blocks.
    package var usage: CacheUsage {
        let (database, place) = writer.access.withLock { ($0.open, $0.place) }
        let pages = try? database?.environment.usage()
        return CacheUsage(
            bytes: Int64(counters.bytes.value),
            limit: writer.limit.load(ordering: .relaxed),
            chunks: counters.chunks.value,
            objects: directory.occupied,
            fileBytes: place?.fileBytes ?? 0,
            diskBytes: pages?.diskBytes ?? 0,
            freeBytes: pages?.freeBytes ?? 0,
            fillBytes: settings.fillBytes - budget.freeBytes,
            oldestReader: database?.environment.oldestReaderAge
        )
    }

    /// The chunks of an object that are stored, as ranges of indices in order. Blocks.
    package func runs(of object: CachedObject) -> [Range<UInt64>] {
        guard let (environment, chunks) = writer.reading else { return [] }
        var runs: [Range<UInt64>] = []
        // What could not be read is not there.
        try? environment.read { transaction in
            try transaction.walk(chunks, from: ChunkID(object: object.number, index: 0)) { key, _ in
                guard let id = ChunkID(key: key), id.object == object.number, id.index <= object.lastIndex else {
                    return .stop
                }
                if let last = runs.last, last.upperBound == id.index {
                    runs[runs.count - 1] = last.lowerBound..<id.index + 1
                } else {
                    runs.append(id.index..<id.index + 1)
                }
                return .next
            }
        }
        return runs
    }

    /// Reads and checks every chunk, one after the other, and drops those that are not what was stored. What was not in
    /// memory before is not afterwards.
    ///
    /// - Parameter progress: called after each chunk.
    /// - Throws: `CancellationError`, and what fails in the database; also if there is none, or another one than at the start.
    package func verify(
        progress: @Sendable (CacheVerification) -> Void = { _ in }
    ) async throws -> CacheVerification {
        // What there was at the start has been found by then.
        await flush()
        var result = CacheVerification(total: counters.chunks.value)
        guard let (environment, chunks) = writer.reading else {
            throw CacheDirectoryError(reason: failure ?? "the cache is closed")
        }
        var next: ChunkID? = .first
        while let start = next {
            try Task.checkCancellation()
            guard writer.reading?.0 === environment else {
                throw CacheDirectoryError(reason: "the cache was closed or begun anew meanwhile")
            }
            let checked = try await pool.runIfActive { try self.checkOne(from: start, environment, chunks) }
            guard let checked else { break }
            next = checked.id.next
            result.checked += 1
            result.bytes += Int64(checked.length)
            if checked.isCorrupt { result.corrupt += 1 }
            result.total = max(result.total, result.checked)
            progress(result)
        }
        return result
    }
}
