import CLibtorrent
import Dispatch
import Logging
import Synchronization

/// libtorrent's session, and the thread that takes its events.
///
/// Everything here may be called from any thread. What is marked *blocks* waits for libtorrent's own thread.
final class TorrentSession: Sendable {
    /// `@unchecked`: libtorrent's session may be used from any thread; `clibtorrent.h` says so of each function.
    private struct Handle: @unchecked Sendable {
        let session: OpaquePointer
    }

    private struct State {
        /// Torrents by their number in the session.
        var torrents: [UInt64: LoadedTorrent] = [:]
        var lastNumber: UInt64 = 0
        /// Torrents whose files are being deleted, which is the last that is heard of them.
        var deletions: Set<UInt64> = []
        /// Pieces whose hash is right and that are not known to be in the files, in the order they came.
        var unwritten: [UnwrittenPiece] = []
        var isClosing = false
    }

    private struct UnwrittenPiece {
        let number: UInt64
        let index: Int
        var nextLook: ContinuousClock.Instant
        /// Until the look after that.
        var patience = Duration.milliseconds(1)
    }

    private let handle: Handle
    private let wake: DispatchSemaphore
    private let logger: Logger
    /// Whether trackers over UDP can be asked, which some proxies cannot pass on.
    private let asksUDP: Bool
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state = Mutex(State())
    private let pump = DispatchGroup()

    /// Opens sockets and starts threads. *Blocks*.
    ///
    /// - Parameter now: the clock of the torrents' reading plans.
    /// - Throws: ``SourceError`` `unavailable`.
    init(
        _ settings: TorrentSettings,
        logger: Logger,
        now: @escaping @Sendable () -> ContinuousClock.Instant
    ) throws {
        guard clt_is_compatible() != 0 else {
            throw SourceError(
                .unavailable,
                "the libtorrent that is installed, \(String(cString: clt_version())), is not the one this was built for"
            )
        }
        let wake = DispatchSemaphore(value: 0)
        self.wake = wake
        self.logger = logger
        self.now = now
        asksUDP = settings.proxy?.kind != .http
        let session = try SessionSettings(settings).withSettings { values, blocked in
            var session: OpaquePointer?
            // The semaphore outlives the session: `close` gives this reference back.
            let context = Unmanaged.passRetained(wake).toOpaque()
            let code = clt_session_new(
                values,
                blocked.baseAddress,
                blocked.count,
                { context in
                    guard let context else { return }
                    Unmanaged<DispatchSemaphore>.fromOpaque(context).takeUnretainedValue().signal()
                },
                context,
                &session
            )
            guard code == CLT_OK, let session else {
                Unmanaged<DispatchSemaphore>.fromOpaque(context).release()
                throw SourceError(.unavailable, "libtorrent could not be started (\(code.rawValue))")
            }
            return session
        }
        handle = Handle(session: session)
        pump.enter()
        DispatchQueue(label: "media-gateway.torrent", qos: .userInitiated).async { self.takeEvents() }
    }

    /// Ends everything; whoever waits for a piece is told. *Blocks* until trackers have been told, at most `seconds`, after
    /// which the rest is left behind.
    func close(within seconds: Int) {
        let torrents = state.withLock { state in
            state.isClosing = true
            defer { state.torrents = [:] }
            return state.torrents
        }
        for (number, torrent) in torrents {
            torrent.fail(SourceError(.unavailable, "the gateway is shutting down"))
            // Nothing more is heard of it.
            torrent.receive(.filesDeleted(failure: nil), number: number)
        }
        wake.signal()
        pump.wait()
        let closed = DispatchSemaphore(value: 0)
        DispatchQueue(label: "media-gateway.torrent.close").async { [self] in
            clt_session_close(handle.session)
            closed.signal()
        }
        if closed.wait(timeout: .now() + .seconds(seconds)) == .timedOut {
            logger.warning("torrent session not closed in time", metadata: ["seconds": "\(seconds)"])
        }
    }

    /// Everybody who may still call holds a reference.
    deinit {
        clt_session_free(handle.session)
        Unmanaged.passUnretained(wake).release()
    }

    // MARK: - Events

    /// The thread that takes events until the end.
    private func takeEvents() {
        while !state.withLock({ $0.isClosing }) {
            let context = Unmanaged.passUnretained(self).toOpaque()
            clt_session_poll(
                handle.session,
                { context, event in
                    guard let context, let event else { return }
                    Unmanaged<TorrentSession>.fromOpaque(context).takeUnretainedValue().deliver(event.pointee)
                },
                context
            )
            let written = deliverWritten()
            _ = wake.wait(timeout: min(nextUpdate(), written))
        }
        pump.leave()
    }

