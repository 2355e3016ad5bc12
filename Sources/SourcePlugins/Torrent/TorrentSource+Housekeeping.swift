import CLibtorrent
import Logging
import Synchronization

extension TorrentSource {
    /// Looks after the torrents once a second until it is cancelled.
    func keepHouse() async {
        await findFiles()
        var seconds = 0
        while !Task.isCancelled {
            try? await Task.sleep(for: .seconds(1))
            seconds += 1
            // What was fetched since is fetched or looked at again after a kill.
            await housekeeping(savesResume: seconds % 10 == 0)
        }
    }

    /// One round: figures, idle torrents, space, torrents that ran out of it or of peers.
    package func housekeeping(savesResume: Bool = false) async {
        let torrents = state.withLock { $0.loaded }
        metrics.show(torrents, stored: max(catalogue.knownCount - torrents.count, 0))
        if !torrents.isEmpty, let session = try? await session() {
            session.postFigures()
            adjustUpload(session, torrents)
        }
        unloadIdle(torrents)
        await keepWithinSpace()
        await keepRecordsWithinSpace()
        try? await catalogue.saveUses()
        for torrent in state.withLock({ $0.loaded }) {
            if torrent.isStalled {
                torrent.goOn()
            } else if torrent.hasLostPeers {
                await startOver(torrent, deletesFiles: false)
            } else if torrent.lacksPeers {
                torrent.retryPeers(maxConnections: connectionsPerTorrent)
            }
            if savesResume { await saveResume(torrent, onlyIfModified: true) }
        }
    }

    private func unloadIdle(_ torrents: [LoadedTorrent]) {
        let limit = now() - settings.idleAfter
        for torrent in torrents where torrent.leases == 0 && torrent.lastUse <= limit {
            guard leave(torrent, deletesFiles: settings.keep == .delete) != nil else { continue }
            metrics.countIdle()
            context.logger.info("torrent idle", metadata: ["torrent": "\(torrent.id)"])
        }
    }

    /// Peers are sent nothing while nobody reads, if that is wanted.
    private func adjustUpload(_ session: TorrentSession, _ torrents: [LoadedTorrent]) {
        guard settings.upload == .whileReading else { return }
        let wants = torrents.contains { $0.leases > 0 }
        let changes = state.withLock { state in
            defer { state.isUploading = wants }
            return state.isUploading != wants
        }
        if changes { session.setUploading(wants) }
    }

    // MARK: - Space

    /// Counts what earlier runs left on the disk, and deletes what nobody knows any more, unless that is to be left.
    package func findFiles() async {
        let directory = settings.stateDirectory
        let found = try? await context.blockingPool.call { Directory.sizes(in: directory) }
        var unknown = 0
        for (name, bytes) in found ?? [:] {
            guard let id = ItemID(name) else { continue }
            if catalogue.isKnown(id) {
                let lastUse = catalogue.files[id]?.lastUse ?? 0
                try? await catalogue.setFiles(id, TorrentCatalogue.Files(bytes: bytes, lastUse: lastUse))
                changed()
            } else if leavesUnknown {
                unknown += 1
            } else {
                await deleteUnused(id)
            }
        }
        guard unknown > 0 else { return }
        context.logger.warning(
            "folders of torrents that are not known were left",
            metadata: [
                "count": "\(unknown)", "directory": "\(directory)",
                "until": "\(settings.keep == .keep ? "they are deleted by hand" : "the next start")",
            ]
        )
    }

    /// Whether files of torrents that are not known stay: they are to be kept, or were known to records that are lost.
    var leavesUnknown: Bool { settings.keep == .keep || catalogue.hasLostRecords }

    /// Deletes files until what is left is within the space: of torrents that are not loaded, the longest unused first;
    /// then of loaded ones that nobody uses; and if that is not enough, the largest of those in use begins anew. A torrent
    /// for which the disk is too small makes room in the same order.
    private func keepWithinSpace() async {
        guard settings.keep != .keep else { return }
        // Room for what is on its way.
        let limit = settings.space - min(settings.space / 8, 64 << 20)
        var isDiskFull = state.withLock { $0.loaded }.contains { $0.isDiskFull }
        for (id, _) in stored.sorted(by: { $0.value.lastUse < $1.value.lastUse }) where used > limit || isDiskFull {
            if await deleteUnused(id) { isDiskFull = false }
        }
        // Not one of those that shall go on.
        let canLeave = { (torrent: LoadedTorrent) in !torrent.isStalled && torrent.bytesOnDisk > 0 }
        if isDiskFull, let idlest = idlest(where: canLeave), let flight = leave(idlest, deletesFiles: true) {
            try? await flight.value()
        }
        while used > limit, let idlest = idlest(), let flight = leave(idlest, deletesFiles: true) {
            try? await flight.value()
        }
        guard used > limit, let largest = state.withLock({ $0.loaded }).max(by: { $0.bytesOnDisk < $1.bytesOnDisk })
        else { return }
        context.logger.info("torrent begins anew for want of space", metadata: ["torrent": "\(largest.id)"])
        // It plays on: what was read is in the hands of its readers, or in the cache.
        await startOver(largest, deletesFiles: true)
    }

