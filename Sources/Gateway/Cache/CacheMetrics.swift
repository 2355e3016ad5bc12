package import ChunkCache

/// What the chunk cache tells Prometheus.
package enum CacheMetrics {
    private static let tier = (name: "tier", value: "lmdb")
    /// A chunk is a matter of less than a millisecond, unless something waits for the disk.
    private static let operationBuckets = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5,
    ]

    /// Adds the metrics of `cache` to `registry`, brought up to date for each page.
    ///
    /// - Parameter sources: the names of those that have metrics of their own.
    package static func register(_ cache: ChunkStore, sources: [String] = [], in registry: PrometheusRegistry) {
        let collectors =
            counters(of: cache.counters, in: registry) + gauges(in: registry)
            + sources.flatMap { gauges(of: $0, in: cache, registry) }
        let operations = CacheOperation.allCases.map { operation in
            (
                operation,
                registry.histogram(
                    "media_gateway_cache_operation_seconds",
                    help: "Time of reading a chunk into memory, of storing one, and of the eviction of a batch",
                    labels: [tier, (name: "operation", value: operation.rawValue)],
                    buckets: operationBuckets
                )
            )
        }
        let histograms = Dictionary(uniqueKeysWithValues: operations)
        cache.counters.onOperation { histograms[$0]?.observe($1) }
        registry.onScrape { _ in
            let usage = cache.usage
            for collect in collectors { collect(cache, usage) }
        }
    }

    private typealias Collector = @Sendable (ChunkStore, CacheUsage) -> Void

    private static func counters(of counters: CacheCounters, in registry: PrometheusRegistry) -> [Collector] {
        let requests: [(String, CacheCounters.Counter)] = [
            ("hit", counters.hits), ("miss", counters.missed), ("collapsed", counters.collapsed),
            ("bypass", counters.bypassed),
        ]
        let rejections: [(String, CacheCounters.Counter)] = [
            ("admission", counters.notAdmitted), ("space", counters.noRoom), ("queue", counters.queueFull),
            ("error", counters.storeFailed),
        ]
        let evictions: [(String, CacheCounters.Counter)] = [
            ("space", counters.evictedForSpace), ("share", counters.evictedForShare), ("age", counters.evictedForAge),
            ("purge", counters.purged),
            ("replaced", counters.replaced),
            ("corrupt", counters.corrupt),
        ]
        let purges: [(String, CacheCounters.Counter)] = [
            ("object", counters.purgesOfObjects), ("prefix", counters.purgesOfPrefixes),
            ("source", counters.purgesOfSources), ("all", counters.purgesOfAll),
        ]
        let losses: [(String, CacheCounters.Counter)] = [
            ("damage", counters.lostToDamage), ("crash", counters.lostToCrash), ("machine", counters.lostToMachine),
            ("format", counters.lostToFormat),
        ]
        let scrub: [Collector] =
            collect(
                [("", counters.scrubbedChunks)],
                "scrubbed_chunks",
                by: nil,
                "Chunks checked in the background",
                in: registry
            )
            + collect(
                [("", counters.scrubbedBytes)],
                "scrubbed_bytes",
                by: nil,
                "Bytes checked in the background",
                in: registry
            )
        return collect(requests, "requests", by: "result", "Look-ups of chunks", in: registry)
            + collect([("", counters.inserted)], "insertions", by: nil, "Chunks stored", in: registry)
            + collect(rejections, "rejections", by: "reason", "Chunks fetched and not stored", in: registry)
            + collect(evictions, "evictions", by: "reason", "Chunks removed", in: registry)
            + collect(purges, "purges", by: "scope", "Purges carried out", in: registry)
            + collect(losses, "losses", by: "reason", "Times that all of the cache was given up", in: registry)
            + scrub
            + collect(
                [("", counters.corrupt)],
                "corrupt",
                by: nil,
                "Chunks that were not what was stored",
                in: registry
            )
    }

    private static func collect(
        _ counters: [(label: String, counter: CacheCounters.Counter)],
        _ name: String,
        by label: String?,
        _ help: String,
        in registry: PrometheusRegistry
    ) -> [Collector] {
        counters.map { value, counter in
            let shown = registry.counter(
                "media_gateway_cache_\(name)_total",
                help: help,
                labels: [tier] + (label.map { [(name: $0, value: value)] } ?? [])
            )
            return { _, _ in shown.raise(to: counter.value) }
        }
    }

    private static func gauges(in registry: PrometheusRegistry) -> [Collector] {
        let gauges: [(name: String, help: String, value: @Sendable (ChunkStore, CacheUsage) -> Double)] = [
            ("up", "1 while there is a cache to read from and to write to", { cache, _ in cache.isOpen ? 1 : 0 }),
            ("bytes", "Bytes of the file that chunks take", { Double($1.bytes) }),
            ("limit_bytes", "Bytes they may take, fewer while the disk is short of space", { Double($1.limit) }),
            (
                "pinned_bytes", "Bytes that are kept from eviction",
                { cache, _ in Double(cache.counters.pinnedBytes.value) }
            ),
            ("pin_limit_bytes", "Bytes that may be", { cache, _ in Double(cache.settings.pinBytes) }),
            ("file_bytes", "Length of the file", { Double($1.fileBytes) }),
            ("disk_bytes", "Bytes of the disk that the file takes", { Double($1.diskBytes) }),
            ("free_bytes", "Bytes of the file that are free for new chunks", { Double($1.freeBytes) }),
            (
                "memory_short", "1 while what is read from the disk leaves memory within seconds",
                { cache, _ in cache.isMemoryShort ? 1 : 0 }
            ),
            ("chunks", "Chunks held", { Double($1.chunks) }),
            ("objects", "Objects that have chunks", { Double($1.objects) }),
            ("oldest_reader_seconds", "Age of the oldest read that is not over", { seconds($1.oldestReader) }),
            (
                "scrub_completed_timestamp_seconds", "When the background check was through all chunks the last time",
                { cache, _ in Double(cache.counters.scrubbedAllAt ?? 0) }
            ),
            (
                "write_queue_bytes", "Bytes that wait to be written",
                { cache, _ in Double(cache.counters.queuedBytes.value) }
            ),
            ("fill_bytes", "Memory held by chunks on their way into the cache", { Double($1.fillBytes) }),
            ("fill_limit_bytes", "Memory they may hold at most", { cache, _ in Double(cache.settings.fillBytes) }),
        ]
        return gauges.map { gauge in
            let shown = registry.gauge("media_gateway_cache_\(gauge.name)", help: gauge.help, labels: [tier])
            return { shown.set(gauge.value($0, $1)) }
        }
    }

    private static func gauges(
        of source: String,
        in cache: ChunkStore,
        _ registry: PrometheusRegistry
    ) -> [Collector] {
        let labels = [tier, (name: "source", value: source)]
        if let limit = cache.settings.sourceSizes[source] {
            registry.gauge(
                "media_gateway_cache_source_limit_bytes",
                help: "Bytes that chunks of the source may take",
                labels: labels
            )
            .set(Double(limit))
        }
        let bytes = registry.gauge(
            "media_gateway_cache_source_bytes",
            help: "Bytes of the file that chunks of the source take",
            labels: labels
        )
        return [{ cache, _ in bytes.set(Double(cache.counters.share(of: source).bytes)) }]
    }

    private static func seconds(_ duration: Duration?) -> Double { (duration ?? .zero) / .seconds(1) }
}
