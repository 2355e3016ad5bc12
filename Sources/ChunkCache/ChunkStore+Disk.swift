import NIOPosix
import Synchronization

/// What is not in memory, or was not checked yet.
extension ChunkStore {
    /// Has a part of the chunk read into memory, and all of it if it was not checked before, unless it is on the way into
    /// the cache.
    ///
    /// - Parameter part: offsets in the chunk; it is cut at the chunk's end.
    func prepare(_ id: ChunkID, _ part: Range<Int>) async {
        await withCheckedContinuation { continuation in
            pool.submit { _ in
                self.prepareNow(id, part)
                continuation.resume()
            }
        }
    }

    /// Begins to do so with the chunk behind this one, as far as it lies before `end`, and waits for nothing.
    package func prefetch(behind id: ChunkID, of object: CachedObject, upTo end: Int64) {
        let id = ChunkID(object: id.object, index: id.index + 1)
        let part = object.part(of: id, in: 0..<end)
        guard !part.isEmpty, isStored(id), withBytes(of: id, part, { _ in true }) == nil else { return }
        let isNew = preparing.withLock { $0.count < 64 && $0.insert(id).inserted }
        guard isNew else { return }
        pool.submit { _ in
            self.prepareNow(id, part)
            self.preparing.withLock { _ = $0.remove(id) }
        }
    }

    private func prepareNow(_ id: ChunkID, _ part: Range<Int>) {
        let began = ContinuousClock.now
        defer { counters.note(.read, since: began) }
        guard case .stored(let isVerified) = table.state(of: id) else { return }
        guard let (environment, chunks) = writer.reading else { return table.remove(id) }
        do {
            let found = try environment.withPlace { transaction in
                try transaction.place(of: id, in: chunks)
            } _: { place -> Check in
                guard isVerified else { return try check(id, in: place, environment, chunks) }
                if Residency.load(Self.bytes(part, of: place) ?? place) { return .right }
                writer.drop(id, corruptBy: .unreadable)
                return .corrupt
            }
            if found == nil || found == .gone { table.remove(id) }
        } catch {
            table.remove(id)
            writer.noteReadFailure(error, of: environment)
        }
    }

    enum Check {
        case right
        /// It was not what was stored, and is dropped.
        case corrupt
        case gone
    }

    /// Reads a chunk into memory and sums it up.
    ///
    /// - Parameter place: where it was a moment ago. It is summed up there without a transaction: this thread has to wait for a
    ///   processor where they are short, and the pages that are freed while a transaction is open cannot be used again
    ///   until it is over. The chunk may have left since, and another be written in its place, so only what is right there
    ///   is taken for it.
    func check(
        _ id: ChunkID,
        in place: UnsafeRawBufferPointer,
        _ environment: LMDBEnvironment,
        _ chunks: LMDBTable
    ) throws -> Check {
        if ChunkRecord.fault(of: place.bytes, id: id) == nil {
            table.markVerified(id)
            return .right
        }
        return try check(id, environment, chunks)
    }

    /// Sums up a chunk in a transaction.
    private func check(_ id: ChunkID, _ environment: LMDBEnvironment, _ chunks: LMDBTable) throws -> Check {
        let fault = try environment.read { transaction in
            try transaction.withValue(for: id, in: chunks) { ChunkRecord.fault(of: $0, id: id) }
        }
        switch fault {
        case nil: return .gone
        case .some(nil):
            table.markVerified(id)
            return .right
        case .some(let fault?):
            writer.drop(id, corruptBy: fault)
            return .corrupt
        }
    }
}
