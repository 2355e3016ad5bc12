package import CoreMetrics

/// Shows what libraries report through swift-metrics on the same page as our own metrics.
///
/// Labels become names of the text format: `http.server.request.duration` of a timer is
/// `http_server_request_duration_seconds`, `hb.requests` of a counter is `hb_requests_total`.
package struct PrometheusMetricsFactory: MetricsFactory {
    /// For recorders, whose unit is not known.
    private static let decades = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]

    private let registry: PrometheusRegistry

    package init(registry: PrometheusRegistry) {
        self.registry = registry
    }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        CounterAdapter(
            counter: registry.counter(
                Self.name(label, ending: "_total"),
                help: Self.help(label),
                labels: Self.labels(dimensions)
            )
        )
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        GaugeAdapter(
            gauge: registry.gauge(Self.name(label), help: Self.help(label), labels: Self.labels(dimensions))
        )
    }

    package func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        let labels = Self.labels(dimensions)
        guard aggregate else {
            return GaugeAdapter(gauge: registry.gauge(Self.name(label), help: Self.help(label), labels: labels))
        }
        return HistogramAdapter(
            histogram: registry.histogram(
                Self.name(label),
                help: Self.help(label),
                labels: labels,
                buckets: Self.decades
            )
        )
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        HistogramAdapter(
            histogram: registry.histogram(
                Self.name(label, ending: "_seconds"),
                help: Self.help(label),
                labels: Self.labels(dimensions)
            )
        )
    }

    // Libraries make and destroy a handler per request; the metric behind it stays.
    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}

    /// Lower case, with `ending` once at the end; without one, `_total` is cut off, which only counters may have.
    private static func name(_ label: String, ending: String = "") -> String {
        let name = PrometheusText.metricName(label.lowercased())
        if ending.isEmpty { return name.hasSuffix("_total") ? String(name.dropLast(6)) : name }
        return name.hasSuffix(ending) ? name : name + ending
    }

    private static func help(_ label: String) -> String {
        "Reported by a library as \(label)"
    }

    private static func labels(_ dimensions: [(String, String)]) -> PrometheusRegistry.Labels {
        dimensions.map { (name: $0.0, value: $0.1) }
    }
}

private final class CounterAdapter: CounterHandler {
    private let counter: PrometheusRegistry.Counter

    init(counter: PrometheusRegistry.Counter) {
        self.counter = counter
    }

    func increment(by amount: Int64) {
        counter.increment(by: Int(clamping: amount))
    }

    /// Prometheus' counters start again with the process only.
    func reset() {}
}

private final class GaugeAdapter: MeterHandler, RecorderHandler {
    private let gauge: PrometheusRegistry.Gauge

    init(gauge: PrometheusRegistry.Gauge) {
        self.gauge = gauge
    }

    func set(_ value: Int64) { gauge.set(value) }
    func set(_ value: Double) { gauge.set(value) }
    func increment(by amount: Double) { gauge.increment(by: amount) }
    func decrement(by amount: Double) { gauge.decrement(by: amount) }
    func record(_ value: Int64) { gauge.set(value) }
    func record(_ value: Double) { gauge.set(value) }
}

private final class HistogramAdapter: TimerHandler, RecorderHandler {
    private let histogram: PrometheusRegistry.Histogram

    init(histogram: PrometheusRegistry.Histogram) {
        self.histogram = histogram
    }

    func recordNanoseconds(_ duration: Int64) { histogram.observe(.nanoseconds(duration)) }
    func record(_ value: Int64) { histogram.observe(Double(value)) }
    func record(_ value: Double) { histogram.observe(value) }
}
