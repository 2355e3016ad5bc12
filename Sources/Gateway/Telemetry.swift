import Config
import CoreMetrics
import Glibc
import Logging

/// Where the gateway writes what it does: log, access log, metrics.
struct Telemetry: Sendable {
    let registry: PrometheusRegistry
    let logger: Logger
    private let log: LineWriter
    private let access: LineWriter?
    private let accessLog: AccessLog?
    private let slowLog: SlowRequestLog

    /// - Throws: ``LineSinkError`` if the access log's file cannot be opened.
    init(_ config: GatewayConfig.Log) throws {
        registry = PrometheusRegistry()
        ProcessMetrics.register(in: registry, version: GatewayVersion.current, startTime: TimestampText.now())
        let dropped = registry.counter(
            "media_gateway_log_dropped_total",
            help: "Log lines that the sink did not take"
        )
        log = try LineWriter(to: .descriptor(STDERR_FILENO), dropped: dropped)
        let output = LogOutput(
            writer: log,
            format: LogFormat(config.format, descriptor: STDERR_FILENO),
            isColoured: LogFormat.isTerminal(STDERR_FILENO),
            level: Logger.Level(rawValue: config.level.rawValue) ?? .info,
            registry: registry
        )
        logger = Logger(label: "media-gateway") { GatewayLogHandler(label: $0, output: output) }
        LoggingSystem.bootstrap { GatewayLogHandler(label: $0, output: output) }
        MetricsSystem.bootstrap(PrometheusMetricsFactory(registry: registry))
        switch config.access {
        case .off: access = nil
        case .standardOutput: access = try LineWriter(to: .descriptor(STDOUT_FILENO), dropped: dropped)
        case .file(let path): access = try LineWriter(to: .file(path), dropped: dropped)
        }
        let accessDescriptor = config.access == .standardOutput ? STDOUT_FILENO : -1
        accessLog = access.map {
            AccessLog(writer: $0, format: LogFormat(config.format, descriptor: accessDescriptor))
        }
        slowLog = SlowRequestLog(threshold: config.slowRequest, logger: logger)
    }

    func reporter(_ plane: ConnectionServices.Plane) -> RequestReporter {
        RequestReporter(
            plane: plane,
            registry: registry,
            // Scrapes and health checks would bury the players' lines.
            accessLog: plane == .data ? accessLog : nil,
            slowLog: slowLog
        )
    }

    func count(_ connections: ConnectionRegistry, plane: ConnectionServices.Plane) {
        let gauge = registry.gauge(
            "media_gateway_http_connections",
            help: "Open connections",
            labels: [("plane", plane.rawValue)]
        )
        registry.onScrape { _ in gauge.set(connections.openConnections) }
        registry.gauge(
            "media_gateway_http_connections_limit",
            help: "Connections there may be; more wait to be accepted",
            labels: [("plane", plane.rawValue)]
        ).set(connections.limit)
    }

    /// Tells whoever started the gateway, on standard error.
    func announce(_ text: String) {
        log.append(text.utf8)
    }

    func reopen() {
        access?.reopen()
    }

    func close() {
        access?.close(within: .milliseconds(150))
        log.close(within: .milliseconds(150))
    }
}

extension LogFormat {
    fileprivate init(_ format: GatewayConfig.Log.Format, descriptor: Int32) {
        switch format {
        case .text: self = .text
        case .json: self = .json
        case .auto: self = .automatic(for: descriptor)
        }
    }
}
