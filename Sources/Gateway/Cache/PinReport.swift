import ChunkCache

/// One pin, and what the cache has of it: what `POST` and `DELETE /admin/v1/cache/pins` say.
package struct PinReport: Sendable, Hashable, Codable {
    package enum Scope: String, Sendable, Hashable, Codable {
        case object
        case prefix
        case source
    }

    package var scope: Scope
    package var source: String
    /// Bytes that are not UTF-8 are replaced. Empty for a whole source.
    package var path: String
    /// The same as it stands in a URL.
    package var urlPath: String
    /// How many have chunks.
    package var objects: Int
    package var chunks: Int
    /// What those take of the cache.
    package var bytes: Int64

    /// - Parameter objects: those that the pin names, at least.
    init(_ pin: Pin, among objects: [CachedObject]) {
        scope =
            switch PinScope(pin) {
            case .object: .object
            case .prefix: .prefix
            case .source: .source
            }
        source = pin.source
        path = String(decoding: pin.path, as: UTF8.self)
        urlPath = percentEncoded(pin.path)
        let stored = objects.filter {
            $0.storedChunks > 0 && pin.contains(source: $0.record.source, path: $0.record.path)
        }
        self.objects = stored.count
        chunks = stored.reduce(0) { $0 + $1.storedChunks }
        bytes = stored.reduce(0) { $0 + $1.storedBytes }
    }
}

/// What `GET /admin/v1/cache/pins` says.
package struct PinList: Sendable, Hashable, Codable {
    /// In the order they were made. What two of them name is counted with each.
    package var pins: [PinReport]
    /// What is kept from eviction.
    package var pinnedBytes: Int64
    /// What may be.
    package var limitBytes: Int64
    /// What is pinned too and came when there was no more room, so that it may be evicted.
    package var evictableBytes: Int64

    init(_ cache: ChunkStore) {
        let objects = cache.objects.filter(\.isPinned)
        pins = cache.pins.map { PinReport($0, among: objects) }
        pinnedBytes = Int64(cache.counters.pinnedBytes.value)
        limitBytes = cache.settings.pinBytes
        evictableBytes = max(objects.reduce(0) { $0 + $1.storedBytes } - pinnedBytes, 0)
    }
}

extension PinReport {
    /// As it is written on the command line, for people.
    var name: String { pinName(source, path, isPrefix: scope != .object) }
}

extension PinError {
    /// For people: what is the matter, and what to do about it.
    var text: String {
        switch self {
        case .overBudget(_, _, limit: 0): "nothing can be pinned, as cache.pin_budget is nothing"
        case .overBudget(let bytes, let pinned, let limit):
            "it has \(humanSize(bytes)) in the cache, and of the \(humanSize(limit)) that may be pinned "
                + "\(humanSize(pinned)) are; \(pinned > 0 ? "unpin something, or " : "")raise cache.pin_budget"
        case .overShare(let source, _, _, limit: 0):
            "nothing of \(singleLine(source)) can be pinned, as its cache_size is too small"
        case .overShare(let source, let bytes, let pinned, let limit):
            "it has \(humanSize(bytes)) in the cache, and of the \(humanSize(limit)) that may be pinned of "
                + "\(singleLine(source)) \(humanSize(pinned)) are; "
                + "\(pinned > 0 ? "unpin something, or " : "")raise its cache_size"
        case .tooMany(let limit): "there are \(limit) pins, which is the most; unpin something first"
        case .notPinned(coveredBy: nil): "that is not pinned; cache pins lists what is"
        case .notPinned(coveredBy: let other?): "that is not a pin by itself; it is in the pin of \(other.name)"
        case .unavailable(let reason): reason
        }
    }
}
