import Synchronization

/// One thing that is wrong with a configuration.
package struct ConfigFault: Sendable {
    package enum Severity: String, Sendable {
        case error
        /// It can be used all the same, and is hardly what was meant.
        case warning
    }

    package let origin: ConfigOrigin
    /// The dotted key it is about.
    package let key: String
    package let found: String
    /// What would have been right, or what to do.
    package let remedy: String
    /// Whether the line may be shown: not if it holds a secret.
    var showsLine = true
    var severity = Severity.error
}

/// A value that was read, as `config show` prints it.
package struct ConfigReading: Sendable {
    /// The key with the tables it is in.
    package let path: [String]
    /// The value in TOML; `nil` for a secret.
    package let literal: String?
    package let origin: ConfigOrigin
}

/// Collects everything that is wrong with a configuration, and everything that was read of it.
package final class ConfigDiagnostics: Sendable {
    private struct State {
        var faults: [ConfigFault] = []
        var errorCount = 0
        var warningCount = 0
        var readings: [ConfigReading] = []
        var indexOfPath: [[String]: Int] = [:]
    }

    private let state = Mutex(State())

    package init() {}

    package func report(_ fault: ConfigFault) {
        state.withLock { state in
            switch fault.severity {
            case .error: state.errorCount += 1
            case .warning: state.warningCount += 1
            }
            if state.faults.count < Self.keptFaults { state.faults.append(fault) }
        }
    }

    package func report(
        _ key: String,
        at origin: ConfigOrigin,
        found: String,
        remedy: String,
        severity: ConfigFault.Severity = .error
    ) {
        report(ConfigFault(origin: origin, key: key, found: found, remedy: remedy, severity: severity))
    }

    package var errorCount: Int { state.withLock { $0.errorCount } }

    package var warningCount: Int { state.withLock { $0.warningCount } }

    package var hasErrors: Bool { errorCount > 0 }

    /// The first thousand, sorted by file and position, then as they were found.
    package var faults: [ConfigFault] {
        let faults = state.withLock { $0.faults }
        return faults.enumerated().sorted { first, second in
            if first.element.origin.precedes(second.element.origin) { return true }
            if second.element.origin.precedes(first.element.origin) { return false }
            return first.offset < second.offset
        }.map(\.element)
    }

    /// Everything that was read, in the order of the first reading; a key read again has its latest value.
    package var readings: [ConfigReading] { state.withLock { $0.readings } }

    /// Where the value of a key is from, if that was read.
    package func origin(of path: [String]) -> ConfigOrigin? {
        state.withLock { state in state.indexOfPath[path].map { state.readings[$0].origin } }
    }

    func record(_ reading: ConfigReading) {
        state.withLock { state in
            if let index = state.indexOfPath[reading.path] {
                state.readings[index] = reading
            } else {
                state.indexOfPath[reading.path] = state.readings.count
                state.readings.append(reading)
            }
        }
    }

    /// Every fault as `file:line:column: error: key: what was found; what was expected`, with the line and a caret
    /// below where there is a file, and the count at the end; `warning` in place of `error` where it is one. Empty if
    /// there is no fault.
    package func render() -> String {
        let (errors, warnings) = (errorCount, warningCount)
        let count = errors + warnings
        guard count > 0 else { return "" }
        var lines: [String] = []
        for fault in faults.prefix(Self.shownFaults) {
            let cause = "\(shortened(fault.key)): \(printable(fault.found)); \(printable(fault.remedy))"
            lines.append("\(fault.origin.place): \(fault.severity.rawValue): \(cause)")
            if fault.showsLine, let excerpt = SourceExcerpt(fault.origin) {
                lines += excerpt.lines
            }
        }
        if count > Self.shownFaults {
            lines.append("… and \(count - Self.shownFaults) more")
        }
        let totals = [(errors, "error"), (warnings, "warning")].filter { $0.0 > 0 }
        lines.append(
            totals.map { number, name in number == 1 ? "1 \(name)" : "\(number) \(name)s" }.joined(separator: ", ")
        )
        return lines.joined(separator: "\n") + "\n"
    }

    /// A file of the wrong kind can be wrong in every line of many thousands.
    private static let shownFaults = 200
    private static let keptFaults = 1000
}
