import CoreMetrics

/// What an HTTP source tells about itself through swift-metrics.
struct HTTPMetrics: Sendable {
    /// What became of a request to an origin.
    enum Outcome: String, Sendable, CaseIterable {
        case ok
        /// What is cached is still good.
        case notModified = "not_modified"
        case redirect
        case notFound = "not_found"
        /// Any other status from 400 to 499.
        case refused
        /// A status from 500 on.
        case error
        case unreachable
        case timeout
        /// The connection ended before the answer began.
        case broken
        /// What came was no answer that can be used.
        case invalid
        /// Nobody waited for the answer any more.
        case cancelled
    }

    private let requests: [Outcome: Counter]
    private let retries: Counter
    private let openBreakers: Gauge
    private let firstByte: Timer

    /// - Parameter source: its name.
    init(source: String) {
        let counters = Outcome.allCases.map { outcome in
            let labels = [("source", source), ("result", outcome.rawValue)]
            return (outcome, Counter(label: "media_gateway_http_origin_requests", dimensions: labels))
        }
        requests = Dictionary(uniqueKeysWithValues: counters)
        retries = Counter(label: "media_gateway_http_origin_retries", dimensions: [("source", source)])
        openBreakers = Gauge(label: "media_gateway_http_origin_breakers_open", dimensions: [("source", source)])
        firstByte = Timer(label: "media_gateway_http_origin_first_byte", dimensions: [("source", source)])
        openBreakers.record(0)
    }

    func count(_ outcome: Outcome) { requests[outcome]?.increment() }

    func countRetry() { retries.increment() }

    func show(openBreakers count: Int) { openBreakers.record(count) }

    /// The head of an answer came.
    func observeFirstByte(_ time: Duration) { firstByte.recordNanoseconds(time.wholeNanoseconds) }
}

extension HTTPMetrics.Outcome {
    init(status: Int) {
        switch status {
        case 200..<300: self = .ok
        case 304: self = .notModified
        case 300..<400: self = .redirect
        case 404, 410: self = .notFound
        case 400..<500: self = .refused
        default: self = .error
        }
    }

    init(_ error: any Error) {
        switch (error as? OriginFailure)?.kind {
        case .unresolved, .resolverSilent, .unreachable, .connectTimedOut, .noConnection: self = .unreachable
        case .timedOut: self = .timeout
        case .broken: self = .broken
        case .malformed: self = .invalid
        case .shuttingDown: self = .cancelled
        case nil: self = error is CancellationError ? .cancelled : .invalid
        }
    }
}
