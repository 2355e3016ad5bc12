/// Counts what is read from sources, which is what the cache is there to make less of.
package final class SourceMeter: Sendable {
    private struct Counters {
        let reads: PrometheusRegistry.Counter
        let bytes: PrometheusRegistry.Counter
    }

    private let counters: [String: Counters]

    /// - Parameter sources: their names.
    package init(_ sources: [String], in registry: PrometheusRegistry) {
        let counters = sources.map { source in
            let labels = [(name: "source", value: source)]
            return (
                source,
                Counters(
                    reads: registry.counter(
                        "media_gateway_source_requests_total",
                        help: "Reads asked of a source",
                        labels: labels
                    ),
                    bytes: registry.counter(
                        "media_gateway_source_read_bytes_total",
                        help: "Bytes read from a source",
                        labels: labels
                    )
                )
            )
        }
        self.counters = Dictionary(uniqueKeysWithValues: counters)
    }

    func countRead(of source: String) { counters[source]?.reads.increment() }

    func countBytes(_ count: Int, from source: String) { counters[source]?.bytes.increment(by: count) }
}
