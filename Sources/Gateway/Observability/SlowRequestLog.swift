package import Logging

/// Writes a warning with the time of each stage for a request that the gateway or its source made slow.
package struct SlowRequestLog: Sendable {
    private let threshold: Duration
    private let logger: Logger

    /// - Parameter threshold: the ``RequestStages/gatewayTime`` above which a request is slow.
    package init(threshold: Duration, logger: Logger) {
        self.threshold = threshold
        self.logger = logger
    }

    /// Call it when the request has ended.
    ///
    /// - Returns: whether it was slow.
    package func note(_ stages: RequestStages, of record: AccessRecord) -> Bool {
        guard stages.gatewayTime > threshold else { return false }
        var id: [UInt8] = []
        Digits.append(hexadecimal: record.id, to: &id)
        let facts: Logger.Metadata = [
            "id": "\(String(decoding: id, as: UTF8.self))",
            "method": "\(record.method)",
            "target": "\(redacted(target: record.target))",
            "status": .stringConvertible(record.status),
            "route": "\(record.route)",
            "source": "\(record.source)",
            "outcome": "\(record.outcome.rawValue)",
        ]
        logger.warning("slow request", metadata: facts.merging(stages.metadata) { fact, _ in fact })
        return true
    }
}
