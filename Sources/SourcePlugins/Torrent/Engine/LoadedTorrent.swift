import CLibtorrent
import Synchronization

/// One torrent in the session: what it has, what is wanted of it, and who waits for which piece.
///
/// A failure ends everybody who waits; the torrent stays until it is unloaded, and works again if libtorrent does.
final class LoadedTorrent: Sendable {
    enum PieceWait {
        case bytes(CheckedContinuation<PieceBytes, any Error>)
        /// Until it is there; bytes are read from the files.
        case presence(CheckedContinuation<Void, any Error>)

        func fail(_ error: any Error) {
            switch self {
            case .bytes(let continuation): continuation.resume(throwing: error)
            case .presence(let continuation): continuation.resume(throwing: error)
            }
        }
    }

    struct State {
        /// In the session. Another one each time it is added.
        var number: UInt64 = 0
        /// Where links say that it is to be had. libtorrent has been told.
        var leads: TorrentLeads
        /// As it came from a peer, not vetted.
        var info: [UInt8]?
        /// It could not be added, as the session has it under its other hash.
        var isDuplicate = false
        /// It turned out to be another one of the session, and neither works any more.
        var isConflicting = false
        var metadata: TorrentMetadata?
        /// Paths of its files, once somebody asked for one.
        var files: Set<[MediaPath.Component]> = []
        /// Of the pieces that were on the disk, until there is a plan.
        var bitfield: [UInt8]?
        /// Pieces that have come since, likewise.
        var early: [Int] = []
        var plan: ReadingPlan?
        /// Why nobody can wait for anything.
        var failure: SourceError?
        var isLeaving = false
        var leases = 0
        var lastUse: ContinuousClock.Instant
        var figures = TorrentFigures()
        /// Downloads nothing until libtorrent is told to go on.
        var isStalled = false
        /// For want of room on the disk.
        var isDiskFull = false
        /// The last that libtorrent gave; empty if it had nothing new to give.
        var resumeData: [UInt8]?
        var hasFiles = true
        /// Was stalled, which ends connections that libtorrent takes a minute to make again.
        var hasLostPeers = false
        /// Is being removed to be added anew.
        var isStartingOver = false
        var isInSession = true

        var nextID: UInt64 = 0
        var pieceWaits: [Int: [UInt64: PieceWait]] = [:]
        /// Pieces whose bytes were asked for.
        var reads: Set<Int> = []
        var changes: UInt64 = 0
        /// Woken by every change.
        var changeWaits: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var primed: Set<Int> = []

        mutating func makeID() -> UInt64 {
            nextID += 1
            return nextID
        }
    }

    let id: ItemID
    let session: TorrentSession
    /// Where its files are. Absolute.
    let directory: String
    /// Pieces from the first on that are wanted before anybody reads.
    let wantedHead: Int
    let metrics: TorrentMetrics
    let now: @Sendable () -> ContinuousClock.Instant
    /// Told when the last lease is gone, and of new figures.
    let hasChanged: @Sendable () -> Void
    let state: Mutex<State>

    init(
        _ id: ItemID,
        session: TorrentSession,
        directory: String,
        leads: TorrentLeads,
        wantedHead: Int = 0,
        metadata: TorrentMetadata?,
        metrics: TorrentMetrics,
        now: @escaping @Sendable () -> ContinuousClock.Instant,
        hasChanged: @escaping @Sendable () -> Void
    ) {
        self.id = id
        self.session = session
        self.directory = directory
        self.wantedHead = wantedHead
        self.metrics = metrics
        self.now = now
        self.hasChanged = hasChanged
        state = Mutex(State(leads: leads, metadata: metadata, lastUse: now()))
    }

    // MARK: - In the session

    /// Adds it to the session, for the first time or again.
    ///
    /// - Throws: ``SourceError``.
    func add(_ description: NewTorrent) throws {
        guard let number = session.register(self) else {
            throw SourceError(.unavailable, "the gateway is shutting down")
        }
        state.withLock { $0.number = number }
        try session.add(description, number: number)
    }

    /// What events and calls name it by.
    var number: UInt64 { state.withLock { $0.number } }

    var metadata: TorrentMetadata? { state.withLock { $0.metadata } }

