import CLibtorrent
import Logging
import Synchronization

/// libtorrent has the torrent under its other hash.
private struct SameTorrent: Error {}

// How a torrent becomes known.
extension TorrentSource {
    package func resolve(_ reference: ItemReference) async throws -> ItemDescription {
        guard let details = reference.details as? TorrentReference else {
            throw SourceError(.badReference, "this is no reference to a torrent")
        }
        if let known = try await describe(details) { return known }
        if let torrent = details.torrent {
            try await take(torrent)
            return try torrent.description
        }
        return try await resolve(details, reference.id).description
    }

    package func describe(_ reference: ItemReference) async throws -> ItemDescription? {
        guard let details = reference.details as? TorrentReference else { return nil }
        return try await describe(details)
    }

    private func describe(_ details: TorrentReference) async throws -> ItemDescription? {
        guard let known = try await known(details.hashes) else { return nil }
        share(details.leads, of: known)
        catalogue.used(known.id)
        return try known.description
    }

    private func known(_ hashes: InfoHashes) async throws -> StoredTorrent? {
        for (place, id) in hashes.ids.enumerated() {
            guard let torrent = try await catalogue.torrent(id) else { continue }
            if place == 0 || torrent.metadata.hashes.agree(with: hashes) { return torrent }
        }
        return nil
    }

    /// Uses what is said of where a torrent is to be had: now if it is in the session, and when it is loaded.
    private func share(_ leads: TorrentLeads, of torrent: StoredTorrent) {
        guard !leads.isEmpty, !torrent.metadata.isPrivate else { return }
        let loaded = state.withLock { state in
            state.leads.add(leads, to: torrent.id)
            return state.torrent(torrent.id)
        }
        loaded?.help(leads)
    }

    /// Keeps a torrent that was sent whole. Nobody has to be asked any more; whoever asks gets this one.
    private func take(_ torrent: StoredTorrent) async throws {
        try await keep(torrent)
        let asking = state.withLock { state in
            torrent.metadata.hashes.ids.compactMap { id in
                state.asked([id]).flatMap { state.torrent($0) }
            }
        }
        for asking in asking { asking.fail(Self.cameAnotherWay) }
        // Those who wait for room are not in the session yet.
        changed()
    }

    /// Writes down what is known of it, not while that is being removed.
    private func keep(_ torrent: StoredTorrent) async throws {
        while case .leaving(let flight) = state.withLock({ $0.activities[torrent.id] }) {
            try Task.checkCancellation()
            _ = try? await flight.value()
        }
        try await catalogue.add(torrent)
    }

    private static let cameAnotherWay = SourceError(.unavailable, "the torrent's metadata came another way")

    // MARK: - Asking peers

    /// Asks peers for the metadata of a torrent, once however many ask for it, by whichever of its hashes.
    ///
    /// - Throws: ``SourceError``: `timedOut`, `refused`, `overloaded`, `unavailable`; `CancellationError`.
    private func resolve(_ reference: TorrentReference, _ id: ItemID) async throws -> StoredTorrent {
        try checkVersion(reference.hashes)
        // What came too late for those who asked before may be of use all the same.
        var mayAskAgain = !reference.leads.isEmpty
        while true {
            try Task.checkCancellation()
            let (activity, isNew) = state.withLock { beginResolving(reference, id, &$0) }
            switch activity {
            case .resolving(let torrent, let flight):
                torrent?.help(reference.leads)
                do {
                    let stored = try await flight.value()
                    guard stored.metadata.hashes.agree(with: reference.hashes) else { throw Self.anotherTorrent }
                    return stored
                } catch let error as SourceError where error.code == .timedOut && !isNew && mayAskAgain {
                    mayAskAgain = false
                }
            case .loaded, .loading:
                // It became known since it was looked up.
                if let stored = try await catalogue.torrent(id) {
                    share(reference.leads, of: stored)
                    return stored
                }
                try await waitForChange()
            case .leaving(let flight):
                try await flight.value()
            }
        }
    }

    private static let anotherTorrent = SourceError(
        .refused,
        "the torrent is another than the one that was asked for"
    )

    /// What is under way with the torrent: asking for it, if it was nothing.
    private func beginResolving(
        _ reference: TorrentReference,
        _ id: ItemID,
        _ state: inout State
    ) -> (Activity, isNew: Bool) {
        let name = state.asked(reference.hashes.ids) ?? id
        state.leads.add(reference.leads, to: name)
        if let activity = state.activities[name] { return (activity, false) }
        for other in reference.hashes.ids where other != name { state.aliases[other] = name }
        let activity = Activity.resolving(nil, Flight { [self] in try await askForMetadata(reference, id) })
        state.activities[name] = activity
        return (activity, true)
    }

    /// The work of an activity, which it ends.
    private func askForMetadata(_ reference: TorrentReference, _ id: ItemID) async throws -> StoredTorrent {
        do {
            let (stored, torrent) = try await find(reference, id)
            settle(id, torrent.map(Activity.loaded))
            return stored
        } catch {
            forgetLeads(of: id)
            settle(id, nil)
            throw error
        }
    }

