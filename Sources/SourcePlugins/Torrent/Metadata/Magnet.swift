/// What is taken from a magnet link (BEP 9): which torrent, and where to ask for it.
///
/// Web seeds, file selections, sources on other networks and DHT nodes are dropped: they would make the gateway
/// connect where a stranger points.
package struct Magnet: Sendable, Hashable {
    package let hashes: InfoHashes
    /// What the link calls the torrent: for people, never part of a path. No control characters; at most 1,024 bytes.
    package let name: String?
    package let trackers: [TrackerURL]
    package let peers: [PeerAddress]

    /// Reads a link in any spelling that people paste: with blanks and line breaks, in quotes or angle brackets, with
    /// HTML's `&amp;`, encoded for a URL or a form once or twice, its query alone, or nothing but an info-hash.
    ///
    /// Trackers and peers that `policy` forbids are dropped.
    ///
    /// - Throws: ``SourceError`` `badReference` if it names no torrent or several; `refused` if it is too long.
    package init(
        _ text: String,
        policy: AddressPolicy = AddressPolicy(),
        limits: TorrentLimits = TorrentLimits()
    ) throws {
        guard text.utf8.count <= limits.magnetBytes else {
            throw SourceError(.refused, "the magnet link is longer than \(limits.magnetBytes) bytes")
        }
        switch try MagnetText(text) {
        case .hash(let hash):
            hashes = InfoHashes(hash)
            name = nil
            trackers = []
            peers = []
        case .query(let query):
            var reader = MagnetReader(policy: policy, limits: limits)
            for item in query.split(separator: UInt8(ascii: "&")) { try reader.read(item) }
            hashes = try reader.hashes()
            name = reader.name
            trackers = reader.trackers.kept
            peers = reader.peers
        }
    }

    /// The link as this gateway writes it: the same for every spelling of the same content.
    package var canonical: String {
        let topics = hashes.all.map { hash in
            hash.version == .v1 ? "xt=urn:btih:\(hash)" : "xt=urn:btmh:\(MagnetReader.sha256Multihash)\(hash)"
        }
        let names = name.map { ["dn=\(PercentEncoding.encoded($0.utf8))"] } ?? []
        let places = trackers.map { "tr=\(PercentEncoding.encoded($0.text.utf8))" } + peers.map { "x.pe=\($0)" }
        return "magnet:?" + (topics + names + places).joined(separator: "&")
    }
}

/// Takes the parameters of a magnet link one after the other.
private struct MagnetReader {
    /// SHA-256 with 32 bytes.
    static let sha256Multihash = "1220"

    private let policy: AddressPolicy
    private let limits: TorrentLimits
    private var v1: InfoHash?
    private var v2: InfoHash?
    private var rawName: ArraySlice<UInt8>?
    /// How many times too often the values of this link are encoded, seen from those whose form is known.
    private var extraRounds = 0
    private var peersRead = 0
    private(set) var trackers: TrackerList
    private(set) var peers: [PeerAddress] = []

    init(policy: AddressPolicy, limits: TorrentLimits) {
        self.policy = policy
        self.limits = limits
        trackers = TrackerList(limits: limits, policy: policy)
    }

    mutating func read(_ item: ArraySlice<UInt8>) throws {
        guard let (key, value) = MagnetText.parameter(item) else { return }
        switch key {
        case "xt": try readTopic(value)
        case "dn": rawName = rawName ?? value
        case "tr": readTracker(value)
        case "x.pe": readPeer(value)
        default: break
        }
    }

    func hashes() throws -> InfoHashes {
        guard let hashes = InfoHashes(v1: v1, v2: v2) else {
            throw SourceError(.badReference, "the magnet link has no xt=urn:btih: or xt=urn:btmh: with an info-hash")
        }
        return hashes
    }

    var name: String? {
        guard var bytes = rawName.map({ $0.map { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 } }) else {
            return nil
        }
        for _ in 0...extraRounds { bytes = PercentEncoding.decodedLeniently(bytes) }
        return Self.shown(String(decoding: bytes.prefix(4096), as: UTF8.self))
    }

    /// One line without blanks at its ends; `nil` if nothing is left.
    private static func shown(_ text: String) -> String? {
        var name = String.UnicodeScalarView()
        var bytes = 0
        for scalar in text.unicodeScalars {
            bytes += UTF8.width(scalar)
            guard bytes <= 1024 else { break }
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .spaceSeparator:
                if let last = name.last, last != " " { name.append(" ") }
            default:
                name.append(scalar)
            }
        }
        if name.last == " " { name.removeLast() }
        return name.isEmpty ? nil : String(name)
    }

    private mutating func readTopic(_ value: ArraySlice<UInt8>) throws {
        let topic = decoded(value) { $0.contains(UInt8(ascii: "%")) }.filter { !MagnetText.isBlank($0) }
        let text = String(decoding: topic, as: UTF8.self)
        let lower = text.lowercased()
        if lower.hasPrefix("urn:btih:") {
            guard let hash = InfoHash(text.dropFirst("urn:btih:".count)), hash.version == .v1 else {
                throw SourceError(.badReference, "the magnet link's btih is not 40 hexadecimal or 32 base32 digits")
            }
            try take(hash, &v1)
        } else if lower.hasPrefix("urn:btmh:") {
            guard let hash = InfoHash(lower.dropFirst("urn:btmh:".count + Self.sha256Multihash.count)),
                hash.version == .v2, lower.hasPrefix("urn:btmh:\(Self.sha256Multihash)")
            else {
                throw SourceError(.badReference, "the magnet link's btmh is not 1220 and 64 hexadecimal digits")
            }
            try take(hash, &v2)
        }
    }

    private func take(_ hash: InfoHash, _ known: inout InfoHash?) throws {
        guard known == nil || known == hash else {
            throw SourceError(
                .badReference,
                "the magnet link names two torrents, \(known?.description ?? "") and \(hash)"
            )
        }
        known = hash
    }

    private mutating func readTracker(_ value: ArraySlice<UInt8>) {
        guard !trackers.isFull else { return }
        // Not decoded further than it must be: a tracker's own query may hold escapes.
        let url = decoded(value) { bytes in
            bytes.contains(UInt8(ascii: "%")) && !String(decoding: bytes, as: UTF8.self).contains("://")
        }
        trackers.add(url.filter { $0 != UInt8(ascii: " ") })
    }

    private mutating func readPeer(_ value: ArraySlice<UInt8>) {
        guard peersRead < limits.peers else { return }
        peersRead += 1
        let text = decoded(value) { $0.contains(UInt8(ascii: "%")) }.filter { !MagnetText.isBlank($0) }
        guard let peer = PeerAddress(String(decoding: text, as: UTF8.self)), policy.allows(peer.address),
            !peers.contains(peer)
        else { return }
        peers.append(peer)
    }

    /// Decodes `value` once, and up to twice more while `isEncoded` says that it still is.
    private mutating func decoded(_ value: ArraySlice<UInt8>, while isEncoded: ([UInt8]) -> Bool) -> [UInt8] {
        var bytes = PercentEncoding.decodedLeniently(value)
        var rounds = 0
        while rounds < 2, isEncoded(bytes) {
            let once = PercentEncoding.decodedLeniently(bytes)
            guard once != bytes else { break }
            bytes = once
            rounds += 1
        }
        extraRounds = max(extraRounds, rounds)
        return bytes
    }
}
