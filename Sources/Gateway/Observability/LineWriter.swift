import Dispatch
import Logging
import Synchronization

/// Takes finished lines from any thread and writes them on one of its own, so that no caller waits for the sink.
///
/// Invariants:
/// - A line is written whole or dropped; a dropped one is counted. The exception is a file that takes part of a line
///   and then fails: the next line starts on a new one.
/// - What is waiting and what is being written together stay within the capacity.
/// - A line leaves within about 100 ms of being appended if the sink takes it: at once after a quiet spell, else with
///   the batch of the next 100 ms or 64 KiB. The writer is woken at most once for each batch.
///
/// Writing to a pipe that nobody reads raises SIGPIPE, for which there is no flag as there is for sockets: the process
/// has to ignore that signal. The lines are then dropped and counted.
package final class LineWriter: Sendable {
    package enum Sink: Sendable {
        /// One that stays open as long as the process, such as standard output. It is not closed.
        case descriptor(Int32)
        /// A file to append to, made with mode 0640 if there is none.
        case file(String)
    }

    private let queue: LineQueue

    /// Opens the sink and starts the thread. Dropping the writer writes what is waiting and ends the thread.
    ///
    /// - Parameter capacity: bytes that may be waiting before lines are dropped.
    /// - Parameter dropped: counts the lines that were not written.
    /// - Throws: ``LineSinkError`` if the file cannot be opened.
    package init(
        to sink: Sink,
        capacity: Int = 4 << 20,
        dropped: PrometheusRegistry.Counter = PrometheusRegistry.Counter()
    ) throws {
        let opened = try LineSink(sink)
        let queue = LineQueue(capacity: capacity, dropped: dropped)
        self.queue = queue
        // The one item of its own queue: a thread until `close`.
        DispatchQueue(label: "media-gateway.log", qos: .utility).async { queue.writeLines(to: opened) }
    }

    deinit {
        queue.requestEnd()
    }

    /// The number of lines that were not written.
    package var dropped: Int { queue.dropped.value }

    /// Appends a line, which ends in its line feed, or drops it if there is no room.
    package func append(_ line: some Collection<UInt8>) {
        queue.append { $0.append(contentsOf: line) }
    }

    /// Appends the one line that `encode` adds to the buffer, line feed included, or drops it if there is no room.
    ///
    /// - Parameter encode: runs at once and under a lock; it only appends, and does not log.
    package func append(encoding encode: (inout [UInt8]) -> Void) {
        queue.append(encode)
    }

    /// Opens the file again by its name, as after it was renamed to rotate it: lines appended from now on go there.
    /// The old one stays in use if that fails, which is logged. Does nothing for a descriptor.
    package func reopen() {
        queue.requestReopen()
    }

    /// Writes what is waiting and ends the thread; blocks the caller for at most `deadline`. Later lines are dropped.
    ///
    /// - Returns: whether everything was written, or dropped because the sink failed; if not, the rest is dropped.
    @discardableResult
    package func close(within deadline: Duration) -> Bool {
        queue.end(within: deadline)
    }
}

/// The lines between the callers and the thread.
private final class LineQueue: Sendable {
    /// A batch that is due before its time is up.
    private static let batchSize = 64 << 10
    private static let batchTime = DispatchTimeInterval.milliseconds(100)

    /// What the thread is doing, which says what has to wake it.
    private enum Writer {
        /// Nothing came for a while: the first line wakes it.
        case idle
        /// Collects a batch until a time: the line that makes it large enough wakes it.
        case collecting
        /// Writes, or was woken and is about to: it looks again before it waits.
        case busy
    }

    private enum Ending {
        case no
        case whenEmpty
        case now
    }

    private struct State {
        var waiting: [UInt8] = []
        var bytesInHand = 0
        /// The number of waiting bytes that were there when the file was to be opened again.
        var reopenAt: Int?
        var writer = Writer.busy
        var ending = Ending.no

        /// - Returns: whether the thread has to be woken now.
        mutating func wakes(if due: Bool) -> Bool {
            guard due, writer != .busy else { return false }
            writer = .busy
            return true
        }

        mutating func lineCame() -> Bool {
            wakes(if: writer == .idle || waiting.count >= LineQueue.batchSize)
        }
    }

    private struct Batch {
        var bytes: [UInt8]
        var reopenAt: Int?
    }

