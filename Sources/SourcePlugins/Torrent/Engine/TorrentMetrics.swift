import CoreMetrics

/// What a torrent source tells about itself through swift-metrics.
struct TorrentMetrics: Sendable {
    private let states: [ItemStatus.State: Gauge]
    private let peers: Gauge
    private let readers: Gauge
    private let received: Counter
    private let wasted: Counter
    private let sent: Counter
    private let hashFailures: Counter
    private let idleRemoved: Counter
    private let pieceWait: Timer

    /// - Parameter source: its name.
    init(source: String) {
        func labels(_ more: (String, String)...) -> [(String, String)] { [("source", source)] + more }
        let gauges = ItemStatus.State.allCases.map { state in
            (state, Gauge(label: "media_gateway_torrents", dimensions: labels(("state", state.rawValue))))
        }
        states = Dictionary(uniqueKeysWithValues: gauges)
        peers = Gauge(label: "media_gateway_torrent_peers", dimensions: labels())
        readers = Gauge(label: "media_gateway_torrent_leases", dimensions: labels())
        received = Counter(label: "media_gateway_torrent_received_bytes", dimensions: labels(("kind", "payload")))
        wasted = Counter(label: "media_gateway_torrent_received_bytes", dimensions: labels(("kind", "wasted")))
        sent = Counter(label: "media_gateway_torrent_sent_bytes", dimensions: labels(("kind", "payload")))
        hashFailures = Counter(label: "media_gateway_torrent_hash_failures", dimensions: labels())
        idleRemoved = Counter(label: "media_gateway_torrent_idle_removed", dimensions: labels())
        pieceWait = Timer(label: "media_gateway_torrent_piece_wait", dimensions: labels())
    }

    func count(_ figures: TorrentFigures, after last: TorrentFigures) {
        let waste = figures.failed + figures.redundant - last.failed - last.redundant
        received.increment(by: max(figures.downloaded - last.downloaded, 0))
        wasted.increment(by: max(waste, 0))
        sent.increment(by: max(figures.uploaded - last.uploaded, 0))
    }

    func countHashFailure() { hashFailures.increment() }

    func countIdle() { idleRemoved.increment() }

    /// A reader waited for a piece it needed, in vain or not.
    func observePieceWait(_ time: Duration) { pieceWait.recordNanoseconds(time.wholeNanoseconds) }

    /// - Parameter stored: how many torrents are known and not loaded.
    func show(_ loaded: [LoadedTorrent], stored: Int) {
        var counts = loaded.reduce(into: [:]) { $0[$1.itemState, default: 0] += 1 }
        counts[.stored] = stored
        for (state, gauge) in states { gauge.record(counts[state] ?? 0) }
        peers.record(loaded.reduce(0) { $0 + $1.figures.peers })
        readers.record(loaded.reduce(0) { $0 + $1.leases })
    }
}

extension LoadedTorrent {
    /// In the terms that all sources of items share.
    var itemState: ItemStatus.State {
        if failure != nil || isStalled { return .failed }
        return switch figures.state {
        case .checking: .checking
        case .fetchingMetadata: .resolving
        case .downloading: .downloading
        case .finished: .idle
        case .seeding: .complete
        }
    }
}