    private func deliver(_ event: clt_event) {
        guard event.torrent != 0 else {
            deliverOfSession(event)
            return
        }
        // Made first: bytes that come with it have to be released.
        guard let told = TorrentEvent(event) else { return }
        if case .pieceFinished(let index) = told {
            let piece = UnwrittenPiece(number: event.torrent, index: index, nextLook: .now)
            return state.withLock { $0.unwritten.append(piece) }
        }
        let torrent = state.withLock { state -> LoadedTorrent? in
            switch told {
            case .removed where !state.deletions.contains(event.torrent), .filesDeleted:
                state.deletions.remove(event.torrent)
                return state.torrents.removeValue(forKey: event.torrent)
            default:
                return state.torrents[event.torrent]
            }
        }
        torrent?.receive(told, number: event.torrent)
    }

    /// Tells of the pieces that are in the files by now, and says when to look again.
    ///
    /// libtorrent says that a piece is right when its hash is, and writes it meanwhile. If that fails it fetches the piece
    /// once more, but would read it from the files if it was asked to.
    private func deliverWritten() -> DispatchTime {
        let (pieces, torrents) = state.withLock { state in
            defer { state.unwritten = [] }
            return (state.unwritten, state.torrents)
        }
        guard !pieces.isEmpty else { return .distantFuture }
        let now = ContinuousClock.now
        var left: [UnwrittenPiece] = []
        // Pieces of a torrent are written in this order, so where one is not, those behind it need not be asked for.
        var behind: Set<UInt64> = []
        for var piece in pieces {
            guard let torrent = torrents[piece.number] else { continue }
            if piece.nextLook > now || behind.contains(piece.number) {
                left.append(piece)
            } else if isOnDisk(piece.index, number: piece.number) {
                torrent.receive(.pieceFinished(piece.index), number: piece.number)
            } else {
                behind.insert(piece.number)
                piece.nextLook = now + piece.patience
                piece.patience = min(piece.patience * 2, .milliseconds(100))
                left.append(piece)
            }
        }
        state.withLock { $0.unwritten = left + $0.unwritten }
        guard let next = left.map(\.nextLook).min() else { return .distantFuture }
        let wait = max(next - .now, .milliseconds(1))
        return .now() + .milliseconds(Int(wait / .milliseconds(1)))
    }

    private func deliverOfSession(_ event: clt_event) {
        let message = String(cString: event.message)
        switch event.kind {
        case CLT_EVENT_LISTENING:
            logger.info("listening for peers", metadata: ["port": "\(event.endpoint.port)"])
        case CLT_EVENT_LISTEN_FAILED:
            logger.warning("cannot listen for peers", metadata: ["reason": "\(message)"])
        case CLT_EVENT_PEER_REFUSED:
            logger.debug("peer refused", metadata: ["reason": "\(message)"])
        case CLT_EVENT_DROPPED:
            logger.error("events of the torrent session were lost")
        default: break
        }
    }

    // MARK: - Updates of reading plans

    /// Carries out what is due, and says when to look again.
    private func nextUpdate() -> DispatchTime {
        let now = now()
        let torrents = state.withLock { Array($0.torrents.values) }
        let due = torrents.compactMap { $0.updatePlan(now: now) }.min()
        guard let due else { return .now() + .seconds(1) }
        let nanoseconds = min(max((due - now).wholeNanoseconds, 0), 1_000_000_000)
        return .now() + .nanoseconds(Int(nanoseconds))
    }

    /// Something has to be done earlier than it was said.
    func updateIsDue() { wake.signal() }

    // MARK: - Torrents

    /// A number for `torrent`, under which its events come.
    func register(_ torrent: LoadedTorrent) -> UInt64? {
        state.withLock { state in
            guard !state.isClosing else { return nil }
            state.lastNumber += 1
            state.torrents[state.lastNumber] = torrent
            return state.lastNumber
        }
    }

    /// No event comes under this number any more.
    func unregister(_ number: UInt64) {
        state.withLock { state in
            state.torrents[number] = nil
            state.deletions.remove(number)
        }
    }

    /// Adds a torrent under the number that ``register(_:)`` gave.
    ///
    /// - Throws: ``SourceError``.
    func add(_ torrent: borrowing NewTorrent, number: UInt64) throws {
        let code = torrent.withC(number: number) { clt_add(handle.session, $0) }
        guard code == CLT_OK else {
            unregister(number)
            throw SourceError(.unavailable, "libtorrent refuses the torrent (\(code.rawValue))")
        }
    }