    /// Forgets torrents, what was used longest ago first, when more is kept of all of them than may be: some at a time,
    /// and a little more than it must, so as not to come back for each that is new. Those that are in the session stay,
    /// and those whose files are to be kept.
    ///
    /// What the gateway has of them in its cache stays right, so it is not told.
    private func keepRecordsWithinSpace() async {
        guard catalogue.size > settings.recordSpace else { return }
        let limit = settings.recordSpace - settings.recordSpace / 16
        var forgotten = 0
        for id in catalogue.leastUsed where catalogue.size > limit && forgotten < 64 {
            if settings.keep == .keep, catalogue.files[id].map({ $0.bytes > 0 }) == true { continue }
            guard let flight = beginForgetting(id) else { continue }
            // What cannot be removed now is tried again.
            guard (try? await flight.value()) != nil else { break }
            forgotten += 1
        }
        guard forgotten > 0 else { return }
        context.logger.info("torrents forgotten for want of space", metadata: ["count": "\(forgotten)"])
    }

    /// - Returns: the end of it; `nil` if something is under way with the torrent.
    private func beginForgetting(_ id: ItemID) -> Flight<Void>? {
        state.withLock { state in
            guard state.activities[id] == nil else { return nil }
            let flight = Flight { [self] in
                defer { settle(id, nil) }
                try await catalogue.remove(id)
                forgetLeads(of: id)
                await deleteFiles(of: id)
            }
            state.activities[id] = .leaving(flight)
            return flight
        }
    }

    /// What torrents have on the disk with which nothing is under way.
    private var stored: [ItemID: TorrentCatalogue.Files] {
        let busy = state.withLock { Set($0.activities.keys) }
        return catalogue.files.filter { !busy.contains($0.key) && $0.value.bytes > 0 }
    }

    /// Bytes of files of torrents.
    var used: Int64 {
        let loaded = state.withLock { $0.loaded }.reduce(0) { $0 + $1.bytesOnDisk }
        return stored.values.reduce(loaded) { $0 + $1.bytes }
    }

    /// Whether one more torrent may be loaded: always, where files make room for others.
    var hasSpace: Bool { settings.keep != .keep || used < settings.space }

    /// Deletes the files of a torrent with which nothing is under way.
    ///
    /// - Returns: whether they are gone.
    @discardableResult
    private func deleteUnused(_ id: ItemID) async -> Bool {
        let flight = state.withLock { state -> Flight<Void>? in
            guard state.activities[id] == nil else { return nil }
            let flight = Flight { [self] in
                if await deleteFiles(of: id) {
                    context.logger.info("files of a torrent deleted for space", metadata: ["torrent": "\(id)"])
                }
                settle(id, nil)
            }
            state.activities[id] = .leaving(flight)
            return flight
        }
        guard let flight else { return false }
        try? await flight.value()
        return catalogue.files[id] == nil
    }

    private func startOver(_ torrent: LoadedTorrent, deletesFiles: Bool) async {
        guard let stored = try? await catalogue.torrent(torrent.id) else { return }
        await withDeadline(deletesFiles ? .seconds(120) : .seconds(10)) { [self] in
            // Peers that it has been connected to for some seconds are in the resume data.
            let resumeData = try await torrent.resumeData(onlyIfModified: false)
            if deletesFiles { try await catalogue.setResumeData(torrent.id, nil) }
            var description = description(of: stored, resumeData: resumeData, torrent.leads)
            description.usesPeersOnly = deletesFiles
            do {
                try await torrent.startOver(description, deletesFiles: deletesFiles) {
                    let directory = torrent.directory
                    try await context.blockingPool.call { try Directory.remove(directory) }
                }
            } catch {
                torrent.fail(SourceError(.unavailable, "the torrent could not begin anew", cause: error))
                throw error
            }
        }
    }
}
