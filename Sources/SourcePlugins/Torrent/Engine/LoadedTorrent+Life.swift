import Synchronization

// Coming, staying and leaving.
extension LoadedTorrent {
    /// Keeps the torrent loaded; `nil` if it is leaving.
    func lease() -> Lease? {
        let isTaken = state.withLock { state in
            guard !state.isLeaving, state.failure == nil else { return false }
            state.leases += 1
            state.lastUse = now()
            return true
        }
        guard isTaken else { return nil }
        return Lease { [self] in
            let isIdle = state.withLock { state in
                state.leases -= 1
                state.lastUse = now()
                return state.leases == 0
            }
            if isIdle { hasChanged() }
        }
    }

    /// Likewise for the sake of a file, named as below the item; `nil` also if there is no such file.
    func lease(for path: MediaPath) -> Lease? {
        let names = Array(path.components.dropFirst())
        let exists = state.withLock { state in
            if state.files.isEmpty, let metadata = state.metadata {
                state.files = Set(metadata.files.filter(\.isServable).map(\.path))
            }
            // By its number; whether there is one of that number was asked before.
            return state.files.contains(names) || names.count == 1 && names[0].bytes.first == UInt8(ascii: "~")
        }
        return exists ? lease() : nil
    }

    /// Decides that the torrent goes, unless somebody uses it.
    ///
    /// - Parameter force: whether it goes all the same.
    /// - Returns: `false` if it does not, or cannot now.
    func beginLeaving(force: Bool = false) -> Bool {
        state.withLock { state in
            guard !state.isLeaving, !state.isStartingOver, force || state.leases == 0 else { return false }
            state.isLeaving = true
            return true
        }
    }

    /// Goes on after the disk was full, or another failure of a file.
    func goOn() {
        let number = state.withLock { state in
            (state.isStalled, state.isDiskFull) = (false, false)
            return state.number
        }
        session.resumeDownload(number)
        // Figures that are on their way say how it was before.
        session.postFigures()
    }

    /// Has peers that were lost tried again.
    func retryPeers(maxConnections: Int32) { session.retryPeers(number, maxConnections: maxConnections) }

    /// Takes the torrent out of the session, and waits until it is gone, with its files if they are to be deleted.
    ///
    /// - Throws: `CancellationError`.
    func remove(deletesFiles: Bool) async throws {
        session.remove(self, number, deletesFiles: deletesFiles)
        try await wait { state in
            // Gone is a failure like any other to those who read.
            state.failure != nil && (!deletesFiles || !state.hasFiles) ? () : nil
        }
    }

    /// Takes the torrent out of the session and adds it again, without its files if they are to be deleted. Those who wait
    /// go on waiting.
    ///
    /// - Parameter clear: deletes of the files what libtorrent may have left.
    /// - Throws: ``SourceError`` or `CancellationError`; the torrent is then of no use any more.
    func startOver(
        _ description: NewTorrent,
        deletesFiles: Bool,
        clear: () async throws -> Void
    ) async throws {
        let began = state.withLock { state -> UInt64? in
            guard !state.isLeaving, !state.isStartingOver else { return nil }
            (state.isStartingOver, state.hasFiles, state.isInSession) = (true, true, true)
            // Whoever reads from here on waits for a piece, until the files have been looked at again.
            forgetPieces(&state)
            return state.number
        }
        guard let number = began else { return }
        defer { state.withLock { $0.isStartingOver = false } }
        session.remove(self, number, deletesFiles: deletesFiles)
        try await wait { $0.isInSession || deletesFiles && $0.hasFiles ? nil : () }
        if deletesFiles { try await clear() }
        state.withLock { state in
            (state.reads, state.hasFiles, state.hasLostPeers) = ([], true, false)
            (state.isStalled, state.isDiskFull) = (false, false)
            // Some may have been finished until it was gone.
            forgetPieces(&state)
            state.plan?.forgetTold(now: now())
        }
        try add(description)
        session.updateIsDue()
    }

    private func forgetPieces(_ state: inout State) {
        guard let layout = state.plan?.layout else { return }
        state.plan?.replaceHave(PieceSet(pieceCount: layout.pieceCount), now: now())
    }

    /// The info dictionary, once a peer has sent it. Not vetted.
    func fetchedInfo() async throws -> [UInt8] {
        try await wait { state in
            if let failure = state.failure { throw failure }
            return state.info
        }
    }

    /// Waits until it is known which pieces are on the disk.
    func ready() async throws {
        try await wait { state in
            if let failure = state.failure { throw failure }
            return state.plan == nil ? nil : ()
        }
    }

    /// Asks for what is needed to load the torrent later as it is, and waits for it.
    ///
    /// - Returns: `nil` if there is nothing new.
    func resumeData(onlyIfModified: Bool) async throws -> [UInt8]? {
        let number = state.withLock { state in
            state.resumeData = nil
            return state.number
        }
        guard session.saveResume(number, onlyIfModified: onlyIfModified) else { return nil }
        let data = try await wait { state in
            if let data = state.resumeData { return data }
            if let failure = state.failure { throw failure }
            return nil
        }
        return data.isEmpty ? nil : data
    }
}
