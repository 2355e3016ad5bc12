package import NIOCore
import Synchronization

/// One reader's way through an object: says, position by position, where the bytes are, and has them fetched.
///
/// Used by one task at a time. When the last reference goes, the reader has left: what only it waited for is given up.
package final class ChunkReader: Sendable {
    package enum Step: Sendable {
        /// From the position to this one the bytes are in the database, ready to be sent.
        case stored(upTo: Int64)
        /// Bytes as they come from the source, for this reader or for another one too.
        case bytes(ByteBuffer)
        /// Up to this position the cache cannot take part: the reader asks the source itself.
        case bypass(upTo: Int64)
    }

    private struct State {
        var run: FillRun?
        /// Chunks that were fetched for this reader one after the other.
        var sequence = 0
        var lastFetched: UInt64?
        /// The chunk that failed once already.
        var retried: ChunkID?
    }

    /// How far ahead of a sequential reader chunks are fetched.
    private static let readAheadBytes: Int64 = 8 << 20

    private let store: ChunkStore
    private let object: CachedObject
    private let source: ByteSource
    private let isFinal: @Sendable (any Error) -> Bool
    private let executor: (any TaskExecutor)?
    private let end: Int64
    private let state = Mutex(State())

    /// - Parameters:
    ///   - end: where the reader's range ends. Nothing is fetched beyond the chunk that holds the byte before it.
    ///   - source: reads the object, for this reader and for those that wait for the same chunks.
    ///   - isFinal: whether it is of no use to try again after this error of the source.
    ///   - executor: where the fetching runs.
    package init(
        _ store: ChunkStore,
        _ object: CachedObject,
        upTo end: Int64,
        executor: (any TaskExecutor)?,
        isFinal: @escaping @Sendable (any Error) -> Bool,
        source: @escaping ByteSource
    ) {
        self.store = store
        self.object = object
        self.source = source
        self.isFinal = isFinal
        self.executor = executor
        self.end = min(end, object.size)
    }

    deinit { state.withLock { $0.run.take() }?.leave() }

    /// Where the bytes at `position` are, which is below the end of the range.
    ///
    /// - Throws: what the source throws, or `CancellationError`.
    package func next(at position: Int64) async throws -> Step {
        let id = object.chunk(at: position)
        let range = object.range(of: id)
        let partEnd = min(range.upperBound, end)
        let offset = Int(position - range.lowerBound)
        while true {
            try Task.checkCancellation()
            switch store.table.state(of: id, isUse: true) {
            case .stored(isVerified: true):
                store.prefetch(ChunkID(object: id.object, index: id.index + 1))
                return .stored(upTo: partEnd)
            case .stored(isVerified: false):
                await store.prepare(id)
            case .filling(let fill):
                follow(fill.run)
                readAhead(of: id)
                do {
                    return .bytes(try await fill.bytes(at: offset, limit: Int(partEnd - position)))
                } catch {
                    try mayRetry(id, after: error)
                }
            case nil:
                guard fetch(id, from: offset) else {
                    store.counters.bypassed.add(1)
                    return .bypass(upTo: partEnd)
                }
            }
        }
    }

    /// Gets the chunk at `position` ready to be sent, after it turned out not to be: off the event loop.
    package func prepare(at position: Int64) async {
        await store.prepare(object.chunk(at: position))
    }

    /// Has a missing chunk fetched by the run this reader follows, or by a new one.
    ///
    /// - Returns: `false` if the cache has no room for it now.
    private func fetch(_ id: ChunkID, from offset: Int) -> Bool {
        let run = state.withLock { $0.run }
        if let run, run.claim(through: id.index) { return true }
        guard !object.isRetired, store.isOpen else { return false }
        let limit = object.range(of: object.chunk(at: max(end - 1, 0))).upperBound
        let new = FillRun(store, object, first: id, limit: limit, source: source, executor: executor)
        new.join()
        guard new.claim(through: id.index, from: offset) else {
            new.leave()
            // Somebody else may have claimed it at the same moment.
            return store.table.state(of: id) != nil
        }
        store.counters.missed.add(1)
        replaceRun(with: new)
        return true
    }

    private func follow(_ run: FillRun) {
        let isFollowed = state.withLock { $0.run === run }
        guard !isFollowed else { return }
        run.join()
        store.counters.collapsed.add(1)
        replaceRun(with: run)
    }

    private func replaceRun(with run: FillRun) {
        let old = state.withLock { state in
            defer { state.run = run }
            return state.run
        }
        old?.leave()
    }

    /// A reader that takes chunk after chunk gets the next ones fetched before it asks for them.
    private func readAhead(of id: ChunkID) {
        let (run, sequence) = state.withLock { state -> (FillRun?, Int) in
            if state.lastFetched != id.index {
                state.sequence = state.lastFetched.map { $0 &+ 1 == id.index } == true ? state.sequence + 1 : 0
                state.lastFetched = id.index
            }
            return (state.run, state.sequence)
        }
        guard sequence > 0 else { return }
        let most = max(Self.readAheadBytes / object.chunkSize, 1)
        let ahead = UInt64(min(Int64(1) << min(sequence - 1, 32), most))
        run?.claim(through: id.index + ahead)
    }

    private func mayRetry(_ id: ChunkID, after error: any Error) throws {
        if error is FillAbandoned { return }
        // Of the run, not of this reader's task: that is looked at before each attempt.
        if error is CancellationError, !Task.isCancelled { return }
        let isFirst = state.withLock { state in
            defer { state.retried = id }
            return state.retried != id
        }
        guard isFirst, !isFinal(error) else { throw error }
    }
}
