import Synchronization

// Waiting for pieces.
extension LoadedTorrent {
    ///
    /// - Throws: ``SourceError`` or `CancellationError`.
    func bytes(of piece: Int) async throws -> PieceBytes {
        let id = state.withLock { $0.makeID() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let failure = state.withLock { state -> (any Error)? in
                    if let failure = self.failure(of: state) { return failure }
                    state.pieceWaits[piece, default: [:]][id] = .bytes(continuation)
                    if state.plan?.have.contains(piece) == true { requestBytes(of: piece, &state) }
                    return nil
                }
                if let failure { continuation.resume(throwing: failure) }
            }
        } onCancel: {
            leave(piece, id)
        }
    }

    /// Waits until `piece` is there.
    ///
    /// - Throws: ``SourceError`` or `CancellationError`.
    func presence(of piece: Int) async throws {
        let id = state.withLock { $0.makeID() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let settled = state.withLock { state -> Result<Void, any Error>? in
                    if let failure = self.failure(of: state) { return .failure(failure) }
                    if state.plan?.have.contains(piece) == true { return .success(()) }
                    state.pieceWaits[piece, default: [:]][id] = .presence(continuation)
                    return nil
                }
                if let settled { continuation.resume(with: settled) }
            }
        } onCancel: {
            leave(piece, id)
        }
    }

    private func failure(of state: borrowing State) -> (any Error)? {
        if Task.isCancelled { return CancellationError() }
        return state.failure
    }

    private func leave(_ piece: Int, _ id: UInt64) {
        let wait = state.withLock { state in
            defer { if state.pieceWaits[piece]?.isEmpty == true { state.pieceWaits[piece] = nil } }
            return state.pieceWaits[piece]?.removeValue(forKey: id)
        }
        wait?.fail(CancellationError())
    }

    func takeWaits(of piece: Int, where condition: (PieceWait) -> Bool) -> [PieceWait] {
        state.withLock { state in
            state.reads.remove(piece)
            let taken = state.pieceWaits[piece]?.filter { condition($0.value) } ?? [:]
            for id in taken.keys { state.pieceWaits[piece]?[id] = nil }
            if state.pieceWaits[piece]?.isEmpty == true { state.pieceWaits[piece] = nil }
            return Array(taken.values)
        }
    }

    /// Ends everybody's wait, and every one from now on.
    func fail(_ error: SourceError) {
        change { $0.failure = $0.failure ?? error }
        endWaits(error)
    }

    /// Ends everybody's wait. The torrent may go on later.
    func stalled(_ error: SourceError) {
        change { ($0.isStalled, $0.hasLostPeers) = (true, true) }
        endWaits(error)
    }

    func endWaits(_ error: SourceError) {
        let waits = state.withLock { state in
            defer { (state.pieceWaits, state.reads) = ([:], []) }
            return state.pieceWaits.values.flatMap(\.values)
        }
        for wait in waits { wait.fail(error) }
    }
}
