import CLibtorrent
import Logging
import Synchronization

extension TorrentSource {
    /// The torrent in the session, which is added to it if need be, and what keeps it there.
    ///
    /// - Throws: ``SourceError`` `overloaded` if there is no room in time, or `unavailable`; `CancellationError`.
    func load(_ stored: StoredTorrent) async throws -> (LoadedTorrent, Lease) {
        while true {
            try Task.checkCancellation()
            switch state.withLock({ beginLoading(stored, &$0) }) {
            case .loaded(let torrent):
                if let lease = torrent.lease() { return (torrent, lease) }
                if let failure = torrent.failure {
                    // The next read begins with a new one.
                    leave(torrent, force: true, deletesFiles: false)
                    throw failure
                }
                try await waitForChange()
            case .loading(let flight): _ = try await flight.value()
            case .resolving(_, let flight): _ = try? await flight.value()
            case .leaving(let flight): try await flight.value()
            }
        }
    }

    /// What is under way with the torrent: loading, if it was nothing.
    private func beginLoading(_ stored: StoredTorrent, _ state: inout State) -> Activity {
        // Not beside one that is in the session under another hash.
        let name = state.asked(stored.metadata.hashes.ids) ?? stored.id
        if let activity = state.activities[name] { return activity }
        let activity = Activity.loading(
            Flight { [self] in
                do {
                    let torrent = try await add(stored)
                    settle(stored.id, .loaded(torrent))
                    // What was said since it was read.
                    torrent.help(leads(of: stored.id))
                    return torrent
                } catch {
                    settle(stored.id, nil)
                    throw error
                }
            }
        )
        state.activities[stored.id] = activity
        return activity
    }

    /// Ends what is under way.
    func settle(_ id: ItemID, _ activity: Activity?) {
        state.withLock { state in
            state.activities[id] = activity
            if !state.aliases.isEmpty { state.aliases = state.aliases.filter { $0.value != id } }
        }
        changed()
    }

    private func add(_ stored: StoredTorrent) async throws -> LoadedTorrent {
        guard hasSpace else {
            throw SourceError(.overloaded, "the space for files of torrents is used up; remove some, or allow more")
        }
        try await reserveRoom()
        do {
            // A reader that tries again must not bring back what was removed.
            guard catalogue.isKnown(stored.id) else { throw SourceError(.notFound, "the torrent was removed") }
            let resumeData = try await catalogue.resumeData(stored.id)
            let session = try await session()
            let leads = leads(of: stored.id)
            let torrent = LoadedTorrent(
                stored.id,
                session: session,
                directory: directory(of: stored.id),
                leads: leads,
                metadata: stored.metadata,
                metrics: metrics,
                now: now,
                hasChanged: { [weak self] in self?.changed() }
            )
            var description = description(of: stored, resumeData: resumeData, leads)
            if resumeData != nil, await !hasFolder(stored.id) {
                // It is of files that are gone. Once there are some again, libtorrent could not tell.
                try await catalogue.setResumeData(stored.id, nil)
                description.usesPeersOnly = true
            }
            try torrent.add(description)
            context.logger.info(
                "torrent loaded",
                metadata: ["torrent": "\(stored.id)", "name": "\(stored.metadata.name)"]
            )
            return torrent
        } catch {
            releaseRoom()
            throw error
        }
    }

    /// - Parameter leads: what links say besides; of no account for a private torrent.
    func description(of stored: StoredTorrent, resumeData: [UInt8]?, _ leads: TorrentLeads) -> NewTorrent {
        let isPrivate = stored.metadata.isPrivate
        let own = stored.upload.trackers
        let linked = isPrivate ? TorrentLeads() : leads
        return NewTorrent(
            infoHashes: stored.metadata.hashes,
            file: stored.upload.vetted,
            resumeData: resumeData,
            directory: directory(of: stored.id),
            trackers: trackers(own + linked.trackers.filter { !own.contains($0) }, isPrivate: isPrivate),
            peers: linked.peers.map(clt_endpoint.init),
            maxConnections: connectionsPerTorrent
        )
    }

    var connectionsPerTorrent: Int32 { Int32(clamping: min(settings.maxConnections, 60)) }

