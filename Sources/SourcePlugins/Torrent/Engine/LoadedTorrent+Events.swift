import Glibc
import Synchronization

// What libtorrent tells of the torrent.
extension LoadedTorrent {
    func receive(_ event: TorrentEvent, number: UInt64) {
        guard number == self.number else { return }
        switch event {
        case .added(.some(let failure), let isDuplicate):
            change { $0.isDuplicate = isDuplicate }
            fail(SourceError(.unavailable, "the torrent cannot be added: \(failure)"))
        case .added(nil, _):
            // What was told before it was there was told to nobody.
            let leads = state.withLock { state in
                state.plan?.forgetTold(now: now())
                return state.metadata?.isPrivate == true ? TorrentLeads() : state.leads
            }
            session.tell(leads, number: number)
            session.updateIsDue()
        case .metadata(let info):
            change { $0.info = info }
        case .conflict(let info):
            change { ($0.info, $0.isConflicting) = (info, true) }
        case .checked(let bitfield):
            checked(bitfield)
        case .pieceFinished(let piece):
            finished(piece)
        case .hashFailed:
            metrics.countHashFailure()
        case .pieceData(let piece, let bytes):
            let waits = takeWaits(of: piece) { if case .bytes = $0 { true } else { false } }
            for case .bytes(let continuation) in waits { continuation.resume(returning: bytes) }
        case .pieceFailed(let piece, let reason):
            for wait in takeWaits(of: piece, where: { if case .bytes = $0 { true } else { false } }) {
                wait.fail(SourceError(.unavailable, "a piece that is there cannot be read: \(reason)"))
            }
        case .stopped(let reason):
            if metadata == nil {
                fail(SourceError(.refused, "the torrent is not served: \(reason)"))
            } else {
                stalled(SourceError(.unavailable, "the torrent stopped: \(reason)"))
            }
        case .fileFailed(let code, let reason, let isStalled):
            let isDiskFull = code == ENOSPC || code == EDQUOT
            let message = isDiskFull ? "the disk is full" : "a file of the torrent failed: \(reason)"
            guard isStalled || isDiskFull else { return }
            if isDiskFull { change { $0.isDiskFull = true } }
            stalled(SourceError(.unavailable, message))
        case .removed:
            change { $0.isInSession = false }
            guard !state.withLock({ $0.isStartingOver }) else { return }
            fail(SourceError(.notFound, "the torrent was removed"))
        case .filesDeleted:
            change { $0.hasFiles = false }
        case .resumeData(let bytes):
            change { $0.resumeData = bytes }
        case .noResumeData:
            change { $0.resumeData = [] }
        case .figures(let figures):
            let last = state.withLock { state in
                defer { state.figures = figures }
                // A piece may be finished after the disk was full for another: what libtorrent says of itself counts. Not
                // before the files were looked at: it pauses a torrent for a moment when that is added.
                if state.plan != nil {
                    state.isStalled = figures.isStalled
                    state.hasLostPeers = state.hasLostPeers || figures.isStalled
                }
                return state.figures
            }
            metrics.count(figures, after: last)
            hasChanged()
        case .trackerFailed:
            break
        }
    }

    private func checked(_ bitfield: [UInt8]) {
        change { state in
            guard var plan = state.plan else {
                state.bitfield = bitfield
                makePlan(&state)
                return
            }
            plan.replaceHave(PieceSet(pieceCount: plan.layout.pieceCount, bitfield: bitfield), now: now())
            state.plan = plan
        }
        answerPresent()
    }

    private func finished(_ piece: Int) {
        let waits = state.withLock { state -> [PieceWait] in
            if state.plan == nil { state.early.append(piece) }
            state.plan?.pieceFinished(piece, now: now())
            guard let waits = state.pieceWaits[piece] else { return [] }
            if waits.values.contains(where: { if case .bytes = $0 { true } else { false } }) {
                requestBytes(of: piece, &state)
            }
            let present = waits.filter { if case .presence = $0.value { true } else { false } }
            for id in present.keys { state.pieceWaits[piece]?[id] = nil }
            return Array(present.values)
        }
        for case .presence(let continuation) in waits { continuation.resume() }
        session.updateIsDue()
    }

    /// Answers those who wait for pieces that are there all at once, as after the files were looked at.
    private func answerPresent() {
        let pieces = state.withLock { state in
            state.pieceWaits.keys.filter { state.plan?.have.contains($0) == true }
        }
        for piece in pieces { finished(piece) }
    }

    /// Asks libtorrent for the bytes of a piece that is there, once however many wait.
    func requestBytes(of piece: Int, _ state: inout State) {
        guard state.reads.insert(piece).inserted else { return }
        if !session.readPiece(piece, number: state.number) { state.reads.remove(piece) }
    }
}