    func remove(_ torrent: LoadedTorrent, _ number: UInt64, deletesFiles: Bool) {
        if deletesFiles { state.withLock { _ = $0.deletions.insert(number) } }
        guard clt_remove(handle.session, number, deletesFiles ? 1 : 0) != CLT_OK else { return }
        // It is gone already, perhaps said to be, and nothing more is heard of it.
        unregister(number)
        torrent.receive(.removed, number: number)
        torrent.receive(.filesDeleted(failure: nil), number: number)
    }

    /// Tells libtorrent what is wanted.
    func perform(_ commands: [PieceCommand], number: UInt64) {
        for command in commands {
            switch command {
            case .reset(let pieces):
                for piece in pieces { clt_reset_deadline(handle.session, number, Int32(clamping: piece)) }
            case .clearAll:
                clt_clear_deadlines(handle.session, number)
            case .priorities(let priorities):
                let values = priorities.map {
                    clt_piece_priority(piece: Int32(clamping: $0.piece), priority: $0.priority)
                }
                clt_set_priorities(handle.session, number, values, values.count)
            case .deadlines(let deadlines):
                for deadline in deadlines {
                    let milliseconds = Int32(clamping: deadline.milliseconds)
                    clt_set_deadline(handle.session, number, Int32(clamping: deadline.piece), milliseconds)
                }
            }
        }
    }

    /// Asks for the bytes of a piece, which come as an event.
    ///
    /// - Returns: whether they will.
    func readPiece(_ piece: Int, number: UInt64) -> Bool {
        clt_read_piece(handle.session, number, Int32(clamping: piece)) == CLT_OK
    }

    /// Whether a piece can be read from the files. *Blocks*.
    func isOnDisk(_ piece: Int, number: UInt64) -> Bool {
        clt_is_on_disk(handle.session, number, Int32(clamping: piece)) == CLT_OK
    }

    /// The path of a file below the directory of its torrent, as bytes.
    func path(ofFile index: Int, number: UInt64) -> [CChar]? {
        var path = [CChar](repeating: 0, count: 4096)
        let code = clt_file_path(handle.session, number, Int32(clamping: index), &path, path.count)
        return code == CLT_OK ? path : nil
    }

    /// Whether libtorrent cuts the torrent as `metadata` does.
    func agrees(with metadata: TorrentMetadata, number: UInt64) -> Bool {
        var layout = clt_layout()
        guard clt_get_layout(handle.session, number, &layout) == CLT_OK,
            layout.total_bytes == metadata.totalSize, Int64(layout.piece_length) == Int64(metadata.pieceLength),
            Int(layout.piece_count) == metadata.pieceCount, Int(layout.file_count) == metadata.files.count
        else { return false }
        return metadata.files.allSatisfy { file in
            var (offset, size): (Int64, Int64) = (0, 0)
            let code = clt_get_file_layout(handle.session, number, Int32(clamping: file.index), &offset, &size)
            return code == CLT_OK && offset == file.offset && size == file.size
        }
    }

    func resumeDownload(_ number: UInt64) { clt_resume_download(handle.session, number) }

    func saveResume(_ number: UInt64, onlyIfModified: Bool) -> Bool {
        clt_save_resume(handle.session, number, onlyIfModified ? 1 : 0) == CLT_OK
    }

    /// Whether peers are sent anything.
    func setUploading(_ isUploading: Bool) {
        var created: OpaquePointer?
        guard clt_settings_new_empty(&created) == CLT_OK, let values = created else { return }
        defer { clt_settings_free(values) }
        clt_settings_set_int(values, "unchoke_slots_limit", isUploading ? 8 : 0)
        clt_session_apply(handle.session, values)
    }

    /// More places to ask for a torrent that has been added.
    func tell(_ leads: TorrentLeads, number: UInt64) {
        for peer in leads.peers {
            withUnsafePointer(to: clt_endpoint(peer)) { _ = clt_connect_peer(handle.session, number, $0) }
        }
        for tracker in leads.trackers where asksUDP || !tracker.text.hasPrefix("udp:") {
            clt_add_tracker(handle.session, number, tracker.text)
        }
    }

    /// Has peers that a torrent lost while nothing was wanted of it tried again.
    func retryPeers(_ number: UInt64, maxConnections: Int32) {
        clt_retry_peers(handle.session, number, maxConnections)
    }

    /// Asks for the figures of all torrents of which they have changed.
    func postFigures() { clt_session_post_status(handle.session) }
}

extension Duration {
    /// Rounded towards zero; the nearest that can be expressed.
    var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (scaled, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carry) = scaled.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow || carry ? (seconds < 0 ? .min : .max) : sum
    }
}
