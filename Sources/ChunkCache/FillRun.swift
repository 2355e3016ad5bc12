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
/// left; then it still completes a chunk of which it has at least half.
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
        var headTask: Task<Void, Never>?
    }

    private let store: ChunkStore
    private let object: CachedObject
    private let source: ByteSource
    private let executor: (any TaskExecutor)?
    /// The end of the last chunk that may be claimed, as a position in the object.
    private let limit: Int64
    private let state: Mutex<State>

    init(
        _ store: ChunkStore,
        _ object: CachedObject,
        first: ChunkID,
        limit: Int64,
        source: @escaping ByteSource,
        executor: (any TaskExecutor)?
    ) {
        self.store = store
        self.object = object
        self.source = source
        self.executor = executor
        self.limit = limit
        self.state = Mutex(State(next: first.index))
    }

    // MARK: - What readers do

    /// Counts one more reader that waits for what this run fetches.
    func join() { state.withLock { $0.readers += 1 } }

    /// The end of ``join()``. Without readers the run ends.
    func leave() {
        let (dropped, parked) = state.withLock { state -> ([Fill], CheckedContinuation<Void, Never>?) in
            state.readers -= 1
            guard state.readers == 0 else { return ([], nil) }
            state.isClosed = true
            if let current = state.current, current.count * 2 < current.length {
                state.task?.cancel()
                state.headTask?.cancel()
            }
            defer { state.queue = [] }
            return (Array(state.queue), state.parked.take())
        }
        for fill in dropped { store.end(fill, failure: FillAbandoned()) }
        parked?.resume()
    }

    /// Claims every chunk up to `index` that nobody has, as far as the run goes and memory allows.
    ///
    /// - Parameter offset: where in the first chunk the run begins, if it has not begun.
    /// - Returns: whether anything was claimed.
    @discardableResult
    func claim(through index: UInt64, from offset: Int = 0) -> Bool {
        let (isNew, parked) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            var isNew = false
            while !state.isClosed, state.next <= index {
                let id = ChunkID(object: object.number, index: state.next)
                let range = object.range(of: id)
                guard !range.isEmpty, range.lowerBound < limit, store.budget.take(range.count) else {
                    // For want of memory the chunk may still be claimed later.
                    state.isClosed = range.isEmpty || range.lowerBound >= limit
                    break
                }
                let start = state.task == nil && !isNew ? offset : 0
                let fill = Fill(id, of: object, from: start, run: self, budget: store.budget)
                guard store.table.claim(fill) else {
                    state.isClosed = true
                    break
                }
                state.queue.append(fill)
                state.next += 1
                isNew = true
            }
            if isNew, state.task == nil {
                state.task = Task(executorPreference: executor) { await self.work() }
            }
            return (isNew, isNew || state.isClosed ? state.parked.take() : nil)
        }
        parked?.resume()
        return isNew
    }

    // MARK: - What the run does

    private func work() async {
        var bytes: ByteProducer?
        var surplus: ByteBuffer?
        while let fill = await nextFill() {
            do {
                let range = object.range(of: fill.id)
                if bytes == nil { bytes = try await source(range.lowerBound + Int64(fill.start)..<limit) }
                guard let bytes else { break }
                surplus = try await complete(fill, surplus, bytes)
            } catch {
                close()
                store.end(fill, failure: error)
                break
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

    /// Fetches the part that `fill` lacks first.
    ///
    /// - Returns: bytes that came beyond it.
    private func complete(_ fill: Fill, _ surplus: ByteBuffer?, _ bytes: ByteProducer) async throws -> ByteBuffer? {
        var rest = fill.missing.count
        var next = surplus
        while rest > 0 {
            try Task.checkCancellation()
            let received: ByteBuffer? = if let piece = next.take() { piece } else { try await bytes() }
            guard var piece = received else { throw SourceEndedEarly() }
            guard let part = piece.readSlice(length: min(piece.readableBytes, rest)) else { continue }
            rest -= part.readableBytes
            fill.append(part)
            if piece.readableBytes > 0 { next = piece }
        }
        return next
    }

    /// Fetches what lies before the start of `fill`, beside what the run goes on with.
    private func fetchHead(of fill: Fill) {
        let start = object.range(of: fill.id).lowerBound
        let task = Task(executorPreference: executor) { [self] in
            do {
                let bytes = try await source(start..<start + Int64(fill.start))
                _ = try await complete(fill, nil, bytes)
                store.completed(fill)
            } catch {
                store.end(fill, failure: error)
            }
        }
        let isAbandoned = state.withLock { state in
            state.headTask = task
            return state.isClosed && state.readers == 0 && fill.count * 2 < fill.length
        }
        if isAbandoned { task.cancel() }
    }

    /// Ends the claiming, and gives up what was claimed and not begun.
    private func close() {
        let dropped = state.withLock { state in
            state.isClosed = true
            state.current = nil
            defer { state.queue = [] }
            return Array(state.queue)
        }
        for fill in dropped { store.end(fill, failure: FillAbandoned()) }
    }
}

/// The source gave fewer bytes than the range has.
package struct SourceEndedEarly: Error {}
