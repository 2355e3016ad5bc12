package import NIOCore
import Synchronization

/// Measures how late the event loops run what is due: the wait that anything on them adds to every stream.
package final class LoopLagMeter: Sendable {
    private static let buckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

    private let group: any EventLoopGroup
    private let interval: TimeAmount
    private let now: @Sendable (any EventLoop) -> NIODeadline
    private let lag: PrometheusRegistry.Histogram
    private let ticks = Mutex<[RepeatedTask]>([])

    /// - Parameter now: the time on a loop.
    package init(
        _ group: any EventLoopGroup,
        in registry: PrometheusRegistry,
        every interval: TimeAmount = .milliseconds(100),
        now: @escaping @Sendable (any EventLoop) -> NIODeadline = { $0.now }
    ) {
        self.group = group
        self.interval = interval
        self.now = now
        lag = registry.histogram(
            "media_gateway_event_loop_lag_seconds",
            help: "How late the event loops ran what was due, by a probe on each",
            buckets: Self.buckets
        )
    }

    /// Begins to measure, on every loop of the group, unless it does already.
    package func start() {
        ticks.withLock { ticks in
            guard ticks.isEmpty else { return }
            ticks = group.makeIterator().map { probe($0) }
        }
    }

    package func stop() {
        let ended = ticks.withLock { ticks in
            defer { ticks = [] }
            return ticks
        }
        for tick in ended { tick.cancel() }
    }

    private func probe(_ loop: any EventLoop) -> RepeatedTask {
        let (lag, now, interval) = (lag, now, interval)
        let due = DueTime(now(loop) + interval)
        // The next one is due an interval after this one has run.
        return loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            let ran = now(loop)
            let late = ran - due.exchange(ran + interval)
            lag.observe(.nanoseconds(max(late.nanoseconds, 0)))
        }
    }
}

private final class DueTime: Sendable {
    private let nanoseconds: Atomic<UInt64>

    init(_ time: NIODeadline) {
        nanoseconds = Atomic(time.uptimeNanoseconds)
    }

    /// - Returns: what it was.
    func exchange(_ time: NIODeadline) -> NIODeadline {
        .uptimeNanoseconds(nanoseconds.exchange(time.uptimeNanoseconds, ordering: .relaxed))
    }
}
