import Logging
import Synchronization

/// The numbers of this process and the page that shows them, in Prometheus' text format 0.0.4.
///
/// A metric is looked up once, by name and labels, and its handle kept: counting is then one atomic operation. Nothing
/// here traps or throws. A name or label that the format does not allow is rewritten; a metric that contradicts an
/// earlier one of its name (another type, other label names, other buckets), or would be the 1,001st with that name,
/// gets a handle that counts for nobody, and the first such refusal of each name is logged.
package final class PrometheusRegistry: Sendable {
    package typealias Labels = [(name: String, value: String)]

    /// What the page's `Content-Type` has to be.
    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"
    /// From a memory hit to the longest wait that players accept.
    package static let defaultBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

    /// Keeps a label that strangers choose, such as a request method, from filling the memory.
    private static let seriesLimit = 1000

    private struct State {
        var families: [String: MetricFamily] = [:]
        var collectors: [@Sendable (PrometheusRegistry) -> Void] = []
        var refused: Set<String> = []
    }

    private let state = Mutex(State())

    package init() {}

    /// A count of things; its name ends in `_total`.
    package func counter(_ name: String, help: String, labels: Labels = []) -> Counter {
        guard case .counter(let counter) = metric(name, help, labels, orMake: .counter(Counter())) else {
            return Counter()
        }
        return counter
    }

    /// A sum of times; its name ends in `_seconds_total`.
    package func secondsCounter(_ name: String, help: String, labels: Labels = []) -> SecondsCounter {
        guard case .seconds(let counter) = metric(name, help, labels, orMake: .seconds(SecondsCounter())) else {
            return SecondsCounter()
        }
        return counter
    }

    /// A value that goes up and down.
    package func gauge(_ name: String, help: String, labels: Labels = []) -> Gauge {
        guard case .gauge(let gauge) = metric(name, help, labels, orMake: .gauge(Gauge())) else {
            return Gauge()
        }
        return gauge
    }

    /// A distribution; its name ends in the unit.
    ///
    /// - Parameter buckets: the upper bounds, without the infinite one. The first caller decides for all of the name.
    package func histogram(
        _ name: String,
        help: String,
        labels: Labels = [],
        buckets: [Double] = defaultBuckets
    ) -> Histogram {
        let made = Histogram(buckets: buckets)
        guard case .histogram(let histogram) = metric(name, help, labels, orMake: .histogram(made)) else {
            return made
        }
        return histogram
    }

    /// Has `collect` called before each page, on the caller's thread, to set what is cheaper to ask for than to count.
    ///
    /// Two pages may be made at the same time.
    package func onScrape(_ collect: @escaping @Sendable (PrometheusRegistry) -> Void) {
        state.withLock { $0.collectors.append(collect) }
    }

    /// Every metric, sorted by name and labels.
    package func page() -> String {
        for collect in state.withLock({ $0.collectors }) { collect(self) }
        let families = state.withLock { $0.families }
        var page = ""
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            family.write(name: name, to: &page)
        }
        return page
    }

    /// - Returns: the metric of that name and those labels, which is `new` if there was none; `nil` if it is refused.
    private func metric(_ name: String, _ help: String, _ labels: Labels, orMake new: Metric) -> Metric? {
        let name = PrometheusText.metricName(name)
        let labels = LabelSet(labels, reserved: new.reservedLabel)
        let (found, isFirstRefusal) = state.withLock { state -> (Metric?, Bool) in
            var family = state.families[name] ?? MetricFamily(help: help, like: new, labels: labels)
            guard family.accepts(new, labels) else { return (nil, state.refused.insert(name).inserted) }
            if let metric = family.series[labels] { return (metric, false) }
            guard family.series.count < Self.seriesLimit else {
                return (nil, state.refused.insert(name).inserted)
            }
            family.series[labels] = new
            state.families[name] = family
            return (new, false)
        }
        if isFirstRefusal {
            Logger(label: "media-gateway.metrics").warning(
                "metric refused: its name has another type, other labels, or too many series",
                metadata: ["metric": "\(name)"]
            )
        }
        return found
    }
}
