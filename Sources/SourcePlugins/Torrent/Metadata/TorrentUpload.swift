/// A .torrent file, vetted, and written anew with nothing in it that was not.
///
/// Web seeds, DHT nodes and references to other torrents are dropped; comments and dates too.
package struct TorrentUpload: Sendable {
    package let metadata: TorrentMetadata
    package let trackers: [TrackerURL]
    /// The info dictionary, exactly as it is hashed.
    package let info: [UInt8]
    /// The piece layers of version 2 as they were written; `nil` if there are none.
    package let pieceLayers: [UInt8]?

    /// Trackers that `policy` forbids are dropped.
    ///
    /// - Throws: ``SourceError`` as ``TorrentMetadata`` does.
    package init(
        _ bytes: [UInt8],
        policy: AddressPolicy = AddressPolicy(),
        limits: TorrentLimits = TorrentLimits()
    ) throws {
        let document = try Bencode(bytes, limits: limits.uploadBencode)
        guard let torrent = document.root.dictionary else {
            throw SourceError(.badReference, "this is no .torrent file")
        }
        guard let info = torrent["info"] else { throw SourceError(.badReference, "the .torrent file has no info") }
        self.info = Array(info.raw)
        metadata = try TorrentMetadata(info: self.info, limits: limits)
        trackers = Self.trackers(torrent, limits: limits, policy: policy)
        pieceLayers = try Self.pieceLayers(torrent, metadata)
    }

    /// A .torrent file for libtorrent: the info, the trackers that were kept, each in a tier of its own, and the piece
    /// layers.
    package var vetted: [UInt8] {
        var writer = BencodeWriter()
        writer.dictionary { writer in
            if let first = trackers.first {
                writer.string("announce")
                writer.string(first.text)
                writer.string("announce-list")
                writer.list { writer in
                    for tracker in trackers {
                        writer.list { $0.string(tracker.text) }
                    }
                }
            }
            writer.string("info")
            writer.encoded(info)
            if let pieceLayers {
                writer.string("piece layers")
                writer.encoded(pieceLayers)
            }
        }
        return writer.bytes
    }

    private static func trackers(
        _ torrent: Bencode.Entries,
        limits: TorrentLimits,
        policy: AddressPolicy
    ) -> [TrackerURL] {
        var list = TrackerList(limits: limits, policy: policy)
        if let url = torrent["announce"]?.string { list.add(trimmed(url)) }
        if let tiers = torrent["announce-list"]?.list {
            for tier in tiers {
                guard let urls = tier.list else { continue }
                for url in urls where !list.isFull {
                    if let url = url.string { list.add(trimmed(url)) }
                }
                if list.isFull { break }
            }
        }
        return list.kept
    }

    private static func trimmed(_ url: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let first = url.firstIndex(where: { $0 > 0x20 }), let last = url.lastIndex(where: { $0 > 0x20 }) else {
            return []
        }
        return url[first...last]
    }

    /// - Throws: ``SourceError`` `badReference` unless every layer is one of a file with more than one piece, and has a hash
    ///   for each of its pieces. Layers may be missing; libtorrent then asks peers for them.
    private static func pieceLayers(_ torrent: Bencode.Entries, _ metadata: TorrentMetadata) throws -> [UInt8]? {
        guard metadata.hashes.v2 != nil, let value = torrent["piece layers"] else { return nil }
        guard let layers = value.dictionary else {
            throw SourceError(.badReference, "the piece layers are no dictionary")
        }
        var lengths: [[UInt8]: Set<Int>] = [:]
        for (index, root) in metadata.pieceRoots {
            let size = metadata.files[index].size
            guard size > metadata.pieceLength else { continue }
            lengths[root, default: []].insert(Int((size + metadata.pieceLength - 1) / metadata.pieceLength) * 32)
        }
        for (root, layer) in layers {
            guard let expected = lengths[Array(root)], let layer = layer.string, expected == [layer.count] else {
                throw SourceError(.badReference, "a piece layer belongs to no file, or has not one hash for each piece")
            }
        }
        return Array(value.raw)
    }
}