    /// - Returns: the torrent, and how it is in the session if it is there under the name by which it is kept.
    private func find(_ reference: TorrentReference, _ id: ItemID) async throws -> (StoredTorrent, LoadedTorrent?) {
        try await catalogue.ready()
        let deadline = ContinuousClock.now + settings.metadataTimeout
        while true {
            if let known = try await catalogue.torrent(id) {
                state.withLock { $0.leads.move(id, to: known.id) }
                return (known, nil)
            }
            guard try await reserveRoom(unless: { [catalogue] in catalogue.isKnown(id) }) else { continue }
            do {
                return try await ask(reference, id)
            } catch is SameTorrent where ContinuousClock.now < deadline {
                // Who has it there finds out what it is, or leaves.
                try await waitForChange(until: deadline)
            } catch is SameTorrent {
                throw SourceError(.timedOut, "the torrent was in use under another name for too long")
            } catch  where catalogue.isKnown(id) {
                continue
            }
        }
    }

    /// Room has been reserved; it is given back unless the torrent stays in the session.
    private func ask(_ reference: TorrentReference, _ id: ItemID) async throws -> (StoredTorrent, LoadedTorrent?) {
        let torrent: LoadedTorrent
        var deletesFiles = true
        // What an earlier run left stays, whatever becomes of this.
        if leavesUnknown, await hasFolder(id) { deletesFiles = false }
        do {
            torrent = try await asking(reference, id)
        } catch {
            releaseRoom()
            throw error
        }
        do {
            let stored = try await metadata(of: torrent, reference)
            try await keep(stored)
            context.logger.info("torrent found", metadata: ["torrent": "\(id)", "name": "\(stored.metadata.name)"])
            if stored.id == id, !torrent.isConflicting, hasSpace { return (stored, torrent) }
            // Asked for by its other hash, it is kept, and loaded, under the one that names it; and without space it is
            // not loaded at all.
            state.withLock { $0.leads.move(id, to: stored.id) }
            await unload(torrent, deletesFiles: deletesFiles)
            return (stored, nil)
        } catch {
            await unload(torrent, deletesFiles: deletesFiles)
            if torrent.isDuplicate { throw SameTorrent() }
            throw error
        }
    }

    /// A torrent in the session that asks for its metadata.
    private func asking(_ reference: TorrentReference, _ id: ItemID) async throws -> LoadedTorrent {
        // What version 2 needs to judge a piece comes after the metadata.
        let head = reference.hashes.v1 == nil ? 0 : 2
        let session = try await session()
        let leads = leads(of: id)
        let torrent = LoadedTorrent(
            id,
            session: session,
            directory: directory(of: id),
            leads: leads,
            wantedHead: head,
            metadata: nil,
            metrics: metrics,
            now: now,
            hasChanged: { [weak self] in self?.changed() }
        )
        try torrent.add(
            NewTorrent(
                infoHashes: reference.hashes,
                directory: directory(of: id),
                trackers: trackers(leads.trackers, isPrivate: false),
                peers: leads.peers.map(clt_endpoint.init),
                wantedHead: UInt32(head),
                maxConnections: connectionsPerTorrent
            )
        )
        state.withLock { state in
            if case .resolving(_, let flight) = state.activities[id] {
                state.activities[id] = .resolving(torrent, flight)
            }
        }
        changed()
        // What was said since.
        torrent.help(self.leads(of: id))
        // Who brought it before this found nobody to tell.
        if catalogue.isKnown(id) { torrent.fail(Self.cameAnotherWay) }
        return torrent
    }

    /// Waits for the metadata, and vets it.
    private func metadata(of torrent: LoadedTorrent, _ reference: TorrentReference) async throws -> StoredTorrent {
        let info = try await info(of: torrent)
        let (policy, trackers) = (settings.addressPolicy, torrent.leads.trackers)
        let stored = try await context.blockingPool.call {
            do {
                return try StoredTorrent(info: info, trackers: trackers, policy: policy)
            } catch let error as SourceError {
                throw SourceError(.refused, "the torrent is not served: \(error.message)")
            }
        }
        guard stored.metadata.hashes.agree(with: reference.hashes) else { throw Self.anotherTorrent }
        // One that is in conflict is not served from where it is.
        if !torrent.isConflicting { try torrent.accept(stored.metadata) }
        return stored
    }

    private func info(of torrent: LoadedTorrent) async throws -> [UInt8] {
        try await withThrowingTaskGroup(of: [UInt8]?.self) { tasks in
            tasks.addTask { try await torrent.fetchedInfo() }
            tasks.addTask { [settings] in
                try await Task.sleep(for: settings.metadataTimeout)
                return nil
            }
            defer { tasks.cancelAll() }
            guard let info = try await tasks.next() ?? nil else {
                throw SourceError(.timedOut, "no peer sent the torrent's metadata within \(settings.metadataTimeout)")
            }
            return info
        }
    }

    // MARK: - Leads

    func leads(of id: ItemID) -> TorrentLeads { state.withLock { $0.leads[id] } }

    func forgetLeads(of id: ItemID) { state.withLock { $0.leads.forget(id) } }
}
