// Whose bytes somebody waits for, and whose nobody does.
//
// A player that seeks on a new connection may leave the old one half open, and what is fetched for that takes bandwidth
// from the place where it plays now. So a reader is superseded when it has not been pulled for a while, and a newer one
// of the same client in the same file waits for a piece. It stays so until it is pulled, whatever becomes of the newer
// one: reads come and go as a player plays on. To be older is no reason by itself: several players may be behind one
// address, and one player may read through two connections in turn.
extension ReadingPlan {
    enum Pull: Hashable {
        case open
        /// Nobody has waited for bytes since then.
        case idle(since: ContinuousClock.Instant)
        /// Nothing is wanted for the reader.
        case superseded
    }

    /// A client in a file.
    struct Viewer: Hashable {
        let client: ReadClient
        /// Tells files apart, as those that are read have bytes.
        let fileEnd: Int64
    }

    /// Somebody waits for the reader's next bytes. If it was superseded, it is a reader like any other again.
    package mutating func beginPull(_ id: ReaderID, now: ContinuousClock.Instant) {
        guard let index = readers.firstIndex(where: { $0.id == id }) else { return }
        let wasSuperseded = readers[index].pull == .superseded
        readers[index].pull = .open
        if wasSuperseded {
            countSharers()
            schedule(at: debounced(now))
        }
        guard let viewer = readers[index].viewer, isWaiting(readers[index]) else { return }
        for older in readers[..<index] where older.viewer == viewer {
            if case .idle(let since) = older.pull { schedule(at: since + policy.supersededAfter) }
        }
    }

    /// Nobody waits for the reader's bytes any more.
    package mutating func endPull(_ id: ReaderID, now: ContinuousClock.Instant) {
        guard let index = readers.firstIndex(where: { $0.id == id }), readers[index].pull == .open else { return }
        readers[index].pull = .idle(since: now)
        guard let viewer = readers[index].viewer else { return }
        if readers[index...].dropFirst().contains(where: { $0.viewer == viewer && isWaiting($0) }) {
            schedule(at: now + policy.supersededAfter)
        }
    }

    /// Supersedes the readers whose time has come, and has an update done when that of others will.
    mutating func supersede(now: ContinuousClock.Instant) {
        var waiting: Set<Viewer> = []
        for index in readers.indices.reversed() {
            guard let viewer = readers[index].viewer else { continue }
            if isWaiting(readers[index]) { waiting.insert(viewer) }
            guard case .idle(let since) = readers[index].pull, waiting.contains(viewer) else { continue }
            let time = since + policy.supersededAfter
            if time <= now { readers[index].pull = .superseded } else { schedule(at: time) }
        }
        countSharers()
    }

    /// Whether bytes are waited for that have not come.
    private func isWaiting(_ reader: Reader) -> Bool { reader.pull == .open && lacksNext(reader) }

    /// Whether the piece at the reader's position is missing.
    func lacksNext(_ reader: Reader) -> Bool {
        have.firstMissing(in: layout.pieces(of: reader.position..<reader.position + 1)) != nil
    }
}
