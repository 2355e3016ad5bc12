package import ChunkCache
import SourcePlugins

/// What an operator does with a cache that this process has open.
package struct CacheAdministration: CacheOperations {
    private let cache: ChunkStore
    private let sources: [String]
    private let forget: @Sendable (PurgeScope) -> Void

    /// - Parameters:
    ///   - sources: the names of those that are cached.
    ///   - forget: drops what is known of objects outside the cache.
    package init(
        _ cache: ChunkStore,
        sources: [String],
        forget: @escaping @Sendable (PurgeScope) -> Void = { _ in }
    ) {
        self.cache = cache
        self.sources = sources
        self.forget = forget
    }

    package func report() -> CacheReport { CacheReport(cache) }

    /// - Throws: ``UnknownSource``, as a list that was misspelt would look like an empty cache.
    package func items(_ query: CacheItemQuery) throws -> CacheItemList {
        if let source = query.source { try expectKnown(source) }
        let found = cache.objects.filter {
            $0.storedChunks > 0 && query.contains(($0.record.source, $0.record.path))
        }
        let items = found.map { CacheItem($0) }.sorted { query.order.precedes($0, $1) }
        return CacheItemList(items: Array(items.prefix(query.limit)), total: items.count)
    }

    /// - Returns: `nil` if no object has that number.
    package func item(_ number: UInt64) -> CacheItemDetail? {
        cache.objects.first { $0.number == number }.map(detail)
    }

    /// Everything there is of one path, in the order it came.
    package func items(of source: String, at path: [UInt8]) -> CacheItemDetailList {
        let objects = cache.objects.filter { $0.record.source == source && $0.record.path == path }
        return CacheItemDetailList(items: objects.sorted { $0.number < $1.number }.map(detail))
    }

    private func detail(of object: CachedObject) -> CacheItemDetail {
        CacheItemDetail(CacheItem(object), chunkSize: object.chunkSize, stored: cache.runs(of: object))
    }

    /// A process that is killed after this returned does not leave to the next one what was purged, unless nothing could be
    /// written.
    ///
    /// - Throws: ``CacheNotOpen``. Nothing is known outside the cache then of what was named, but what is on the disk stays.
    ///   ``UnknownSource``, as a purge that was misspelt would remove nothing.
    package func purge(_ scope: PurgeScope, isSoft: Bool) async throws -> PurgeReport {
        if let source = scope.source { try expectKnown(source) }
        // Before, so that requests that come now ask the source; and after, since one that came before may have noted
        // what it knew from the cache.
        forget(scope)
        guard cache.isOpen else { throw CacheNotOpen(reason: cache.failure) }
        let report = isSoft ? invalidate(scope) : remove(scope)
        forget(scope)
        await cache.flush()
        purges(of: scope).add(1)
        return report
    }

    /// Whether a source of this name is cached, or was and has left something.
    func knows(_ source: String) -> Bool {
        sources.contains(source) || cache.objects.contains { $0.record.source == source }
    }

    /// - Throws: ``UnknownSource``, if there is a cache of which that can be said.
    private func expectKnown(_ source: String) throws(UnknownSource) {
        guard !cache.isOpen || knows(source) else { throw UnknownSource(name: source, known: sources) }
    }

    private func purges(of scope: PurgeScope) -> CacheCounters.Counter {
        switch scope {
        case .object: cache.counters.purgesOfObjects
        case .prefix: cache.counters.purgesOfPrefixes
        case .source: cache.counters.purgesOfSources
        case .all: cache.counters.purgesOfAll
        }
    }

    private func remove(_ scope: PurgeScope) -> PurgeReport {
        if scope == .all {
            let objects = cache.objects.count
            return PurgeReport(objects: objects, chunks: cache.purgeAll())
        }
        var objects = 0
        let chunks = cache.purge { record in
            guard scope.contains(source: record.source, path: record.path) else { return false }
            objects += 1
            return true
        }
        return PurgeReport(objects: objects, chunks: chunks)
    }

    /// What is no response of an origin is asked for at its source with the next request anyway, once it is forgotten
    /// outside the cache.
    private func invalidate(_ scope: PurgeScope) -> PurgeReport {
        let objects = cache.objects.filter { scope.contains(source: $0.record.source, path: $0.record.path) }
        for object in objects {
            if let attributes = StoredResponse(encoded: object.attributes)?.invalidated.encoded() {
                cache.update(object, attributes: attributes)
            }
        }
        return PurgeReport(objects: objects.count, chunks: 0)
    }

    /// - Throws: ``PinError`` if it is not known what is pinned.
    package func pins() throws(PinError) -> PinList {
        if let failure = cache.pinFailure { throw .unavailable(failure) }
        return PinList(cache)
    }

    package func pin(_ scope: PinScope) async throws -> PinReport { try await add(scope).report }

    /// - Returns: besides, whether it was not pinned before.
    /// - Throws: ``PinError``, or ``UnknownSource``, as a pin that was misspelt would keep nothing.
    func add(_ scope: PinScope) async throws -> (report: PinReport, isNew: Bool) {
        guard sources.contains(scope.source) else { throw UnknownSource(name: scope.source, known: sources) }
        let isNew = try await cache.pin(scope.pin)
        return (PinReport(scope.pin, among: cache.objects), isNew)
    }

    package func unpin(_ scope: PinScope) async throws -> PinReport {
        try await cache.unpin(scope.pin)
        return PinReport(scope.pin, among: cache.objects)
    }

    package func verify(progress: @escaping @Sendable (VerifyReport) -> Void) async throws -> VerifyReport {
        let verification = try await cache.verify { progress(VerifyReport($0)) }
        // What was cut short is no result.
        try Task.checkCancellation()
        return VerifyReport(verification)
    }
}