    /// Vetted metadata, of a torrent that was added without.
    ///
    /// - Throws: ``SourceError`` `refused` if libtorrent does not see the same files in it.
    func accept(_ metadata: TorrentMetadata) throws {
        guard session.agrees(with: metadata, number: number) else {
            if let failure { throw failure }
            throw SourceError(.refused, "the torrent's files are ambiguous")
        }
        change { state in
            state.metadata = metadata
            state.info = nil
            makePlan(&state)
        }
        session.updateIsDue()
    }

    func makePlan(_ state: inout State) {
        guard state.plan == nil, let metadata = state.metadata, let bitfield = state.bitfield.take(),
            let layout = PieceLayout(pieceLength: metadata.pieceLength, totalLength: metadata.totalSize)
        else { return }
        var have = PieceSet(pieceCount: layout.pieceCount, bitfield: bitfield)
        for piece in state.early { have.insert(piece) }
        state.early = []
        let head = min(wantedHead, layout.pieceCount)
        let priorities = (0..<head).map { ($0, PieceDemand.urgent) }
        var plan = ReadingPlan(layout: layout, have: have, priorities: Dictionary(uniqueKeysWithValues: priorities))
        plan.open(head: head, now: now())
        state.plan = plan
    }

    var leads: TorrentLeads { state.withLock { $0.leads } }
    var isDuplicate: Bool { state.withLock { $0.isDuplicate } }
    var isConflicting: Bool { state.withLock { $0.isConflicting } }

    /// More places to ask. A private torrent asks its own trackers only.
    func help(_ leads: TorrentLeads) {
        let (taken, number) = state.withLock { state in
            (state.metadata?.isPrivate == true ? TorrentLeads() : state.leads.merge(leads), state.number)
        }
        session.tell(taken, number: number)
    }

    var leases: Int { state.withLock { $0.leases } }

    /// When the last byte was read or the last lease ended.
    var lastUse: ContinuousClock.Instant { state.withLock { $0.leases > 0 ? now() : $0.lastUse } }

    func used() { state.withLock { $0.lastUse = now() } }

    var figures: TorrentFigures { state.withLock { $0.figures } }
    var failure: SourceError? { state.withLock { $0.failure } }
    var isStalled: Bool { state.withLock { $0.isStalled } }
    /// Whether it is stalled for want of room on the disk.
    var isDiskFull: Bool { state.withLock { $0.isStalled && $0.isDiskFull } }
    /// Whether it goes on after it was stalled, and has nobody to ask.
    var hasLostPeers: Bool { state.withLock { $0.hasLostPeers && !$0.isStalled && $0.figures.peers == 0 } }

    /// Whether somebody reads and nobody is connected who could send anything.
    var lacksPeers: Bool {
        state.withLock { $0.plan?.hasReaders == true && $0.figures.peers == 0 && $0.isInSession && $0.failure == nil }
    }

    /// Pieces that are there; `nil` while that is not known.
    var have: PieceSet? { state.withLock { $0.plan?.have } }

    /// What its files take, as far as pieces are whole.
    var bytesOnDisk: Int64 {
        state.withLock { state in
            guard let plan = state.plan else { return state.figures.done }
            return min(Int64(plan.have.count) * plan.layout.pieceLength, plan.layout.totalLength)
        }
    }

    // MARK: - Changes

    /// Changes what the torrent is, and wakes who waits for that.
    func change(_ body: (inout State) -> Void) {
        let waits = state.withLock { state in
            body(&state)
            state.changes += 1
            defer { state.changeWaits = [:] }
            return state.changeWaits.values
        }
        for continuation in waits { continuation.resume() }
    }

    /// Waits until `condition` gives a value; it is asked again after every change.
    ///
    /// - Throws: what the condition throws, or `CancellationError`.
    func wait<Value: Sendable>(
        until condition: @Sendable (borrowing State) throws -> Value?
    ) async throws -> Value {
        while true {
            try Task.checkCancellation()
            let (id, value, changes) = try state.withLock { state in
                (state.makeID(), try condition(state), state.changes)
            }
            if let value { return value }
            await withTaskCancellationHandler {
                await withCheckedContinuation { continuation in
                    let isSettled = state.withLock { state in
                        guard !Task.isCancelled, state.changes == changes else { return true }
                        state.changeWaits[id] = continuation
                        return false
                    }
                    if isSettled { continuation.resume() }
                }
            } onCancel: {
                state.withLock { $0.changeWaits.removeValue(forKey: id) }?.resume()
            }
        }
    }
}
