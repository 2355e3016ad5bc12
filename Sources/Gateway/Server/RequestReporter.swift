import Logging
import NIOCore
import Synchronization

/// A request that has ended, however it did.
package struct FinishedRequest: Sendable {
    let request: GatewayRequest
    let status: Int
    let route: Route
    let source: String
    /// Of the body, as far as the kernel has taken them.
    let bytes: Int64
    let sourceBytes: Int64
    let cacheBytes: Int64
    let cache: CacheOutcome?
    var stages: RequestStages
    let ended: NIODeadline
    let outcome: AccessRecord.Outcome
}

/// Counts, logs and times finished requests: once each, after the last byte.
package final class RequestReporter: Sendable {
    private let plane: String
    private let registry: PrometheusRegistry
    private let accessLog: AccessLog?
    private let slowLog: SlowRequestLog
    /// By route, method and status in one number, which is found faster than the three.
    private let requests = Mutex<[Int: PrometheusRegistry.Counter]>([:])
    private let durations: PerRoute<PrometheusRegistry.Histogram>
    private let firstBytes: PerRoute<PrometheusRegistry.Histogram>
    /// Of media that could be cached, by what the cache had of them.
    private let firstMediaBytes: [CacheOutcome: PrometheusRegistry.Histogram]
    private let inFlight: PerRoute<PrometheusRegistry.Gauge>
    private let interrupted: [AccessRecord.Outcome: PrometheusRegistry.Counter]
    private let responseBytes: PrometheusRegistry.Counter
    /// What of them the cache had, and what came from a source; `nil` where no media is served.
    private let servedBytes: (cache: PrometheusRegistry.Counter, source: PrometheusRegistry.Counter)?
    private let sourceWait: PrometheusRegistry.SecondsCounter
    /// Only of the data plane, as ``servedBytes``.
    private let cacheWait: PrometheusRegistry.SecondsCounter?
    private let slow: PrometheusRegistry.Counter

    package init(
        plane: ConnectionServices.Plane,
        registry: PrometheusRegistry,
        accessLog: AccessLog?,
        slowLog: SlowRequestLog
    ) {
        let plane = plane.rawValue
        func perRoute<Metric>(_ make: ([(name: String, value: String)]) -> Metric) -> PerRoute<Metric> {
            PerRoute { make([("plane", plane), ("route", $0.rawValue)]) }
        }
        self.plane = plane
        self.registry = registry
        self.accessLog = accessLog
        self.slowLog = slowLog
        durations = perRoute {
            registry.histogram(
                "media_gateway_http_request_duration_seconds",
                help: "Request head to last byte",
                labels: $0
            )
        }
        firstBytes = perRoute {
            registry.histogram(
                "media_gateway_http_first_byte_seconds",
                help: "Request head to first byte",
                labels: $0 + [("cache", "none")]
            )
        }
        let outcomes = CacheOutcome.allCases.map { outcome in
            (
                outcome,
                registry.histogram(
                    "media_gateway_http_first_byte_seconds",
                    help: "Request head to first byte",
                    labels: [("plane", plane), ("route", Route.media.rawValue), ("cache", outcome.rawValue)]
                )
            )
        }
        firstMediaBytes = Dictionary(uniqueKeysWithValues: outcomes)
        inFlight = perRoute {
            registry.gauge("media_gateway_http_requests_in_flight", help: "Requests being answered", labels: $0)
        }
        let causes = AccessRecord.Outcome.allCases.filter { $0 != .complete }.map { outcome in
            (
                outcome,
                registry.counter(
                    "media_gateway_http_aborted_total",
                    help: "Answers that did not go out to their end",
                    labels: [("plane", plane), ("cause", outcome.rawValue)]
                )
            )
        }
        interrupted = Dictionary(uniqueKeysWithValues: causes)
        responseBytes = registry.counter(
            "media_gateway_http_response_bytes_total",
            help: "Body bytes that the kernel has taken",
            labels: [("plane", plane)]
        )
        sourceWait = registry.secondsCounter(
            "media_gateway_source_wait_seconds_total",
            help: "Time answers waited for their source",
            labels: [("plane", plane)]
        )
        slow = registry.counter(
            "media_gateway_http_slow_requests_total",
            help: "Requests that the log calls slow",
            labels: [("plane", plane)]
        )
        guard plane == ConnectionServices.Plane.data.rawValue else {
            servedBytes = nil
            cacheWait = nil
            return
        }
        func served(_ tier: String) -> PrometheusRegistry.Counter {
            registry.counter(
                "media_gateway_cache_served_bytes_total",
                help: "Body bytes by where they came from",
                labels: [("tier", tier)]
            )
        }
        servedBytes = (served("lmdb"), served("source"))
        cacheWait = registry.secondsCounter(
            "media_gateway_cache_wait_seconds_total",
            help: "Time answers waited for chunks that the cache has",
            labels: [("tier", "lmdb")]
        )
        // A rate over a series that begins with its first event misses that one.
        for status in [200, 206, 304, 400, 404, 416, 429, 500, 502, 503, 504] { _ = counter(.media, .get, status) }
    }

    /// An answer that has to wait for something was begun; ``ended(route:)`` follows.
    func began(route: Route) {
        inFlight[route].increment()
    }

    func ended(route: Route) {
        inFlight[route].decrement()
    }

    func report(_ finished: FinishedRequest) {
        var stages = finished.stages
        stages.mark(.end, at: finished.ended.nanoseconds)
        let firstByte = stages.time(to: .firstByte)
        let total = stages.time(to: .end) ?? .zero
        count(finished, stages, firstByte: firstByte, total: total)
        let head = finished.request.head
        let record = AccessRecord(
            time: TimestampText.now() - total.wholeNanoseconds,
            id: finished.request.id.value,
            client: finished.request.client,
            method: head.method.text,
            target: finished.request.target,
            version: head.minorVersion == 0 ? "1.0" : "1.1",
            status: finished.status,
            route: finished.route.rawValue,
            source: finished.source,
            range: head.fields[.range],
            bytes: finished.bytes,
            sourceBytes: finished.sourceBytes,
            cacheBytes: finished.cacheBytes,
            firstByte: firstByte,
            total: total,
            outcome: finished.outcome,
            userAgent: head.fields[.userAgent]
        )
        accessLog?.write(record)
        if slowLog.note(stages, of: record) { slow.increment() }
    }

    private func counter(_ route: Route, _ method: RequestHead.Method, _ status: Int) -> PrometheusRegistry.Counter {
        let (method, ordinal) =
            switch method {
            case .get: ("GET", 0)
            case .head: ("HEAD", 1)
            case .options: ("OPTIONS", 2)
            case .other: ("OTHER", 3)
            }
        let series = (status << 8 | route.ordinal) << 2 | ordinal
        return requests.withLock { requests in
            if let counter = requests[series] { return counter }
            let counter = registry.counter(
                "media_gateway_http_requests_total",
                help: "Finished requests",
                labels: [
                    ("plane", plane), ("route", route.rawValue), ("method", method), ("code", String(status)),
                ]
            )
            requests[series] = counter
            return counter
        }
    }

    private func count(_ finished: FinishedRequest, _ stages: RequestStages, firstByte: Duration?, total: Duration) {
        counter(finished.route, finished.request.head.method, finished.status).increment()
        durations[finished.route].observe(total)
        if let firstByte {
            let histogram = finished.cache.flatMap { firstMediaBytes[$0] } ?? firstBytes[finished.route]
            histogram.observe(firstByte)
        }
        if finished.bytes > 0 { responseBytes.increment(by: Int(clamping: finished.bytes)) }
        if finished.cacheBytes > 0 { servedBytes?.cache.increment(by: Int(clamping: finished.cacheBytes)) }
        if finished.sourceBytes > 0 { servedBytes?.source.increment(by: Int(clamping: finished.sourceBytes)) }
        if stages.sourceWait > .zero { sourceWait.increment(by: stages.sourceWait) }
        if stages.cacheWait > .zero { cacheWait?.increment(by: stages.cacheWait) }
        if finished.outcome != .complete { interrupted[finished.outcome]?.increment() }
    }
}

/// One metric for each route.
private struct PerRoute<Metric: Sendable>: Sendable {
    private let metrics: [Metric]

    init(_ make: (Route) -> Metric) {
        metrics = Route.allCases.map(make)
    }

    subscript(_ route: Route) -> Metric { metrics[route.ordinal] }
}