    /// A torrent that is private asks its own trackers and nobody else. What a proxy cannot pass on is not asked.
    func trackers(_ own: [TrackerURL], isPrivate: Bool) -> [String] {
        var trackers = own.map(\.text)
        if !isPrivate { trackers += settings.trackers.filter { !trackers.contains($0) } }
        return settings.proxy?.kind == .http ? trackers.filter { !$0.hasPrefix("udp:") } : trackers
    }

    func directory(of id: ItemID) -> String { settings.stateDirectory + "/" + id.description }

    /// The session, which is begun if there is none.
    func session() async throws -> TorrentSession {
        let flight = try state.withLock { state in
            guard !state.isClosing else { throw SourceError(.unavailable, "the gateway is shutting down") }
            if let session = state.session { return session }
            let flight = Flight { [settings, context, now] in
                try await context.blockingPool.call { try TorrentSession(settings, logger: context.logger, now: now) }
            }
            state.session = flight
            return flight
        }
        do {
            return try await flight.value()
        } catch {
            // The next torrent tries again.
            if !(error is CancellationError) {
                state.withLock { if $0.session === flight { $0.session = nil } }
            }
            throw error
        }
    }

    // MARK: - Room

    /// Waits until one more torrent may be in the session: the idlest leaves, and while all are in use everybody waits.
    ///
    /// ``releaseRoom()`` follows.
    ///
    /// - Parameter isNeedless: whether there is nothing to wait for any more; asked again after every change.
    /// - Returns: `false` if it was needless, and nothing is reserved.
    /// - Throws: ``SourceError`` `overloaded`.
    @discardableResult
    func reserveRoom(unless isNeedless: () -> Bool = { false }) async throws -> Bool {
        let deadline = ContinuousClock.now + settings.metadataTimeout
        while true {
            if isNeedless() { return false }
            let isReserved = state.withLock { state in
                guard state.active < settings.maxActive else { return false }
                state.active += 1
                return true
            }
            if isReserved { return true }
            if let idlest = idlest(), let flight = leave(idlest, deletesFiles: settings.keep == .delete) {
                try await flight.value()
                continue
            }
            guard ContinuousClock.now < deadline else {
                throw SourceError(
                    .overloaded,
                    "all \(settings.maxActive) torrents that may be active are in use; try again later"
                )
            }
            try await waitForChange(until: deadline)
        }
    }

    func releaseRoom() {
        state.withLock { $0.active -= 1 }
        changed()
    }

    /// The torrent without leases that nobody has used for longest, of those of which `condition` holds.
    func idlest(where condition: (LoadedTorrent) -> Bool = { _ in true }) -> LoadedTorrent? {
        state.withLock { $0.loaded }.filter { $0.leases == 0 && condition($0) }.min { $0.lastUse < $1.lastUse }
    }

    /// Something has changed that is waited for: see ``wait(until:)``.
    func changed() {
        let waits = state.withLock { state in
            state.changes += 1
            defer { state.waits = [:] }
            return state.waits.values
        }
        for continuation in waits { continuation.resume() }
    }

