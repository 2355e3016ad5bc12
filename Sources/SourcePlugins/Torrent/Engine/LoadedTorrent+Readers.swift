import Synchronization

// What readers want of the torrent.
extension LoadedTorrent {
    /// A read of `bytes` of the torrent begins, in a file that ends at `limit`.
    ///
    /// - Parameter client: `nil` if nobody can tell whom it is for, or if it is for nobody.
    func openReader(_ bytes: Range<Int64>, limit: Int64, client: ReadClient?) -> ReaderID {
        let id = state.withLock { state in
            let id = ReaderID(state.makeID())
            state.plan?.open(id, bytes, limit: limit, client: client, now: now())
            return id
        }
        session.updateIsDue()
        return id
    }

    /// Somebody waits for the reader's next bytes, until it moves.
    func pullReader(_ id: ReaderID) {
        let isDue = state.withLock { state in
            let due = state.plan?.nextUpdate
            state.plan?.beginPull(id, now: now())
            return state.plan?.nextUpdate != due
        }
        if isDue { session.updateIsDue() }
    }

    /// What the reader was pulled for has come, up to `position`.
    func moveReader(_ id: ReaderID, to position: Int64) {
        let isDue = state.withLock { state in
            let time = now()
            state.plan?.move(id, to: position, now: time)
            state.plan?.endPull(id, now: time)
            return state.plan?.nextUpdate != nil
        }
        if isDue { session.updateIsDue() }
    }

    func closeReader(_ id: ReaderID) {
        state.withLock { state in
            state.plan?.close(id, now: now())
            // What was hinted at is forgotten with the last reader.
            if state.plan?.hasReaders == false { state.primed = [] }
        }
        session.updateIsDue()
    }

    func hint(_ ranges: [Range<Int64>]) {
        state.withLock { $0.plan?.hint(ranges, now: now()) }
        session.updateIsDue()
    }

    /// Whether the index of the file has not been looked for yet; after that it has.
    func beginsPriming(_ file: Int) -> Bool { state.withLock { $0.primed.insert(file).inserted } }

    /// It was not found; another reader may look for it.
    func endPriming(_ file: Int) { state.withLock { _ = $0.primed.remove(file) } }

    /// Tells libtorrent what is due to be told.
    ///
    /// - Returns: when to come again; `nil` if nothing is to be told.
    func updatePlan(now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        // Under the lock, so that nothing else of this torrent comes in between.
        state.withLock { state in
            guard let due = state.plan?.nextUpdate else { return nil }
            guard due <= now else { return due }
            if let commands = state.plan?.update(now: now) { session.perform(commands, number: state.number) }
            return state.plan?.nextUpdate
        }
    }
}
