/// What one server did under load. All times are since the run began.
package struct Measurements: Sendable {
    /// What happened within one second.
    package struct Second: Sendable {
        /// How many players or connections there were.
        package var level = 0
        package var requests = 0
        package var bytes: Int64 = 0
        package var errors = 0
        package var stalls = 0
        package var firstByte: (p50: Duration, p95: Duration, p99: Duration)?

        package init() {}
    }

    package struct FailureCount: Sendable, Equatable {
        package var count: Int
        /// Of the first one.
        package let detail: String
    }

    /// Right answers: those that came to their end, and those that a player had enough of.
    package private(set) var requests = 0
    package private(set) var failures: [LoadFailure.Kind: FailureCount] = [:]
    /// Of bodies.
    package private(set) var bytes: Int64 = 0
    /// Of these, how many were compared with what they should be.
    package private(set) var comparedBytes: Int64 = 0
    /// From the moment a request was due, or was wanted, to the head of its answer.
    package private(set) var firstByte = LatencyHistogram()
    /// To the last byte; of answers that nobody let wait.
    package private(set) var whole = LatencyHistogram()
    /// From the choice of a film to its first picture.
    package private(set) var starts = LatencyHistogram()
    /// From a jump or a return to the picture.
    package private(set) var seeks = LatencyHistogram()
    package private(set) var stalls = LatencyHistogram()
    package private(set) var stalledTime = Duration.zero
    package private(set) var watchedTime = Duration.zero
    /// Starts, jumps and returns without a picture when the run ended, or when the player gave up.
    package private(set) var notBegun = 0
    /// Films whose players gave up.
    package private(set) var abandoned = 0
    /// Requests that were due and could not be sent, for want of a connection.
    package var missed = 0
    /// How long the stages were.
    package private(set) var elapsed = Duration.zero
    /// What came within that time. One answer that is late would otherwise make a server look slow that was not.
    private var timely: (requests: Int, bytes: Int64) = (0, 0)
    /// One for each second, in order.
    package private(set) var seconds: [Second] = []

    /// Of a viewer for a film to begin. Who had to wait longer, and in vain, is counted as an error: bytes that trickle
    /// are never late enough to be a timeout.
    private static let longestWait = Duration.seconds(10)

    private var current = Second()
    private var currentFirstByte = LatencyHistogram()

    package init() {}

    package var errors: Int { failures.values.reduce(0) { $0 + $1.count } }

    // MARK: - Counting

    package mutating func answered(firstByte time: Duration) {
        firstByte.record(time)
        currentFirstByte.record(time)
    }

    package mutating func received(_ count: Int, compared: Int64) {
        bytes += Int64(count)
        comparedBytes += compared
        current.bytes += Int64(count)
    }

    /// - Parameter time: to the last byte; `nil` where it says nothing of the server.
    package mutating func finished(after time: Duration?) {
        requests += 1
        current.requests += 1
        if let time { whole.record(time) }
    }

    package mutating func failed(_ failure: LoadFailure) {
        failures[failure.kind, default: FailureCount(count: 0, detail: failure.detail)].count += 1
        current.errors += 1
    }

    package mutating func noticed(_ note: PlayerModel.Note) {
        switch note {
        case .started(let time): starts.record(time)
        case .sought(let time): seeks.record(time)
        case .stalled(let time):
            stalls.record(time)
            stalledTime += time
            current.stalls += 1
        case .notBegun(let time):
            notBegun += 1
            guard time > Self.longestWait else { return }
            failed(LoadFailure(.noPicture, "none within \(FigureText.seconds(time.inSeconds))"))
        case .watched(let time): watchedTime += time
        case .gaveUp: abandoned += 1
        }
    }

    /// Ends the second that is under way.
    package mutating func endSecond(level: Int) {
        current.level = level
        if let p50 = currentFirstByte.percentile(50), let p95 = currentFirstByte.percentile(95),
            let p99 = currentFirstByte.percentile(99)
        {
            current.firstByte = (p50, p95, p99)
        }
        seconds.append(current)
        (current, currentFirstByte) = (Second(), LatencyHistogram())
    }

    /// Ends the stages, at the first call. What is counted later is in no rate.
    package mutating func end(after elapsed: Duration) {
        guard self.elapsed == .zero else { return }
        self.elapsed = elapsed
        timely = (requests, bytes)
    }

    /// Adds another round against the same server; its seconds come after these.
    package mutating func append(_ other: Measurements) {
        requests += other.requests
        for (kind, failures) in other.failures {
            self.failures[kind, default: FailureCount(count: 0, detail: failures.detail)].count += failures.count
        }
        bytes += other.bytes
        comparedBytes += other.comparedBytes
        firstByte.merge(other.firstByte)
        whole.merge(other.whole)
        starts.merge(other.starts)
        seeks.merge(other.seeks)
        stalls.merge(other.stalls)
        stalledTime += other.stalledTime
        watchedTime += other.watchedTime
        notBegun += other.notBegun
        abandoned += other.abandoned
        missed += other.missed
        elapsed += other.elapsed
        timely = (timely.requests + other.timely.requests, timely.bytes + other.timely.bytes)
        seconds += other.seconds
    }

    // MARK: - Figures

    package var requestsPerSecond: Double { perSecond(Double(timely.requests)) }
    package var bytesPerSecond: Double { perSecond(Double(timely.bytes)) }

    private func perSecond(_ count: Double) -> Double {
        elapsed > .zero ? count / elapsed.inSeconds : 0
    }
}