/// There is no database in which anything could be purged.
struct CacheNotOpen: Error, CustomStringConvertible {
    let reason: String?

    var description: String { "nothing could be purged: the cache is not open (\(reason ?? "it is being closed"))" }
}

/// No source that is cached has this name.
struct UnknownSource: Error, CustomStringConvertible {
    let name: String
    let known: [String]

    var description: String {
        "no cached source is named \(singleLine(name)); "
            + (known.isEmpty ? "there is none" : "there are \(known.joined(separator: ", "))")
            + (hasPath ? "; source and path are two words" : "")
    }

    /// Whether the path was written behind the source, as lists of the cache have it.
    private var hasPath: Bool { name.contains("/") && known.contains { name.hasPrefix($0 + "/") } }
}

extension CacheItemQuery.Order {
    /// Equals are in the order of their names, so that two lists of the same cache are the same.
    fileprivate func precedes(_ left: CacheItem, _ right: CacheItem) -> Bool {
        switch self {
        case .bytes where left.bytes != right.bytes: left.bytes > right.bytes
        case .chunks where left.chunks != right.chunks: left.chunks > right.chunks
        case .hits where left.hits != right.hits: left.hits > right.hits
        case .heat where left.heat != right.heat: left.heat > right.heat
        case .age where left.created != right.created: left.created < right.created
        case .bytes, .chunks, .hits, .heat, .age, .name:
            (left.source, left.urlPath, left.number) < (right.source, right.urlPath, right.number)
        }
    }
}

extension CacheReport {
    fileprivate init(_ cache: ChunkStore) {
        let (counters, usage) = (cache.counters, cache.usage)
        let stored = cache.objects.filter { $0.storedChunks > 0 }
        self.init(
            directory: cache.settings.directory,
            isOpen: cache.isOpen,
            failure: cache.failure,
            policy: cache.settings.policy.rawValue,
            chunkSize: cache.settings.chunkSize,
            bytes: usage.bytes,
            limitBytes: usage.limit,
            fileBytes: usage.fileBytes,
            diskBytes: usage.diskBytes,
            chunks: usage.chunks,
            objects: usage.objects,
            ages: Ages(of: stored, at: .now()),
            heat: Heat(of: stored),
            sources: Self.sources(of: cache),
            pinnedBytes: Int64(counters.pinnedBytes.value),
            pinLimitBytes: cache.settings.pinBytes,
            requests: Requests(
                hit: counters.hits.value,
                miss: counters.missed.value,
                collapsed: counters.collapsed.value,
                bypass: counters.bypassed.value
            ),
            insertions: counters.inserted.value,
            rejections: Rejections(
                admission: counters.notAdmitted.value,
                space: counters.noRoom.value,
                queue: counters.queueFull.value,
                error: counters.storeFailed.value
            ),
            evictions: Evictions(
                space: counters.evictedForSpace.value,
                share: counters.evictedForShare.value,
                age: counters.evictedForAge.value,
                purge: counters.purged.value,
                replaced: counters.replaced.value,
                corrupt: counters.corrupt.value
            ),
            queuedBytes: Int64(counters.queuedBytes.value),
            fillBytes: Int64(usage.fillBytes),
            fillLimitBytes: Int64(cache.settings.fillBytes),
            oldestReaderSeconds: (usage.oldestReader ?? .zero) / .seconds(1),
            scrub: Self.scrub(of: cache)
        )
    }

