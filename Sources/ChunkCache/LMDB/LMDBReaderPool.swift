import CLMDB
import Dispatch
import Glibc
import Synchronization

/// Read transactions of one environment that wait to be used again, and who uses the environment now.
///
/// To renew a transaction costs a tenth of what a new one does, and takes no lock that other readers want. Each keeps
/// its slot in LMDB's table of readers; there are as many as reads ever ran at once.
final class LMDBReaderPool: Sendable {
    /// One transaction and the time since which a read runs in it.
    final class Reader: Sendable {
        let transaction: LMDBPointer
        /// Milliseconds on the monotonic clock; 0 while no read runs.
        let startedAt = Atomic<Int64>(0)

        init(_ transaction: LMDBPointer) {
            self.transaction = transaction
        }
    }

    private struct State {
        var idle: [Reader] = []
        var all: [Reader] = []
        /// Calls that use the environment now, be it to read or to write.
        var users = 0
        var isClosed = false
        var lastUserLeft: DispatchSemaphore?
    }

    private let state = Mutex(State())
    /// How many look at places that they found in a snapshot, whose read is over.
    private let places = Mutex<[UInt64: Int]>([:])
    private let longest = Atomic<Int64>(0)

    /// A transaction that waited; `nil` if there is none and the caller shall begin one and ``add(_:)`` it.
    ///
    /// Counts the caller as a user until ``leave(_:)``.
    func enter(_ call: String) throws(LMDBError) -> Reader? {
        try state.withLock { (state) throws(LMDBError) in
            guard !state.isClosed else { throw .closed(call) }
            state.users += 1
            return state.idle.popLast()
        }
    }

    /// As ``enter(_:)``, for a call that needs no read transaction.
    func enterWithoutReader(_ call: String) throws(LMDBError) {
        try state.withLock { (state) throws(LMDBError) in
            guard !state.isClosed else { throw .closed(call) }
            state.users += 1
        }
    }

    func add(_ reader: Reader) {
        state.withLock { $0.all.append(reader) }
    }

    /// Ends the use that ``enter(_:)`` began.
    ///
    /// - Parameter reader: the transaction to keep, which is reset
    func leave(_ reader: Reader?) {
        let waiting = state.withLock { state in
            if let reader { state.idle.append(reader) }
            state.users -= 1
            return state.users == 0 ? state.lastUserLeft : nil
        }
        waiting?.signal()
    }

    func readBegins(_ reader: Reader) {
        reader.startedAt.store(Self.now(), ordering: .relaxed)
    }

    func readEnded(_ reader: Reader) {
        let duration = Self.now() - reader.startedAt.exchange(0, ordering: .relaxed)
        if duration > longest.load(ordering: .relaxed) { longest.max(duration, ordering: .relaxed) }
    }

    /// Called while the read goes on in which the place was found.
    func placeBegins(_ snapshot: UInt64) {
        places.withLock { $0[snapshot, default: 0] += 1 }
    }

    func placeEnded(_ snapshot: UInt64) {
        places.withLock { places in
            let count = places[snapshot, default: 1] - 1
            places[snapshot] = count > 0 ? count : nil
        }
    }

    /// The oldest snapshot of a place that somebody looks at; `nil` if nobody does.
    var oldestPlace: UInt64? { places.withLock { $0.keys.min() } }

    /// How many transactions there are, and since when the oldest read that runs now does so.
    func readers() -> (count: Int, oldestAge: Duration?) {
        let all = state.withLock { $0.all }
        let begun = all.map { $0.startedAt.load(ordering: .relaxed) }.filter { $0 != 0 }
        return (all.count, begun.min().map { .milliseconds(max(Self.now() - $0, 0)) })
    }

    /// How long the longest read since the last call of this took.
    func takeLongestRead() -> Duration {
        .milliseconds(longest.exchange(0, ordering: .relaxed))
    }

    /// Lets nobody in any more, waits for those who are, and ends the transactions.
    ///
    /// - Returns: `false` if that was done before; the environment is then no longer the caller's to close.
    func close() -> Bool {
        let lastUserLeft = DispatchSemaphore(value: 0)
        let (isFirst, users) = state.withLock { state in
            defer { state.isClosed = true }
            guard !state.isClosed else { return (false, 0) }
            state.lastUserLeft = lastUserLeft
            return (true, state.users)
        }
        guard isFirst else { return false }
        // Each of them ends by itself: none waits for anything but memory and the disk.
        if users > 0 { lastUserLeft.wait() }
        let readers = state.withLock { state in
            defer { (state.idle, state.all) = ([], []) }
            return state.all
        }
        for reader in readers { mdb_txn_abort(reader.transaction.raw) }
        return true
    }

    /// The coarse clock: it is good to some milliseconds and costs a tenth of the precise one. Never 0.
    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return max(Int64(time.tv_sec) &* 1000 &+ Int64(time.tv_nsec) / 1_000_000, 1)
    }
}
