package import Logging
import Synchronization

/// Where every ``GatewayLogHandler`` writes, and the level they share.
package final class LogOutput: Sendable {
    private struct State {
        var timestamps = TimestampText()
        var budget = LogBudget()
    }

    private let writer: LineWriter
    private let format: LogFormat
    private let isColoured: Bool
    private let now: @Sendable () -> Int64
    private let sharedLevel: Atomic<Int>
    private let messages: [Logger.Level: PrometheusRegistry.Counter]
    private let suppressed: PrometheusRegistry.Counter
    private let state = Mutex(State())

    /// - Parameter isColoured: whether the level has a colour; for terminals only.
    /// - Parameter now: nanoseconds since 1970; the system's clock by default.
    package init(
        writer: LineWriter,
        format: LogFormat,
        isColoured: Bool = false,
        level: Logger.Level = .info,
        registry: PrometheusRegistry,
        now: (@Sendable () -> Int64)? = nil
    ) {
        self.writer = writer
        self.format = format
        self.isColoured = isColoured
        self.now = now ?? { TimestampText.now() }
        self.sharedLevel = Atomic(level.index)
        let counters = Logger.Level.allCases.map { level in
            let labels = [(name: "level", value: level.rawValue)]
            return (
                level,
                registry.counter("media_gateway_log_messages_total", help: "Log lines by level", labels: labels)
            )
        }
        self.messages = Dictionary(counters) { first, _ in first }
        self.suppressed = registry.counter(
            "media_gateway_log_suppressed_total",
            help: "Log lines left out because one place in the code wrote too many in a second"
        )
    }

    /// The level of every logger that was not given its own. May be changed at any time.
    package var level: Logger.Level {
        get { Logger.Level(index: sharedLevel.load(ordering: .relaxed)) }
        set { sharedLevel.store(newValue.index, ordering: .relaxed) }
    }

    func write(_ event: LogEvent, label: String, metadata: Logger.Metadata) {
        let time = now()
        guard let left = state.withLock({ $0.budget.admit(event, at: time) }) else {
            return suppressed.increment()
        }
        messages[event.level]?.increment()
        var metadata = metadata
        if left > 0 { metadata["suppressed"] = .stringConvertible(left) }
        // Made outside the writer's lock: descriptions of metadata are other people's code, which might log.
        var line: [UInt8] = []
        switch format {
        case .json: appendJSON(event, time, label, metadata, to: &line)
        case .text: appendText(event, time, label, metadata, to: &line)
        }
        line.append(UInt8(ascii: "\n"))
        writer.append(line)
    }

    private func appendJSON(
        _ event: LogEvent,
        _ time: Int64,
        _ label: String,
        _ metadata: Logger.Metadata,
        to line: inout [UInt8]
    ) {
        JSONLine.append(to: &line) { json in
            json.field("time") { appendTime(time, to: &$0) }
            json.field("level", event.level.rawValue)
            json.field("logger", label)
            json.field("message", event.message.description)
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
                let isTaken = ["time", "level", "logger", "message"].contains(key)
                json.field(.text(isTaken ? "\(key)_" : key), value)
            }
        }
    }

    private func appendText(
        _ event: LogEvent,
        _ time: Int64,
        _ label: String,
        _ metadata: Logger.Metadata,
        to line: inout [UInt8]
    ) {
        appendTime(time, to: &line)
        line.append(UInt8(ascii: " "))
        if isColoured { line.append(contentsOf: event.level.colour.utf8) }
        line.append(contentsOf: event.level.rawValue.utf8)
        if isColoured { line.append(contentsOf: "\u{1B}[0m".utf8) }
        // As wide as "critical", so that messages start in one column.
        line.append(contentsOf: repeatElement(UInt8(ascii: " "), count: max(9 - event.level.rawValue.utf8.count, 1)))
        EscapedText.append(event.message.description, to: &line)
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            line.appendPair(key, value.description)
        }
        line.appendPair("logger", label)
    }

    private func appendTime(_ time: Int64, to line: inout [UInt8]) {
        state.withLock { $0.timestamps.append(time, to: &line) }
    }
}

extension JSONLine {
    /// Numbers and truth values stay what they are.
    fileprivate mutating func field(_ key: Key, _ value: Logger.MetadataValue) {
        switch value {
        case .string(let text): field(key, text)
        case .stringConvertible(let value as Bool): field(key, value)
        case .stringConvertible(let value as Double): field(key, value)
        case .stringConvertible(let value as any FixedWidthInteger):
            if let number = Int64(exactly: value) { field(key, number) } else { field(key, "\(value)") }
        case .stringConvertible(let value): field(key, value.description)
        case .array(let values): array(key, values) { $0.field("", $1) }
        case .dictionary(let values):
            object(key) { json in
                for (key, value) in values.sorted(by: { $0.key < $1.key }) { json.field(.text(key), value) }
            }
        }
    }
}

extension Logger.Level {
    /// The place in `allCases`, which is the order of severity.
    fileprivate var index: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    fileprivate init(index: Int) {
        self = Self.allCases.indices.contains(index) ? Self.allCases[index] : .info
    }

    /// The escape sequence that starts it: grey, green, yellow, red.
    fileprivate var colour: String {
        switch self {
        case .trace, .debug: "\u{1B}[90m"
        case .info, .notice: "\u{1B}[32m"
        case .warning: "\u{1B}[33m"
        case .error, .critical: "\u{1B}[31m"
        }
    }
}