    private static func scrub(of cache: ChunkStore) -> Scrub? {
        guard cache.settings.scrubRate > 0 else { return nil }
        return Scrub(
            bytesPerSecond: cache.settings.scrubRate,
            chunks: cache.counters.scrubbedChunks.value,
            bytes: Int64(cache.counters.scrubbedBytes.value),
            completed: cache.counters.scrubbedAllAt.map(Double.init)
        )
    }

    private static func sources(of cache: ChunkStore) -> [Source] {
        let (shares, limits) = (cache.counters.sources, cache.settings.sourceSizes)
        let requests = cache.counters.lookups.mapValues { Requests($0) }
        let asked = requests.filter { $0.value.total > 0 }.keys
        return Set(shares.keys).union(limits.keys).union(asked).sorted().map { name in
            let share = shares[name] ?? CacheCounters.Share()
            return Source(
                name: name,
                bytes: share.bytes,
                limitBytes: limits[name],
                chunks: share.chunks,
                requests: requests[name] ?? Requests(hit: 0, miss: 0, collapsed: 0, bypass: 0)
            )
        }
    }
}

extension CacheReport.Ages {
    fileprivate init?(of objects: [CachedObject], at now: Timestamp) {
        let ages = objects.map { max(Double(now.nanoseconds) - Double($0.record.created), 0) / 1e9 }.sorted()
        guard let newest = ages.first, let oldest = ages.last else { return nil }
        self.init(oldest: oldest, median: ages[ages.count / 2], newest: newest)
    }
}

extension CacheReport.Heat {
    fileprivate init(of objects: [CachedObject]) {
        let warm = objects.filter { $0.shownHeat >= 1 }
        self.init(objects: warm.count, bytes: warm.reduce(0) { $0 + $1.storedBytes })
    }
}

extension CacheReport.Requests {
    fileprivate init(_ lookups: CacheCounters.Lookups) {
        self.init(
            hit: lookups.hits.value,
            miss: lookups.missed.value,
            collapsed: lookups.collapsed.value,
            bypass: lookups.bypassed.value
        )
    }
}

extension CachedObject {
    /// ``heat``, to two places.
    fileprivate var shownHeat: Double { (heat * 100).rounded() / 100 }
}

extension CacheItem {
    fileprivate init(_ object: CachedObject) {
        let (record, chunks) = (object.record, object.storedChunks)
        let (bytes, overflow) = Int64(chunks).multipliedReportingOverflow(by: object.chunkSize)
        self.init(
            number: record.number,
            source: record.source,
            path: String(decoding: record.path, as: UTF8.self),
            urlPath: percentEncoded(record.path),
            variant: record.variant.isEmpty ? nil : record.variant,
            size: record.size,
            revision: record.revision,
            isImmutable: record.isImmutable,
            created: Double(record.created) / 1e9,
            chunks: chunks,
            chunkCount: object.chunkCount,
            hits: object.hits,
            heat: object.shownHeat,
            isPinned: object.isPinned,
            bytes: overflow ? record.size : min(bytes, record.size)
        )
    }
}

extension VerifyReport {
    init(_ verification: CacheVerification) {
        self.init(
            checked: verification.checked,
            total: verification.total,
            bytes: verification.bytes,
            corrupt: verification.corrupt
        )
    }
}
