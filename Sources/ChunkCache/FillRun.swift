import DequeModule
package import NIOCore
import Synchronization

/// Gives the bytes of a range of one object, buffer by buffer as they are pulled; `nil` at the end.
package typealias ByteProducer = @Sendable () async throws -> ByteBuffer?

/// Opens a read of a range of one object.
package typealias ByteSource = @Sendable (Range<Int64>) async throws -> ByteProducer

/// One read of a source that fills chunk after chunk, as far as readers want them.
///
/// Readers claim the chunks, in order and without gaps, and the run fetches what is claimed: it is never further ahead of
/// the readers than they asked for. It ends at a chunk that somebody else has, at its limit, or when the last reader has
/// left; then it still completes a chunk of which it has at least half, or from which a reader had all it asked for: a
/// player's short reads of an index come again.
///
/// Where the source fails, it is asked once more for what that chunk lacks. If it fails again, so does the chunk, for
/// everybody who waits for it; what was claimed behind it is given up, and fetched anew by whoever gets there.
///
/// Locks: a chunk is claimed in the table under the run's lock. Nothing else is called under it.
final class FillRun: Sendable {
    private struct State {
        /// Claimed and not begun.
        var queue: Deque<Fill> = []
        var current: Fill?
        /// The chunk that may be claimed next.
        var next: UInt64
        var readers = 0
        /// Nothing more is claimed.
        var isClosed = false
        var parked: CheckedContinuation<Void, Never>?
        var task: Task<Void, Never>?
        /// Fetches what lies before the first fill's start.
        var head: (fill: Fill, task: Task<Void, Never>)?
        /// Complete, and not taken into the cache: for readers that are not there yet.
        var unstored: Deque<Fill> = []
        /// How much had come when it was last looked at without readers, and since when that is so.
        var forsaken: (count: Int, since: ContinuousClock.Instant)?
    }

    /// How long a source may give nothing of what is completed without readers.
    private static let patience = Duration.seconds(30)

    /// Where in the source the run is.
    private struct Reading {
        let end: Int64
        var bytes: ByteProducer?
        /// Came with the last bytes, and belongs to the next chunk.
        var surplus: ByteBuffer?
    }

    private let store: ChunkStore
    private let object: CachedObject
    private let source: ByteSource
    private let isFinal: @Sendable (any Error) -> Bool
    private let executor: (any TaskExecutor)?
    /// The end of the last chunk that may be claimed, as a position in the object.
    private let limit: Int64
    /// How many chunks are claimed ahead of a reader at most.
    private let aheadLimit: Int64
    private let state: Mutex<State>

    init(
        _ store: ChunkStore,
        _ object: CachedObject,
        first: ChunkID,
        limit: Int64,
        readAhead: Int64,
        executor: (any TaskExecutor)?,
        isFinal: @escaping @Sendable (any Error) -> Bool,
        source: @escaping ByteSource
    ) {
        self.store = store
        self.object = object
        self.source = source
        self.isFinal = isFinal
        self.executor = executor
        self.limit = limit
        aheadLimit = max(readAhead / object.chunkSize, 1)
        self.state = Mutex(State(next: first.index))
    }

    // MARK: - What readers do

    /// Counts one more reader that waits for what this run fetches.
    func join() { state.withLock { $0.readers += 1 } }

    /// The end of ``join()``. Without readers the run ends.
    func leave() {
        let isLast = state.withLock { state in
            state.readers -= 1
            return state.readers == 0
        }
        if isLast { end { $0.isExpendable } }
    }

    /// Ends the run if it has no readers and its source has given nothing for long: it may hang for ever, and keep loaded what
    /// is read of it. Is asked time and again.
    func endIfForsaken(now: ContinuousClock.Instant) {
        let fills = state.withLock { state in
            state.readers == 0 ? [state.current, state.head?.fill].compactMap { $0 } : []
        }
        let count = fills.reduce(0) { $0 + $1.count }
        let isForsaken = state.withLock { state in
            guard state.readers == 0 else {
                state.forsaken = nil
                return false
            }
            if let forsaken = state.forsaken, forsaken.count == count {
                return forsaken.since.duration(to: now) >= Self.patience
            }
            state.forsaken = (count, now)
            return false
        }
        if isForsaken { abandon() }
    }

