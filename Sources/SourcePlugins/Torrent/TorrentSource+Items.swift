import CLibtorrent
import Logging
import Synchronization

extension TorrentSource {
    package var addPolicy: AddPolicy { settings.add }

    package func reference(_ text: String) throws -> ItemReference {
        let magnet = try Magnet(text, policy: settings.addressPolicy)
        try checkVersion(magnet.hashes)
        let leads = TorrentLeads(peers: magnet.peers, trackers: magnet.trackers)
        let reference = TorrentReference(hashes: magnet.hashes, leads: leads)
        return ItemReference(id: try ItemID(magnet.hashes), details: reference)
    }

    package func reference(file: [UInt8]) throws -> ItemReference {
        let torrent = try StoredTorrent(file, policy: settings.addressPolicy)
        try checkVersion(torrent.metadata.hashes)
        let reference = TorrentReference(
            hashes: torrent.metadata.hashes,
            leads: TorrentLeads(peers: [], trackers: torrent.upload.trackers),
            torrent: torrent
        )
        return ItemReference(id: torrent.id, details: reference)
    }

    func checkVersion(_ hashes: InfoHashes) throws {
        guard hashes.v1 != nil || settings.acceptsV2 else {
            throw SourceError(
                .refused,
                "torrents of version 2 only are not served; set protocol_v2 = true to allow them"
            )
        }
    }

    package var isReady: Bool { catalogue.isReady }

    package func isKnown(_ id: ItemID) -> Bool { catalogue.isKnown(id) }

    package func describe(_ id: ItemID) async throws -> ItemDescription? {
        guard let torrent = try await catalogue.torrent(id) else { return nil }
        catalogue.used(torrent.id)
        return try torrent.description
    }

    package func remove(_ id: ItemID, force: Bool) async throws {
        let id = catalogue.resolve(id)
        while true {
            let stored = try await catalogue.torrent(id)
            switch state.withLock({ $0.activities[id] }) {
            case nil:
                guard let stored else { throw SourceError(.notFound, "there is no such torrent") }
                if let flight = beginRemoving(stored, nil) { return try await flight.value() }
            case .loaded(let torrent):
                guard force || torrent.leases == 0 else { throw SourceError(.busy, "the torrent is in use") }
                if let stored, let flight = beginRemoving(stored, torrent) { return try await flight.value() }
                try await waitForChange()
            case .resolving(let torrent, let flight):
                torrent?.fail(SourceError(.notFound, "the torrent was removed"))
                _ = try? await flight.value()
                if stored == nil { return }
            case .loading(let flight): _ = try? await flight.value()
            case .leaving(let flight): try await flight.value()
            }
            try Task.checkCancellation()
        }
    }

    /// - Parameter torrent: as it is loaded; `nil` if it is not.
    /// - Returns: the end of it, which does not depend on whoever asked for it; `nil` if it is not as it was any more.
    private func beginRemoving(_ stored: StoredTorrent, _ torrent: LoadedTorrent?) -> Flight<Void>? {
        state.withLock { state in
            switch (state.activities[stored.id], torrent) {
            case (nil, nil): break
            case (.loaded(let loaded)?, let torrent?) where loaded === torrent:
                guard torrent.beginLeaving(force: true) else { return nil }
            default: return nil
            }
            let flight = Flight { [self] in
                defer { settle(stored.id, nil) }
                do {
                    // First, so that nothing of it is kept or loaded any more.
                    try await catalogue.remove(stored.id)
                } catch {
                    // It is on its way out, and would never be loaded again. Its files stay, as it is known still.
                    if let torrent { await unload(torrent, deletesFiles: false) }
                    throw error
                }
                forgetLeads(of: stored.id)
                if let torrent {
                    await unload(torrent, deletesFiles: true)
                } else {
                    await deleteFiles(of: stored.id)
                }
                for file in stored.metadata.files where file.isServable {
                    context.invalidate(try stored.path(of: file))
                    context.invalidate(try .init("\(stored.id)/~\(file.index)"))
                }
                context.logger.info("torrent removed", metadata: ["torrent": "\(stored.id)"])
            }
            state.activities[stored.id] = .leaving(flight)
            return flight
        }
    }

    package func status(_ id: ItemID) async -> ItemStatus? {
        let id = catalogue.resolve(id)
        let loaded = state.withLock { $0.torrent(id) }
        let stored = try? await catalogue.torrent(id)
        guard loaded != nil || stored != nil else { return nil }
        var status = ItemStatus(
            id: id,
            name: stored?.metadata.name.description ?? "",
            state: .stored,
            size: stored?.metadata.totalSize ?? 0
        )
        status.doneBytes = catalogue.files[id]?.bytes ?? 0
        if let loaded { status.add(loaded) }
        return status
    }

    package func statuses() async -> [ItemStatus] {
        let ids = Set(catalogue.known).union(state.withLock { $0.activities.keys })
        var statuses: [ItemStatus] = []
        for id in ids.sorted(by: { $0.description < $1.description }) {
            if let status = await status(id) { statuses.append(status) }
        }
        return statuses.sorted { $0.name < $1.name }
    }

    package func pieces(_ id: ItemID) async -> PieceRuns? {
        let id = catalogue.resolve(id)
        guard let torrent = state.withLock({ $0.torrent(id) }), let metadata = torrent.metadata,
            let have = torrent.have
        else { return nil }
        return PieceRuns(pieceLength: Int(clamping: metadata.pieceLength), runs: have.runLengths)
    }
}

extension ItemStatus {
    fileprivate mutating func add(_ torrent: LoadedTorrent) {
        let figures = torrent.figures
        state = torrent.itemState
        doneBytes = torrent.bytesOnDisk
        downloadedBytes = figures.downloaded
        uploadedBytes = figures.uploaded
        downloadRate = figures.downloadRate
        uploadRate = figures.uploadRate
        peers = figures.peers
        seeds = figures.seeds
        readers = torrent.leases
        failure = torrent.failure?.message
        guard let metadata = torrent.metadata, let have = torrent.have else { return }
        for file in metadata.files where file.isServable {
            fileBytes[file.index] = metadata.bytes(of: file, in: have)
        }
    }
}

extension TorrentMetadata {
    /// How many bytes of `file`, which is one of these, are in the pieces of `have`.
    func bytes(of file: TorrentFile, in have: PieceSet) -> Int64 {
        guard file.size > 0 else { return 0 }
        let end = file.offset + file.size
        let pieces = Int(file.offset / pieceLength)..<Int((end - 1) / pieceLength) + 1
        if have.firstMissing(in: pieces) == nil { return file.size }
        guard have.firstPresent(in: pieces) != nil else { return 0 }
        return pieces.filter(have.contains).reduce(0) { sum, piece in
            let start = Int64(piece) * pieceLength
            return sum + min(start + pieceLength, end) - max(start, file.offset)
        }
    }
}

extension clt_endpoint {
    init(_ peer: PeerAddress) {
        self.init()
        port = peer.port
        let bytes = peer.address.bytes
        is_v6 = bytes.count == 16 ? 1 : 0
        withUnsafeMutableBytes(of: &address) { $0.copyBytes(from: bytes) }
    }
}

extension clt_address_range {
    init(_ range: AddressSpan) {
        self.init()
        is_v6 = range.first.bytes.count == 16 ? 1 : 0
        withUnsafeMutableBytes(of: &first) { $0.copyBytes(from: range.first.bytes) }
        withUnsafeMutableBytes(of: &last) { $0.copyBytes(from: range.last.bytes) }
    }
}
