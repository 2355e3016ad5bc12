import ChunkCache
import SourcePlugins
import Synchronization

/// A response in the cache: its head, and the object that is its body.
struct Representation: Sendable {
    let object: CachedObject
    var response: StoredResponse

    var hasStrongTag: Bool { response.eTag.map { !$0.isWeak } ?? false }
}

/// The responses of one source that the chunk cache has. Each is one record there, with the head in it.
final class StoredResponses: Sendable {
    /// How many responses there may be to one URI.
    private static let variantLimit = 32
    /// How many heads are kept ready for use, and how long one of them may be.
    private static let headLimit = 4096
    private static let longestHead = 8 << 10
    /// How many chunks of a body are looked at one by one.
    private static let chunkLimit: Int64 = 64

    let cache: ChunkStore
    private let source: String
    /// By the numbers of their objects, with the attributes that they were made of.
    private let heads = Mutex<[UInt64: (version: Int, response: StoredResponse)]>([:])

    /// Those that were made invalid: what was asked for before that is not to be kept.
    private let invalidations = Mutex(Invalidations())
    private let objects: ObjectTable

    /// - Parameter objects: tells of purges.
    init(_ cache: ChunkStore, _ objects: ObjectTable, source: String) {
        self.cache = cache
        self.objects = objects
        self.source = source
    }

    /// When something was asked for: what comes of it is kept unless the URI was invalidated or purged since.
    struct Moment: Sendable, Hashable {
        fileprivate let invalidations: Int
        fileprivate let purges: Int
    }

    func moment(of uri: ForwardedURI) -> Moment {
        Moment(invalidations: invalidations.withLock { $0.last(of: uri) }, purges: objects.purges)
    }

    private struct Invalidations {
        private var count = 0
        /// By the URI at the origin: whatever host and scheme a client asked, a change is one for all of them.
        private var byURI: [TargetURI: Int] = [:]
        /// Counts for every URI of which nothing is known any more.
        private var base = 0

        func last(of uri: ForwardedURI) -> Int { byURI[uri.uri] ?? base }

        mutating func note(_ uri: ForwardedURI) {
            count += 1
            if byURI.count >= 4096 { (byURI, base) = ([:], count) }
            byURI[uri.uri] = count
        }
    }

    /// Those to `uri`, in the order they came.
    func all(for uri: ForwardedURI) -> [Representation] {
        every(for: uri) { $0.record.variant.hasPrefix("\(uri.target)\n\(uri.site) ") }
    }

    private func every(for uri: ForwardedURI, where isWanted: (CachedObject) -> Bool) -> [Representation] {
        cache.representations(family(of: uri)).filter(isWanted).compactMap { object in
            head(of: object).map { Representation(object: object, response: $0) }
        }
    }

    /// Takes in a response, in place of the one for the same requests.
    ///
    /// - Parameter size: of its body, in bytes.
    /// - Returns: `nil` if its head is too long to be kept.
    func insert(
        _ response: StoredResponse,
        for uri: ForwardedURI,
        size: Int64,
        askedAt moment: Moment
    ) -> Representation? {
        guard cache.isOpen, self.moment(of: uri) == moment, let attributes = response.encoded() else { return nil }
        let known = cache.representations(family(of: uri))
        if known.count >= Self.variantLimit { cache.remove(Array(known.prefix(known.count - Self.variantLimit + 1))) }
        let key = family(of: uri)
        let object = cache.object(
            ObjectRecord(
                number: 0,
                source: source,
                path: key.path,
                variant: "\(key.variant)\n\(uri.site) \(response.variant.digest)",
                size: size,
                // No two responses are the same to the cache, whatever their validators say.
                revision: String(UInt64.random(in: .min ... .max), radix: 16),
                mediaType: response.fields.first("content-type"),
                isImmutable: response.freshness.isImmutable,
                created: response.freshness.responseTime.nanoseconds,
                attributes: attributes
            )
        )
        return Representation(object: object, response: response)
    }

    /// A response for the same requests with the same body, as far as its validator and its length tell.
    func twin(of response: StoredResponse, for uri: ForwardedURI, size: Int64) -> Representation? {
        guard let tag = response.eTag, !tag.isWeak else { return nil }
        return all(for: uri).first { known in
            known.response.variant == response.variant && known.response.eTag == tag && known.object.size == size
                && known.response.fields.first("content-encoding") == response.fields.first("content-encoding")
        }
    }

    /// Gives a stored body another head.
    func update(
        _ representation: Representation,
        _ response: StoredResponse,
        of uri: ForwardedURI,
        askedAt moment: Moment
    ) {
        guard self.moment(of: uri) == moment else { return }
        update(representation, response)
    }

    private func update(_ representation: Representation, _ response: StoredResponse) {
        guard let attributes = response.encoded() else { return remove(representation) }
        cache.update(representation.object, attributes: attributes)
    }

    func remove(_ representation: Representation) {
        heads.withLock { $0[representation.object.number] = nil }
        cache.remove([representation.object])
    }

    /// Has the origin asked before any of the responses to `uri` is used again.
    func invalidate(_ uri: ForwardedURI) {
        invalidations.withLock { $0.note(uri) }
        for representation in every(for: uri, where: { _ in true }) {
            update(representation, representation.response.invalidated)
        }
    }

    /// Whether the whole body is in the cache.
    func hasBody(_ object: CachedObject) -> Bool {
        let count = object.chunkCount
        guard count <= Self.chunkLimit else { return Int64(object.storedChunks) >= count }
        return (0..<count).allSatisfy { cache.isAtHand(ChunkID(object: object.number, index: UInt64($0))) }
    }

    /// Whether a part of the body, which is not empty, is in the cache.
    func has(_ part: Range<Int64>, of object: CachedObject) -> Bool {
        let (first, last) = (object.chunk(at: part.lowerBound).index, object.chunk(at: part.upperBound - 1).index)
        guard last - first < UInt64(Self.chunkLimit) else { return hasBody(object) }
        return (first...last).allSatisfy { cache.isAtHand(ChunkID(object: object.number, index: $0)) }
    }

    private func head(of object: CachedObject) -> StoredResponse? {
        let (attributes, version) = object.versionedAttributes
        if let known = heads.withLock({ $0[object.number] }), known.version == version { return known.response }
        guard let response = StoredResponse(encoded: attributes) else { return nil }
        guard attributes.count <= Self.longestHead else { return response }
        heads.withLock { heads in
            if heads.count >= Self.headLimit { heads.removeAll(keepingCapacity: true) }
            heads[object.number] = (version, response)
        }
        return response
    }

    /// The path as an operator would name it, without its query; the variant tells queries and spellings apart.
    private func family(of uri: ForwardedURI) -> ObjectKey {
        let path = uri.target.utf8.prefix { $0 != UInt8(ascii: "?") }
        return ObjectKey(source: source, path: PercentEncoding.decodedLeniently(path), variant: uri.target)
    }
}
