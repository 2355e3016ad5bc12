/// One metric of a family, of one of the types the registry has.
enum Metric {
    case counter(PrometheusRegistry.Counter)
    case seconds(PrometheusRegistry.SecondsCounter)
    case gauge(PrometheusRegistry.Gauge)
    case histogram(PrometheusRegistry.Histogram)

    /// The word after `# TYPE name`.
    var type: String {
        switch self {
        case .counter, .seconds: "counter"
        case .gauge: "gauge"
        case .histogram: "histogram"
        }
    }

    /// A label name that the format keeps for itself.
    var reservedLabel: String? {
        if case .histogram = self { "le" } else { nil }
    }

    func isLike(_ other: Metric) -> Bool {
        switch (self, other) {
        case (.counter, .counter), (.seconds, .seconds), (.gauge, .gauge): true
        case (.histogram(let one), .histogram(let other)): one.bounds == other.bounds
        case (.counter, _), (.seconds, _), (.gauge, _), (.histogram, _): false
        }
    }
}

/// The metrics that share a name.
struct MetricFamily {
    let help: String
    let first: Metric
    let labelNames: [String]
    var series: [LabelSet: Metric] = [:]

    init(help: String, like first: Metric, labels: LabelSet) {
        self.help = help
        self.first = first
        self.labelNames = labels.names
    }

    func accepts(_ metric: Metric, _ labels: LabelSet) -> Bool {
        first.isLike(metric) && labelNames == labels.names
    }

    func write(name: String, to page: inout String) {
        page += "# HELP \(name) \(PrometheusText.escapedHelp(help))\n# TYPE \(name) \(first.type)\n"
        for (labels, metric) in series.sorted(by: { $0.key.text < $1.key.text }) {
            switch metric {
            case .counter(let counter): page += "\(name)\(labels.braced()) \(counter.value)\n"
            case .seconds(let counter):
                page += "\(name)\(labels.braced()) \(PrometheusText.number(counter.value / .seconds(1)))\n"
            case .gauge(let gauge): page += "\(name)\(labels.braced()) \(PrometheusText.number(gauge.value))\n"
            case .histogram(let histogram): write(histogram, name: name, labels: labels, to: &page)
            }
        }
    }

    /// Buckets are cumulative in the format, and the infinite one is the count.
    private func write(
        _ histogram: PrometheusRegistry.Histogram,
        name: String,
        labels: LabelSet,
        to page: inout String
    ) {
        let snapshot = histogram.snapshot
        let bounds = histogram.bounds.map(PrometheusText.number) + ["+Inf"]
        var count = 0
        for (bound, inBucket) in zip(bounds, snapshot.counts) {
            count &+= inBucket
            page += "\(name)_bucket\(labels.braced(adding: "le=\"\(bound)\"")) \(count)\n"
        }
        page += "\(name)_sum\(labels.braced()) \(PrometheusText.number(snapshot.sum))\n"
        page += "\(name)_count\(labels.braced()) \(count)\n"
    }
}

/// Labels sorted by name, which makes their order in a call irrelevant, and as they stand on the page.
struct LabelSet: Hashable {
    let names: [String]
    /// `a="b",c="d"`
    let text: String

    /// - Parameter reserved: a name that is rewritten. Of two labels of one name the first counts.
    init(_ labels: PrometheusRegistry.Labels, reserved: String?) {
        var values: [String: String] = [:]
        for (name, value) in labels {
            let allowed = PrometheusText.labelName(name)
            let key = allowed == reserved ? "exported_\(allowed)" : allowed
            if values[key] == nil { values[key] = value }
        }
        let sorted = values.sorted { $0.key < $1.key }
        self.names = sorted.map(\.key)
        self.text = sorted.map { "\($0.key)=\"\(PrometheusText.escapedLabel($0.value))\"" }.joined(separator: ",")
    }

    func braced(adding more: String? = nil) -> String {
        let parts = [text, more ?? ""].filter { !$0.isEmpty }
        return parts.isEmpty ? "" : "{\(parts.joined(separator: ","))}"
    }
}

/// The lexical rules of the text format.
enum PrometheusText {
    /// `[a-zA-Z_:][a-zA-Z0-9_:]*`
    static func metricName(_ name: String) -> String {
        identifier(name, allowing: ":")
    }

    /// `[a-zA-Z_][a-zA-Z0-9_]*`, and not two underscores at the start, which are Prometheus' own.
    static func labelName(_ name: String) -> String {
        let name = identifier(name, allowing: "_")
        return name.hasPrefix("__") ? "exported\(name)" : name
    }

    private static func identifier(_ name: String, allowing extra: Unicode.Scalar) -> String {
        var result = String.UnicodeScalarView()
        for scalar in name.unicodeScalars {
            switch scalar {
            case "a"..."z", "A"..."Z", "_", extra: result.append(scalar)
            case "0"..."9":
                if result.isEmpty { result.append("_") }
                result.append(scalar)
            default: result.append("_")
            }
        }
        return result.isEmpty ? "_" : String(result)
    }

    static func escapedHelp(_ help: String) -> String {
        escaped(help, quotes: false)
    }

    static func escapedLabel(_ value: String) -> String {
        escaped(value, quotes: true)
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
            case "\n": result.append(contentsOf: "\\n".unicodeScalars)
            case "\"" where quotes: result.append(contentsOf: "\\\"".unicodeScalars)
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map { "\($0)" } ?? "\(value)"
    }
}
