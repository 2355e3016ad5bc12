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
            let isLoaded = try environment.withPlace { transaction in
                try transaction.place(of: id, in: chunks)
            } _: { place in
                Residency.load(isVerified ? Self.bytes(part, of: place) ?? place : place)
            }
            switch isLoaded {
            case nil: table.remove(id)
            case false?: writer.drop(id, corruptBy: .unreadable)
            case true?:
                if !isVerified, try check(id, environment, chunks) == .gone { table.remove(id) }
            }
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

    /// Sums up a chunk that has just been read into memory.
    func check(_ id: ChunkID, _ environment: LMDBEnvironment, _ chunks: LMDBTable) throws -> Check {
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
