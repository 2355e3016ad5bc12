import NIOCore
import Synchronization

/// One chunk on its way from its source into the cache, readable from the first byte on.
///
/// It begins where a reader wanted it and ends where it began: first from there to the chunk's end, then from the
/// chunk's start.
final class Fill: Sendable {
    private struct State {
        /// From the start of the fill to the end of the chunk, and then from the start of the chunk.
        var tail = ChunkBytes()
        var head = ChunkBytes()
        var failure: (any Error)?
        var waiters: [UInt64: (offset: Int, continuation: CheckedContinuation<Void, any Error>)] = [:]
        var nextWaiter: UInt64 = 0

        func has(_ offset: Int, start: Int) -> Bool {
            offset >= start ? offset < start + tail.count : offset < head.count
        }
    }

    let id: ChunkID
    let object: CachedObject
    let length: Int
    /// Where in the chunk the fill begins.
    let start: Int
    /// What fetches it. It lets go of the fill when that has ended, or the last reader has left.
    let run: FillRun
    private let budget: FillBudget
    private let isWanted = Atomic(false)
    private let hasReader = Atomic(false)
    private let state: Mutex<State>

    /// - Parameter budget: from which the chunk's length has been taken; it is given back with the fill.
    init(_ id: ChunkID, of object: CachedObject, from start: Int, run: FillRun, budget: FillBudget) {
        let range = object.range(of: id)
        self.id = id
        self.object = object
        self.length = range.count
        self.start = min(start, range.count)
        self.run = run
        self.budget = budget
        self.state = Mutex(State())
    }

    deinit { budget.giveBack(length) }

    /// How much of the chunk has come.
    var count: Int { state.withLock { $0.tail.count + $0.head.count } }

    var isComplete: Bool { count == length }

    /// Whether the fill may be given up when its last reader leaves: less than half of it is there, and nobody got all
    /// that was asked for, which is likely to be asked for again.
    var isExpendable: Bool { !isWanted.load(ordering: .relaxed) && count < length - count }

    /// Notes that a reader has had the last byte of its range from here.
    func markWanted() { isWanted.store(true, ordering: .relaxed) }

    /// A reader waits for it.
    ///
    /// - Returns: whether it is the first one.
    func noteReader() -> Bool { !hasReader.exchange(true, ordering: .relaxed) }

    /// Whether a reader has waited for it.
    var wasRead: Bool { hasReader.load(ordering: .relaxed) }

    /// The chunk's bytes in order. Only if it is complete.
    var bytes: ChunkBytes {
        let (head, tail) = state.withLock { ($0.head, $0.tail) }
        var bytes = head
        bytes.append(tail)
        return bytes
    }

    /// What the fill still lacks, as offsets in the chunk: the tail if that is not complete, else the head.
    var missing: Range<Int> {
        state.withLock { state in
            let tailEnd = start + state.tail.count
            return tailEnd < length ? tailEnd..<length : state.head.count..<start
        }
    }

    /// Takes the next bytes of the part that ``missing`` names; they do not go beyond it, and one task brings them.
    func append(_ piece: ByteBuffer) {
        guard piece.readableBytes > 0 else { return }
        let bytes = ChunkBytes(piece)
        let ready = state.withLock { state -> [CheckedContinuation<Void, any Error>] in
            if start + state.tail.count < length {
                state.tail.append(bytes)
            } else {
                state.head.append(bytes)
            }
            let ready = state.waiters.filter { state.has($0.value.offset, start: start) }
            for id in ready.keys { state.waiters[id] = nil }
            return ready.values.map(\.continuation)
        }
        for continuation in ready { continuation.resume() }
    }

    /// Nothing more will come.
    func fail(_ error: any Error) {
        let waiters = state.withLock { state in
            if state.failure == nil { state.failure = error }
            defer { state.waiters = [:] }
            return state.waiters.values.map(\.continuation)
        }
        for continuation in waiters { continuation.resume(throwing: error) }
    }

    /// Bytes from `offset` on, at least one, at most `limit`, if they are here.
    ///
    /// - Throws: what ended the fill before they came.
    func available(at offset: Int, limit: Int) throws -> ByteBuffer? {
        let (found, failure) = state.withLock { (Self.find(offset, limit, start, $0), $0.failure) }
        if found == nil, let failure { throw failure }
        return found
    }

    /// Bytes from `offset` on, at least one, at most `limit`; waits for the first of them.
    ///
    /// - Throws: what ended the fill before they came, or `CancellationError`.
    func bytes(at offset: Int, limit: Int) async throws -> ByteBuffer {
        while true {
            if let found = try available(at: offset, limit: limit) { return found }
            try await wait(for: offset)
        }
    }

    private static func find(_ offset: Int, _ limit: Int, _ start: Int, _ state: State) -> ByteBuffer? {
        offset >= start
            ? state.tail.slice(at: offset - start, limit: limit) : state.head.slice(at: offset, limit: limit)
    }

    private func wait(for offset: Int) async throws {
        let waiter = state.withLock { state in
            defer { state.nextWaiter += 1 }
            return state.nextWaiter
        }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
                let isSettled = state.withLock { state in
                    if state.failure != nil || state.has(offset, start: start) || Task.isCancelled { return true }
                    state.waiters[waiter] = (offset, continuation)
                    return false
                }
                if isSettled {
                    // Looked at again by the caller, which finds bytes or the failure.
                    continuation.resume(with: Task.isCancelled ? .failure(CancellationError()) : .success(()))
                }
            }
        } onCancel: {
            let waiting = state.withLock { $0.waiters.removeValue(forKey: waiter) }
            waiting?.continuation.resume(throwing: CancellationError())
        }
    }
}

/// The memory that bodies on their way into the cache may hold at a time.
package final class FillBudget: Sendable {
    private let free: Atomic<Int>

    package init(bytes: Int) {
        free = Atomic(bytes)
    }

    /// - Returns: whether there was enough; if so it is the caller's until it is given back.
    package func take(_ count: Int) -> Bool {
        guard free.wrappingSubtract(count, ordering: .relaxed).newValue >= 0 else {
            giveBack(count)
            return false
        }
        return true
    }

    package func giveBack(_ count: Int) {
        free.wrappingAdd(count, ordering: .relaxed)
    }

    var freeBytes: Int { free.load(ordering: .relaxed) }
}

/// The fill was given up because nobody waited for it any more: whoever came since asks anew.
struct FillAbandoned: Error {}
