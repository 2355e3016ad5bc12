/// Where to ask for a torrent, as links and uploads say: vetted, each once, and no more than may be kept.
package struct TorrentLeads: Sendable, Hashable {
    package private(set) var peers: [PeerAddress] = []
    package private(set) var trackers: [TrackerURL] = []

    package init() {}

    package init(peers: [PeerAddress], trackers: [TrackerURL]) {
        merge(peers: peers, trackers: trackers)
    }

    package var isEmpty: Bool { peers.isEmpty && trackers.isEmpty }

    /// Takes over what is new in `other`, as far as there is room.
    ///
    /// - Returns: what was new.
    @discardableResult
    package mutating func merge(_ other: TorrentLeads) -> TorrentLeads {
        let (peerCount, trackerCount) = (peers.count, trackers.count)
        merge(peers: other.peers, trackers: other.trackers)
        var taken = TorrentLeads()
        taken.peers = Array(peers[peerCount...])
        taken.trackers = Array(trackers[trackerCount...])
        return taken
    }

    /// Takes over everything in `other`, for which the oldest makes room.
    package mutating func renew(_ other: TorrentLeads) {
        var renewed = other
        renewed.merge(self)
        self = renewed
    }

    private mutating func merge(peers: [PeerAddress], trackers: [TrackerURL]) {
        let limits = TorrentLimits()
        for peer in peers where self.peers.count < limits.linkedPeers && !self.peers.contains(peer) {
            self.peers.append(peer)
        }
        for tracker in trackers where self.trackers.count < limits.linkedTrackers && !self.trackers.contains(tracker) {
            self.trackers.append(tracker)
        }
    }
}

/// What links have said of torrents, for when they are loaded; of those that were named longest ago it is forgotten.
struct LeadMemory: Sendable {
    private static let capacity = 256

    private var leads: [ItemID: TorrentLeads] = [:]
    /// By when they were named last.
    private var order: [ItemID] = []

    subscript(id: ItemID) -> TorrentLeads { leads[id] ?? TorrentLeads() }

    mutating func add(_ new: TorrentLeads, to id: ItemID) {
        guard !new.isEmpty else { return }
        leads[id, default: TorrentLeads()].renew(new)
        order.removeAll { $0 == id }
        order.append(id)
        if order.count > Self.capacity { leads[order.removeFirst()] = nil }
    }

    /// The torrent is another one's: what was said of it counts there.
    mutating func move(_ id: ItemID, to other: ItemID) {
        guard id != other else { return }
        add(self[id], to: other)
        forget(id)
    }

    mutating func forget(_ id: ItemID) {
        guard leads.removeValue(forKey: id) != nil else { return }
        order.removeAll { $0 == id }
    }
}
