import CLibtorrent
import Glibc
import Synchronization

/// One torrent in the session: what it has, what is wanted of it, and who waits for which piece.
///
/// A failure ends everybody who waits; the torrent stays until it is unloaded, and works again if libtorrent does.
final class LoadedTorrent: Sendable {
    private enum PieceWait {
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

    private struct State {
        /// In the session. Another one each time it is added.
        var number: UInt64 = 0
        /// As it came from a peer, not vetted.
        var info: [UInt8]?
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
        /// The last that libtorrent gave; empty if it had nothing new to give.
        var resumeData: [UInt8]?
        var hasFiles = true
        /// Is being removed to be added anew without its files.
        var isStartingOver = false

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
    /// Peers that a link named.
    let peers: [PeerAddress]
    /// Pieces from the first on that are wanted before anybody reads.
    let wantedHead: Int
    let metrics: TorrentMetrics
    private let now: @Sendable () -> ContinuousClock.Instant
    /// Told when the last lease is gone.
    private let becameIdle: @Sendable () -> Void
    private let state: Mutex<State>

    init(
        _ id: ItemID,
        session: TorrentSession,
        directory: String,
        peers: [PeerAddress] = [],
        wantedHead: Int = 0,
        metadata: TorrentMetadata?,
        metrics: TorrentMetrics,
        now: @escaping @Sendable () -> ContinuousClock.Instant,
        becameIdle: @escaping @Sendable () -> Void
    ) {
        self.id = id
        self.session = session
        self.directory = directory
        self.peers = peers
        self.wantedHead = wantedHead
        self.metrics = metrics
        self.now = now
        self.becameIdle = becameIdle
        state = Mutex(State(metadata: metadata, lastUse: now()))
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
    }

    private func makePlan(_ state: inout State) {
        guard state.plan == nil, let metadata = state.metadata, let bitfield = state.bitfield.take(),
            let layout = PieceLayout(pieceLength: metadata.pieceLength, totalLength: metadata.totalSize)
        else { return }
        var have = PieceSet(pieceCount: layout.pieceCount, bitfield: bitfield)
        for piece in state.early { have.insert(piece) }
        state.early = []
        let head = (0..<min(wantedHead, layout.pieceCount)).map { ($0, PieceDemand.urgent) }
        state.plan = ReadingPlan(layout: layout, have: have, priorities: Dictionary(uniqueKeysWithValues: head))
    }

    // MARK: - Events

    func receive(_ event: TorrentEvent, number: UInt64) {
        guard number == self.number else { return }
        switch event {
        case .added(.some(let failure)):
            fail(SourceError(.unavailable, "the torrent cannot be added: \(failure)"))
        case .added(nil):
            // What was told before it was there was told to nobody.
            state.withLock { $0.plan?.forgetTold(now: now()) }
            session.updateIsDue()
        case .metadata(let info):
            change { $0.info = info }
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
            let message = code == ENOSPC ? "the disk is full" : "a file of the torrent failed: \(reason)"
            guard isStalled || code == ENOSPC else { return }
            stalled(SourceError(.unavailable, message))
        case .removed:
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
                return state.figures
            }
            metrics.count(figures, after: last)
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
            state.isStalled = false
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
    private func requestBytes(of piece: Int, _ state: inout State) {
        guard state.reads.insert(piece).inserted else { return }
        if !session.readPiece(piece, number: state.number) { state.reads.remove(piece) }
    }

    /// More places to ask, of a torrent whose metadata nobody has sent yet.
    func help(peers: [PeerAddress], trackers: [TrackerURL]) {
        let number = number
        for peer in peers { session.connect(to: clt_endpoint(peer), number: number) }
        for tracker in trackers { session.addTracker(tracker.text, number: number) }
    }

    private func takeWaits(of piece: Int, where condition: (PieceWait) -> Bool) -> [PieceWait] {
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
    private func stalled(_ error: SourceError) {
        change { $0.isStalled = true }
        endWaits(error)
    }

    private func endWaits(_ error: SourceError) {
        let waits = state.withLock { state in
            defer { (state.pieceWaits, state.reads) = ([:], []) }
            return state.pieceWaits.values.flatMap(\.values)
        }
        for wait in waits { wait.fail(error) }
    }

    // MARK: - Waiting

    /// Changes what the torrent is, and wakes who waits for that.
    private func change(_ body: (inout State) -> Void) {
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
    private func wait<Value: Sendable>(
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

    /// The bytes of `piece`, once they are there.
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

    // MARK: - Readers

    /// A read of `bytes` of the torrent begins, in a file that ends at `limit`.
    func openReader(_ bytes: Range<Int64>, limit: Int64) -> ReaderID {
        let id = state.withLock { state in
            let id = ReaderID(state.makeID())
            state.plan?.open(id, bytes, limit: limit, now: now())
            return id
        }
        session.updateIsDue()
        return id
    }

    func moveReader(_ id: ReaderID, to position: Int64) {
        let isDue = state.withLock { state in
            state.plan?.move(id, to: position, now: now())
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

    // MARK: - Life

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
            if isIdle { becameIdle() }
        }
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

    var leases: Int { state.withLock { $0.leases } }

    /// When the last byte was read or the last lease ended.
    var lastUse: ContinuousClock.Instant { state.withLock { $0.leases > 0 ? now() : $0.lastUse } }

    func used() { state.withLock { $0.lastUse = now() } }

    var figures: TorrentFigures { state.withLock { $0.figures } }
    var failure: SourceError? { state.withLock { $0.failure } }
    var isStalled: Bool { state.withLock { $0.isStalled } }

    /// Pieces that are there; `nil` while that is not known.
    var have: PieceSet? { state.withLock { $0.plan?.have } }

    /// What its files take, as far as pieces are whole.
    var bytesOnDisk: Int64 {
        state.withLock { state in
            guard let plan = state.plan else { return state.figures.done }
            return min(Int64(plan.have.count) * plan.layout.pieceLength, plan.layout.totalLength)
        }
    }

    /// Goes on after the disk was full, or another failure of a file.
    func goOn() {
        let number = state.withLock { state in
            state.isStalled = false
            return state.number
        }
        session.resumeDownload(number)
    }

    /// Takes the torrent out of the session, and waits until it is gone, with its files if they are to be deleted.
    ///
    /// - Throws: `CancellationError`.
    func remove(deletesFiles: Bool) async throws {
        session.remove(number, deletesFiles: deletesFiles)
        try await wait { state in
            // Gone is a failure like any other to those who read.
            state.failure != nil && (!deletesFiles || !state.hasFiles) ? () : nil
        }
    }

    /// Deletes what there is on the disk, and goes on without: those who wait go on waiting.
    ///
    /// - Throws: ``SourceError`` or `CancellationError`; the torrent is then of no use any more.
    func startOver(_ description: NewTorrent) async throws {
        let began = state.withLock { state -> UInt64? in
            guard !state.isLeaving, !state.isStartingOver else { return nil }
            (state.isStartingOver, state.hasFiles) = (true, true)
            return state.number
        }
        guard let number = began else { return }
        defer { state.withLock { $0.isStartingOver = false } }
        session.remove(number, deletesFiles: true)
        try await wait { $0.hasFiles ? nil : () }
        state.withLock { state in
            (state.reads, state.hasFiles) = ([], true)
            guard var plan = state.plan else { return }
            plan.replaceHave(PieceSet(pieceCount: plan.layout.pieceCount), now: now())
            plan.forgetTold(now: now())
            state.plan = plan
        }
        try add(description)
        session.updateIsDue()
    }
}
