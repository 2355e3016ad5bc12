import Foundation
import Gateway
import NIOCore
import NIOEmbedded
import NIOPosix
import SourceContract
import Testing

@Suite(.timeLimit(.minutes(1))) struct CacheMetricsTests {
    @Test("the page says what the cache has done and holds")
    func values() async throws {
        try await CacheUnderTest.with([("media", "a", 200_000)]) { cache in
            let registry = PrometheusRegistry()
            CacheMetrics.register(cache.store, in: registry)
            for line in [
                "media_gateway_cache_up{tier=\"lmdb\"} 1\n", "media_gateway_cache_chunks{tier=\"lmdb\"} 4\n",
                "media_gateway_cache_insertions_total{tier=\"lmdb\"} 4\n",
                "media_gateway_cache_limit_bytes{tier=\"lmdb\"} 16777216\n",
                "media_gateway_cache_requests_total{result=\"miss\",tier=\"lmdb\"} \(cache.store.counters.missed.value)\n",
                "media_gateway_cache_requests_total{result=\"bypass\",tier=\"lmdb\"} 0\n",
                "media_gateway_cache_evictions_total{reason=\"purge\",tier=\"lmdb\"} 0\n",
                "media_gateway_cache_rejections_total{reason=\"queue\",tier=\"lmdb\"} 0\n",
                "media_gateway_cache_corrupt_total{tier=\"lmdb\"} 0\n",
                "media_gateway_cache_write_queue_bytes{tier=\"lmdb\"} 0\n",
                "media_gateway_cache_fill_bytes{tier=\"lmdb\"} 0\n",
                "media_gateway_cache_oldest_reader_seconds{tier=\"lmdb\"} 0\n",
                "media_gateway_cache_scrubbed_chunks_total{tier=\"lmdb\"} 0\n",
                "media_gateway_cache_scrub_completed_timestamp_seconds{tier=\"lmdb\"} 0\n",
            ] {
                #expect(registry.page().contains(line), "\(line)")
            }
            try await cache.put("media", "b", size: 100_000)
            #expect(
                registry.page().contains(
                    "media_gateway_cache_operation_seconds_count{operation=\"write\",tier=\"lmdb\"} 2\n"
                )
            )
            cache.store.purge { _ in true }
            await cache.store.flush()
            let page = registry.page()
            #expect(page.contains("media_gateway_cache_evictions_total{reason=\"purge\",tier=\"lmdb\"} 6\n"))
            #expect(page.contains("media_gateway_cache_chunks{tier=\"lmdb\"} 0\n"))
            #expect(page.contains("media_gateway_cache_bytes{tier=\"lmdb\"} 0\n"))
            let line = page.split(separator: "\n").first { $0.hasPrefix("media_gateway_cache_free_bytes{") }
            let free = try #require(line?.split(separator: " ").last)
            #expect(Double(free) ?? 0 >= 200_000)
        }
    }

    @Test("the page says how far the scrub is")
    func scrub() async throws {
        try await CacheUnderTest.with([("media", "a", 200_000)], scrubRate: 16 << 20) { cache in
            let registry = PrometheusRegistry()
            CacheMetrics.register(cache.store, in: registry)
            let (before, start) = (Date().timeIntervalSince1970, ContinuousClock.now)
            cache.store.maintain(now: start)
            cache.store.maintain(now: start + .seconds(1))
            while cache.store.counters.scrubbedAllAt == nil { await Task.yield() }
            let page = registry.page()
            #expect(page.contains("media_gateway_cache_scrubbed_chunks_total{tier=\"lmdb\"} 4\n"))
            // Each has a header of sixteen bytes.
            #expect(page.contains("media_gateway_cache_scrubbed_bytes_total{tier=\"lmdb\"} 200064\n"))
            let end = try #require(cache.store.counters.scrubbedAllAt)
            #expect(Double(end) > before - 1 && Double(end) < before + 60)
            #expect(!page.contains("media_gateway_cache_scrub_completed_timestamp_seconds{tier=\"lmdb\"} 0\n"))
        }
    }

    @Test("each source has its bytes on the page, and its limit if it has one")
    func sources() async throws {
        let objects: [(source: String, path: String, size: Int64)] = [("media", "a", 65_000), ("other", "b", 65_000)]
        try await CacheUnderTest.with(objects, sourceSizes: ["media": 1 << 20]) { cache in
            let registry = PrometheusRegistry()
            CacheMetrics.register(cache.store, sources: ["media", "other"], in: registry)
            let page = registry.page()
            #expect(page.contains("media_gateway_cache_source_bytes{source=\"media\",tier=\"lmdb\"} 65536\n"))
            #expect(page.contains("media_gateway_cache_source_bytes{source=\"other\",tier=\"lmdb\"} 65536\n"))
            #expect(page.contains("media_gateway_cache_source_limit_bytes{source=\"media\",tier=\"lmdb\"} 1048576\n"))
            #expect(!page.contains("media_gateway_cache_source_limit_bytes{source=\"other\""))
        }
    }

    @Test("a cache that is closed is down")
    func down() async throws {
        try await CacheUnderTest.with { cache in
            let registry = PrometheusRegistry()
            CacheMetrics.register(cache.store, in: registry)
            cache.store.close()
            #expect(registry.page().contains("media_gateway_cache_up{tier=\"lmdb\"} 0\n"))
        }
    }

    @Test("promtool finds nothing to remark", .enabled(if: Promtool.isExpected))
    func promtool() async throws {
        try await CacheUnderTest.with([("media", "a", 200_000)]) { cache in
            let registry = PrometheusRegistry()
            CacheMetrics.register(cache.store, in: registry)
            let meter = LoopLagMeter(MultiThreadedEventLoopGroup.singleton, in: registry)
            meter.start()
            meter.stop()
            let remarks = try Promtool.remarks(on: registry.page())
            #expect(remarks == "")
        }
    }

    @Test("how late a loop runs what is due is measured")
    func lag() throws {
        let registry = PrometheusRegistry()
        let loop = EmbeddedEventLoop()
        // Each look at the clock is at a time of the test's choosing.
        let times = Observed<[Int64]>([1000, 1100, 1207, 1707])
        let meter = LoopLagMeter(loop, in: registry, every: .milliseconds(100)) { _ in
            .uptimeNanoseconds(0) + .milliseconds(times.update { $0.removeFirst() })
        }
        meter.start()
        for _ in 1...3 { loop.advanceTime(by: .milliseconds(100)) }
        let page = registry.page()
        // On time, 7 ms late, 400 ms late.
        #expect(page.contains("media_gateway_event_loop_lag_seconds_bucket{le=\"0.001\"} 1\n"))
        #expect(page.contains("media_gateway_event_loop_lag_seconds_bucket{le=\"0.01\"} 2\n"))
        #expect(page.contains("media_gateway_event_loop_lag_seconds_bucket{le=\"0.25\"} 2\n"))
        #expect(page.contains("media_gateway_event_loop_lag_seconds_bucket{le=\"0.5\"} 3\n"))
        meter.stop()
        loop.advanceTime(by: .seconds(1))
        #expect(registry.page() == page)
        try loop.syncShutdownGracefully()
    }

    @Test("every loop of a group is measured")
    func everyLoop() async throws {
        let registry = PrometheusRegistry()
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 3)
        let seen = Observed<Set<ObjectIdentifier>>([])
        let meter = LoopLagMeter(group, in: registry, every: .milliseconds(1)) { loop in
            if loop.inEventLoop { seen.update { _ = $0.insert(ObjectIdentifier(loop)) } }
            return loop.now
        }
        meter.start()
        try await seen.until { $0.count == 3 }
        meter.stop()
        try await group.shutdownGracefully()
    }
}