    /// Ends the run at once. Whoever waits for a chunk that is not complete is told that it was abandoned.
    func abandon() {
        for fill in end(where: { !$0.isComplete }) { store.end(fill, failure: FillAbandoned()) }
    }

    /// Claims nothing any more, gives up what has not begun, and cancels what has if `condition` holds for it.
    ///
    /// - Returns: what was cancelled.
    @discardableResult
    private func end(where condition: (Fill) -> Bool) -> [Fill] {
        let (begun, dropped, unstored, parked) = state.withLock { state in
            state.isClosed = true
            defer { (state.queue, state.unstored) = ([], []) }
            let begun = [state.current.map { ($0, state.task) }, state.head.map { ($0.fill, $0.task) }]
            return (begun.compactMap { $0 }, state.queue, state.unstored, state.parked.take())
        }
        let cancelled = begun.filter { condition($0.0) }
        for (_, task) in cancelled { task?.cancel() }
        for fill in dropped { store.end(fill, failure: FillAbandoned()) }
        for fill in unstored { store.table.end(fill, isStored: false) }
        parked?.resume()
        return cancelled.map(\.0)
    }

    /// Whether the run has, or had, the chunk with this index or a later one.
    func hasClaimed(_ index: UInt64) -> Bool { state.withLock { $0.next > index } }

    /// Claims chunks that a reader in the chunk with this index has not come to yet: `count` of them, or as many as may
    /// be fetched ahead, or the next one only as long as the cache takes none, for they stay in memory then.
    func claimAhead(of index: UInt64, _ count: Int64) {
        let (passed, isKeeping) = state.withLock { state -> (Deque<Fill>, Bool) in
            let isKeeping = !state.unstored.isEmpty
            guard state.readers == 1 else { return ([], isKeeping) }
            let passed = state.unstored.filter { $0.id.index < index }
            state.unstored.removeAll { $0.id.index < index }
            return (passed, isKeeping)
        }
        for fill in passed { store.table.end(fill, isStored: false) }
        claim(through: index + UInt64(min(max(count, 0), isKeeping ? 1 : aheadLimit)))
    }

    /// Claims the chunk with this index if it is the one behind those that were claimed.
    func claimNext(_ index: UInt64) -> Fill? {
        guard state.withLock({ !$0.isClosed && $0.next == index }), let fill = claim(through: index) else { return nil }
        return fill.id.index == index ? fill : nil
    }

    /// Claims every chunk up to `index` that nobody has, as far as the run goes and memory allows.
    ///
    /// - Parameter offset: where in the first chunk the run begins, if it has not begun.
    /// - Returns: the last that was claimed; `nil` if nothing was.
    @discardableResult
    func claim(through index: UInt64, from offset: Int = 0) -> Fill? {
        let (last, parked) = state.withLock { state -> (Fill?, CheckedContinuation<Void, Never>?) in
            var last: Fill?
            while !state.isClosed, state.next <= index {
                let id = ChunkID(object: object.number, index: state.next)
                let range = object.range(of: id)
                guard !range.isEmpty, range.lowerBound < limit else {
                    state.isClosed = true
                    break
                }
                // For want of memory it is not over: the chunk may still be claimed later.
                guard store.budget.take(range.count) else { break }
                let start = state.task == nil && last == nil ? offset : 0
                let fill = Fill(id, of: object, from: start, run: self, budget: store.budget)
                guard store.table.claim(fill) else {
                    state.isClosed = true
                    break
                }
                state.queue.append(fill)
                state.next += 1
                last = fill
            }
            if last != nil, state.task == nil {
                // Ends with the run, which the last reader to leave sees to.
                state.task = Task(executorPreference: executor) { await self.work() }
            }
            return (last, last != nil || state.isClosed ? state.parked.take() : nil)
        }
        parked?.resume()
        return last
    }