    /// Waits for ``changed()``, or until `deadline`, which comes soon: a change just before this is not seen.
    ///
    /// - Throws: `CancellationError`.
    func waitForChange(until deadline: ContinuousClock.Instant = .now + .seconds(1)) async throws {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try? await Task.sleep(until: min(deadline, .now + .milliseconds(250))) }
            tasks.addTask { [self] in await change(after: state.withLock { $0.changes }) }
            await tasks.next()
            tasks.cancelAll()
        }
        try Task.checkCancellation()
    }

    /// Waits until `condition` holds. It is asked again after every change: of leases, of what is loaded or on its way
    /// there or back, of figures, and of what is on the disk.
    ///
    /// - Throws: what `condition` throws, or `CancellationError`.
    package func wait(until condition: () async throws -> Bool) async throws {
        while true {
            try Task.checkCancellation()
            let changes = state.withLock { $0.changes }
            if try await condition() { return }
            await change(after: changes)
        }
    }

    /// Waits for a change after so many.
    private func change(after changes: UInt64) async {
        let id = state.withLock { state in
            state.nextWait += 1
            return state.nextWait
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isSettled = state.withLock { state in
                    guard !Task.isCancelled, state.changes == changes else { return true }
                    state.waits[id] = continuation
                    return false
                }
                if isSettled { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waits.removeValue(forKey: id) }?.resume()
        }
    }

    // MARK: - Unloading

    /// Begins to take a loaded torrent out of the session, unless somebody uses it.
    ///
    /// - Returns: the end of it; `nil` if it stays.
    @discardableResult
    func leave(_ torrent: LoadedTorrent, force: Bool = false, deletesFiles: Bool) -> Flight<Void>? {
        state.withLock { state in
            guard case .loaded(let loaded)? = state.activities[torrent.id], loaded === torrent,
                torrent.beginLeaving(force: force)
            else {
                return nil
            }
            let flight = Flight { [self] in
                await unload(torrent, deletesFiles: deletesFiles)
                settle(torrent.id, nil)
            }
            state.activities[torrent.id] = .leaving(flight)
            return flight
        }
    }

    /// Takes a torrent out of the session. What is needed to load it again is saved first.
    func unload(_ torrent: LoadedTorrent, deletesFiles: Bool) async {
        if !deletesFiles { await saveResume(torrent, onlyIfModified: false) }
        // Files that are deleted later would be those of the same torrent, loaded anew.
        let deadline = deletesFiles ? Duration.seconds(120) : .seconds(5)
        await withDeadline(deadline) { try await torrent.remove(deletesFiles: deletesFiles) }
        releaseRoom()
        guard deletesFiles else { return }
        await deleteFiles(of: torrent.id)
    }

    /// Whether there is a folder for files of the torrent; `true` if nobody can tell.
    func hasFolder(_ id: ItemID) async -> Bool {
        let directory = directory(of: id)
        return (try? await context.blockingPool.call { Directory.exists(directory) }) ?? true
    }

    /// Deletes what a torrent that is not in the session has on the disk. Nobody may load it meanwhile.
    ///
    /// - Returns: whether it is gone.
    @discardableResult
    func deleteFiles(of id: ItemID) async -> Bool {
        let directory = directory(of: id)
        // On a full disk nothing is recorded until the files have made room.
        let isForgotten = (try? await catalogue.setResumeData(id, nil)) != nil
        do {
            try await context.blockingPool.call { try Directory.remove(directory) }
        } catch {
            context.logger.warning("files not deleted", metadata: ["torrent": "\(id)", "reason": "\(error)"])
            return false
        }
        do {
            try await catalogue.setFiles(id, nil)
            if !isForgotten { try await catalogue.setResumeData(id, nil) }
        } catch {
            // Resume data that stays is found out when the torrent is loaded: see ``add(_:)``.
            context.logger.warning(
                "files deleted, and that not recorded",
                metadata: ["torrent": "\(id)", "reason": "\(error)"]
            )
        }
        return true
    }

    /// Records what the torrent has on the disk, and what libtorrent needs to go on with it.
    func saveResume(_ torrent: LoadedTorrent, onlyIfModified: Bool) async {
        guard catalogue.isKnown(torrent.id), torrent.failure == nil else { return }
        let files = TorrentCatalogue.Files(bytes: torrent.bytesOnDisk, lastUse: Timestamp.now().seconds)
        await withDeadline(.seconds(5)) { [self] in
            guard let data = try await torrent.resumeData(onlyIfModified: onlyIfModified) else { return }
            // First: what is on the disk counts, also if nothing can be written down.
            try await catalogue.setFiles(torrent.id, files)
            try await catalogue.setResumeData(torrent.id, data)
        }
    }

    /// Runs `body` for at most `time`; what it throws is logged.
    func withDeadline(_ time: Duration, _ body: @escaping @Sendable () async throws -> Void) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask { [logger = context.logger] in
                do {
                    try await body()
                } catch is CancellationError {
                    logger.warning("torrent does not answer in time")
                } catch {
                    logger.warning("torrent not saved", metadata: ["reason": "\(error)"])
                }
            }
            tasks.addTask { try? await Task.sleep(for: time) }
            await tasks.next()
            tasks.cancelAll()
        }
    }

    // MARK: - The end

    /// Saves what is needed to go on, and ends the session; bounded.
    func shutDown() async {
        let (torrents, session) = state.withLock { state in
            state.isClosing = true
            return (state.loaded, state.session)
        }
        await withTaskGroup(of: Void.self) { tasks in
            for torrent in torrents {
                tasks.addTask { [self] in await saveResume(torrent, onlyIfModified: true) }
            }
        }
        guard let session = try? await session?.value() else { return }
        try? await context.blockingPool.call { session.close(within: 5) }
    }
}