    let dropped: PrometheusRegistry.Counter
    private let capacity: Int
    private let state = Mutex(State())
    private let wake = DispatchSemaphore(value: 0)
    private let thread = DispatchGroup()

    init(capacity: Int, dropped: PrometheusRegistry.Counter) {
        self.capacity = capacity
        self.dropped = dropped
        state.withLock { $0.waiting.reserveCapacity(2 * Self.batchSize) }
        thread.enter()
    }

    @inline(__always)
    func append(_ encode: (inout [UInt8]) -> Void) {
        let (wasTaken, wakes) = state.withLock { state -> (Bool, Bool) in
            let before = state.waiting.count
            guard case .no = state.ending, before + state.bytesInHand < capacity else { return (false, false) }
            encode(&state.waiting)
            guard state.waiting.count + state.bytesInHand <= capacity else {
                state.waiting.removeLast(state.waiting.count - before)
                return (false, false)
            }
            return (true, state.lineCame())
        }
        if !wasTaken { dropped.increment() }
        if wakes { wake.signal() }
    }

    func requestReopen() {
        change { $0.reopenAt = $0.waiting.count }
    }

    func requestEnd() {
        change { if case .no = $0.ending { $0.ending = .whenEmpty } }
    }

    func end(within deadline: Duration) -> Bool {
        requestEnd()
        let wait = DispatchTimeInterval.nanoseconds(Int(clamping: deadline.wholeNanoseconds))
        if thread.wait(timeout: .now() + wait) == .success { return true }
        change { $0.ending = .now }
        return false
    }

    private func change(_ change: (inout State) -> Void) {
        let wakes = state.withLock { state in
            change(&state)
            return state.wakes(if: true)
        }
        if wakes { wake.signal() }
    }

    /// The thread: batch after batch until the end.
    func writeLines(to opened: LineSink) {
        var sink = opened
        var batch = Batch(bytes: [])
        batch.bytes.reserveCapacity(2 * Self.batchSize)
        while true {
            waitForBatch()
            guard takeBatch(into: &batch) else { break }
            let lost = write(batch, to: &sink)
            dropped.increment(by: lost)
        }
        dropped.increment(by: state.withLock { $0.waiting.count { $0 == UInt8(ascii: "\n") } })
        sink.close()
        thread.leave()
    }

    /// Returns when there is something to do: at once if lines came while the last batch was written.
    private func waitForBatch() {
        let collects = state.withLock { state -> Bool in
            state.bytesInHand = 0
            guard case .no = state.ending, state.reopenAt == nil, state.waiting.count < Self.batchSize else {
                return false
            }
            state.writer = .collecting
            return true
        }
        guard collects, wake.wait(timeout: .now() + Self.batchTime) == .timedOut else { return }
        // A line may have woken the thread just as the time was up; that signal is taken here.
        let (wasWoken, isIdle) = state.withLock { state -> (Bool, Bool) in
            if state.writer == .busy { return (true, false) }
            state.writer = state.waiting.isEmpty ? .idle : .busy
            return (false, state.waiting.isEmpty)
        }
        if wasWoken || isIdle { wake.wait() }
    }

    /// Swaps the waiting lines for the empty buffer in `batch`.
    ///
    /// - Returns: `false` at the end.
    private func takeBatch(into batch: inout Batch) -> Bool {
        batch.bytes.removeAll(keepingCapacity: true)
        return state.withLock { state in
            switch state.ending {
            case .no: break
            case .whenEmpty where !state.waiting.isEmpty: break
            case .whenEmpty, .now: return false
            }
            swap(&state.waiting, &batch.bytes)
            batch.reopenAt = state.reopenAt.take()
            state.bytesInHand = batch.bytes.count
            return true
        }
    }

    /// - Returns: the number of lines that were lost.
    private func write(_ batch: Batch, to sink: inout LineSink) -> Int {
        func givesUp() -> Bool {
            state.withLock { if case .now = $0.ending { true } else { false } }
        }
        guard let reopenAt = batch.reopenAt else { return sink.write(batch.bytes[...], givesUp: givesUp) }
        let lostBefore = sink.write(batch.bytes[..<reopenAt], givesUp: givesUp)
        do {
            try sink.reopen()
        } catch {
            Logger(label: "media-gateway.log").error("log file not opened again", metadata: ["reason": "\(error)"])
        }
        return lostBefore + sink.write(batch.bytes[reopenAt...], givesUp: givesUp)
    }
}