    // MARK: - What the run does

    private func work() async {
        var reading = Reading(end: limit)
        while let fill = await nextFill() {
            do {
                try await fetch(fill, &reading)
            } catch {
                close()
                store.end(fill, failure: Task.isCancelled ? FillAbandoned() : error)
                return
            }
            if fill.isComplete {
                store.completed(fill)
            } else {
                fetchHead(of: fill)
            }
        }
        close()
    }

    /// The next claimed chunk; waits for one to be claimed. `nil` if none will be.
    private func nextFill() async -> Fill? {
        while true {
            let (fill, isOver) = state.withLock { state -> (Fill?, Bool) in
                state.current = state.queue.popFirst()
                return (state.current, state.isClosed)
            }
            if let fill { return fill }
            if isOver { return nil }
            await withCheckedContinuation { continuation in
                let isSettled = state.withLock { state in
                    if state.isClosed || !state.queue.isEmpty { return true }
                    state.parked = continuation
                    return false
                }
                if isSettled { continuation.resume() }
            }
        }
    }

    /// Fetches the part that `fill` lacks first, and tries again where the source fails for the first time.
    private func fetch(_ fill: Fill, _ reading: inout Reading) async throws {
        do {
            try await complete(fill, &reading)
        } catch {
            guard !Task.isCancelled, !isFinal(error) else { throw error }
            reading = Reading(end: reading.end)
            try await complete(fill, &reading)
        }
    }

    private func complete(_ fill: Fill, _ reading: inout Reading) async throws {
        let missing = fill.missing
        let start = object.range(of: fill.id).lowerBound + Int64(missing.lowerBound)
        if reading.bytes == nil { reading.bytes = try await source(start..<reading.end) }
        var rest = missing.count
        while rest > 0 {
            try Task.checkCancellation()
            var received = reading.surplus.take()
            if received == nil { received = try await reading.bytes?() }
            guard var piece = received else { throw SourceEndedEarly() }
            guard let part = piece.readSlice(length: min(piece.readableBytes, rest)) else { continue }
            rest -= part.readableBytes
            if piece.readableBytes > 0 { reading.surplus = piece }
            fill.append(part)
        }
    }

    /// Fetches what lies before the start of `fill`, beside what the run goes on with.
    private func fetchHead(of fill: Fill) {
        let isAbandoned = state.withLock { state in
            let start = object.range(of: fill.id).lowerBound
            // Cancelled by the last reader to leave, unless most of the chunk is there.
            let task = Task(executorPreference: executor) { [self] in
                var reading = Reading(end: start + Int64(fill.start))
                do {
                    try await fetch(fill, &reading)
                    endHead()
                    store.completed(fill)
                } catch {
                    endHead()
                    store.end(fill, failure: Task.isCancelled ? FillAbandoned() : error)
                }
            }
            state.head = (fill, task)
            return state.readers == 0
        }
        if isAbandoned { end { $0.isExpendable } }
    }

    private func endHead() { state.withLock { $0.head = nil } }

    /// Ends the claiming, and gives up what was claimed and not begun.
    private func close() {
        store.runs.remove(self, of: object.number)
        let dropped = state.withLock { state in
            state.isClosed = true
            state.current = nil
            defer { state.queue = [] }
            return state.queue
        }
        for fill in dropped { store.end(fill, failure: FillAbandoned()) }
    }

    /// Keeps a complete chunk that the cache did not take, as there may be readers that come to it yet: the last few, and
    /// as long as anybody follows the run.
    func keep(_ fill: Fill) {
        let limit = Int(clamping: aheadLimit) + 1
        let dropped = state.withLock { state in
            guard state.readers > 0 else { return Optional(fill) }
            state.unstored.append(fill)
            return state.unstored.count > limit ? state.unstored.popFirst() : nil
        }
        if let dropped { store.table.end(dropped, isStored: false) }
    }
}

/// The source gave fewer bytes than the range has.
package struct SourceEndedEarly: Error {}
