import Logging
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Torrents, through libtorrent.
///
/// A torrent is known once its metadata has been seen, and stays known until it is removed. It is loaded, which opens
/// connections to peers, when bytes of it are read, and unloaded when nobody has used it for a while. The session itself
/// begins with the first torrent that is loaded: until then there is no socket.
package final class TorrentSource: ItemSource {
    /// What is under way with one torrent; there is one at a time. Whoever begins something ends it.
    enum Activity {
        /// Its metadata is being asked for.
        case resolving(LoadedTorrent?, Flight<StoredTorrent>)
        case loading(Flight<LoadedTorrent>)
        case loaded(LoadedTorrent)
        /// It is being unloaded, or its files are being deleted.
        case leaving(Flight<Void>)
    }

    struct State {
        var activities: [ItemID: Activity] = [:]
        /// Second hashes of torrents whose metadata is being asked for by both.
        var aliases: [ItemID: ItemID] = [:]
        var leads = LeadMemory()
        /// How many torrents are in the session, or about to be.
        var active = 0
        var session: Flight<TorrentSession>?
        var isClosing = false
        /// Wait for something of this to change.
        var waits: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var changes: UInt64 = 0
        var nextWait: UInt64 = 0
        /// Whether peers are sent anything.
        var isUploading = true

        var loaded: [LoadedTorrent] {
            activities.values.compactMap { if case .loaded(let torrent) = $0 { torrent } else { nil } }
        }

        /// The name under which metadata of a torrent with one of these hashes is being asked for.
        func asked(_ ids: [ItemID]) -> ItemID? {
            ids.lazy.map { aliases[$0] ?? $0 }.first { id in
                if case .resolving? = activities[id] { true } else { false }
            }
        }

        /// In the session, with or without metadata.
        func torrent(_ id: ItemID) -> LoadedTorrent? {
            switch activities[id] {
            case .loaded(let torrent): torrent
            case .resolving(let torrent, _): torrent
            case .loading, .leaving, nil: nil
            }
        }
    }

    let settings: TorrentSettings
    let context: SourceContext
    let catalogue: TorrentCatalogue
    let metrics: TorrentMetrics
    let now: @Sendable () -> ContinuousClock.Instant
    let state = Mutex(State())

    /// - Parameter now: decides when a torrent has been idle for long enough, and when what its readers want is told. A
    ///   clock that goes on as fast as time does, or faster.
    package init(
        _ settings: TorrentSettings,
        context: SourceContext,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.settings = settings
        self.context = context
        self.now = now
        metrics = TorrentMetrics(source: context.name)
        catalogue = TorrentCatalogue(
            directory: settings.stateDirectory + "/records",
            policy: settings.addressPolicy,
            pool: context.blockingPool,
            open: context.openRecords
        )
    }

    package func run() async throws {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [self] in
                await openRecords()
                await keepHouse()
            }
            await untilShutdown()
            tasks.cancelAll()
        }
        // Bounded by itself, and not cut short where it was cancellation that ended the wait.
        await Task { await shutDown() }.value
    }

    /// Another process may have the records, the one before this one say: tries until they can be opened.
    private func openRecords() async {
        while !Task.isCancelled {
            do {
                try await catalogue.ready()
                return
            } catch {
                context.logger.error("torrents not available yet", metadata: ["reason": "\(error)"])
                try? await Task.sleep(for: .seconds(5))
            }
        }
    }

    // MARK: - Objects

    package func open(_ path: MediaPath) async throws -> any MediaObject {
        guard !path.isDirectory, let id = path.item, path.components.count > 1 else {
            throw SourceError(.notFound, "there is no such file")
        }
        guard let torrent = try await catalogue.torrent(id) else {
            throw SourceError(.notFound, "there is no such torrent here")
        }
        guard let file = torrent.file(at: path) else { throw SourceError(.notFound, "the torrent has no such file") }
        catalogue.used(torrent.id)
        return TorrentObject(file, of: torrent, in: self)
    }

    package var readsAhead: Bool { true }

    package func lease(_ path: MediaPath) -> Lease? {
        guard let id = path.item.map(catalogue.resolve),
            case .loaded(let torrent) = state.withLock({ $0.activities[id] })
        else { return nil }
        return torrent.lease(for: path)
    }

    package func list(_ path: MediaPath) async throws -> [MediaEntry] {
        if path.isRoot {
            try await catalogue.ready()
            return try catalogue.known.map { id in
                MediaEntry(name: try .init(id.description.utf8), kind: .directory, lastModified: nil)
            }
        }
        // Listing asks no peer.
        guard let id = path.item, let torrent = try await catalogue.torrent(id),
            let entries = torrent.entries(at: path)
        else { throw SourceError(.notFound, "there is no such directory") }
        return entries
    }

    /// Reads part of a file, which loads its torrent.
    ///
    /// - Throws: ``SourceError`` or `CancellationError`.
    func read(_ file: TorrentFile, _ range: Range<Int64>, of stored: StoredTorrent) async throws -> TorrentRead {
        let (torrent, lease) = try await load(stored)
        catalogue.used(stored.id)
        try await torrent.ready()
        if torrent.isStalled { torrent.goOn() }
        let read = TorrentRead(
            of: file,
            range,
            in: torrent,
            pieceLength: stored.metadata.pieceLength,
            client: ReadClient.current,
            lease: lease,
            pool: context.blockingPool
        )
        if file.isVideo, torrent.beginsPriming(file.index) {
            let priming = IndexPriming(
                torrent: torrent,
                file: file,
                pieceLength: stored.metadata.pieceLength,
                lease: lease,
                pool: context.blockingPool
            )
            read.follow(priming)
        }
        return read
    }
}

extension MediaPath {
    /// The item that holds what the path names; `nil` if the path cannot be of one.
    var item: ItemID? {
        components.first.flatMap { ItemID($0.description) }
    }
}

extension SourceKind {
    /// See ``TorrentSettings`` for its options.
    package static let torrent = SourceKind("torrent") { options, context in
        TorrentSource(TorrentSettings(options), context: context)
    }
}
