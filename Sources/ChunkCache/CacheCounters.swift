import Synchronization

/// What the cache has done since it was opened.
package final class CacheCounters: Sendable {
    package final class Counter: Sendable {
        private let total = Atomic<Int>(0)

        package var value: Int { total.load(ordering: .relaxed) }

        package func add(_ count: Int) { total.wrappingAdd(count, ordering: .relaxed) }
    }

    /// Look-ups of chunks: found, not there and fetched, being fetched for somebody else already, left to the source. A
    /// chunk that is stored while it is being sent is found then, too.
    package let hits = Counter()
    package let missed = Counter()
    package let collapsed = Counter()
    package let bypassed = Counter()

    package let inserted = Counter()
    /// Chunks that left, by the reason.
    package let evictedForSpace = Counter()
    /// Since their source had more than it may.
    package let evictedForShare = Counter()
    package let evictedForAge = Counter()
    package let purged = Counter()
    /// Of objects that another revision or another representation took the place of.
    package let replaced = Counter()
    package let corrupt = Counter()
    /// Chunks that were fetched and not stored, by the reason.
    package let notAdmitted = Counter()
    package let noRoom = Counter()
    package let queueFull = Counter()
    package let storeFailed = Counter()
    /// Purges that were carried out, by what they named.
    package let purgesOfObjects = Counter()
    package let purgesOfPrefixes = Counter()
    package let purgesOfSources = Counter()
    package let purgesOfAll = Counter()
    /// Databases that were given up for a new one, by the reason: damage, a crash of the process soon after it was opened,
    /// a stop of the machine, another format or size of chunks.
    package let lostToDamage = Counter()
    package let lostToCrash = Counter()
    package let lostToMachine = Counter()
    package let lostToFormat = Counter()
    /// Bytes that chunks, and the records of objects with attributes, take of the file, in whole pages.
    package let bytes = Counter()
    package let chunks = Counter()
    /// What of the bytes is pinned, and is not evicted.
    package let pinnedBytes = Counter()
    /// Chunks that were checked in the background, and their bytes.
    package let scrubbedChunks = Counter()
    package let scrubbedBytes = Counter()
    /// Bytes that wait to be written.
    package let queuedBytes = Counter()

    /// A structure, as a function by itself would be wrapped once more each time that it is taken out of the mutex.
    private struct OperationObserver {
        let note: @Sendable (CacheOperation, Duration) -> Void
    }

    private let operationObserver = Mutex<OperationObserver?>(nil)

    package init() {}

    /// Has `observe` told how long each operation took from now on, those that failed too, on the thread that did it.
    package func onOperation(_ observe: @escaping @Sendable (CacheOperation, Duration) -> Void) {
        operationObserver.withLock { $0 = OperationObserver(note: observe) }
    }

    package func note(_ operation: CacheOperation, since began: ContinuousClock.Instant) {
        operationObserver.withLock { $0 }?.note(operation, began.duration(to: .now))
    }

    private let scrubbedAll = Atomic<Int64>(0)

    /// When the background check had been through all chunks the last time, in seconds since 1970; `nil` if it never has.
    package var scrubbedAllAt: Int64? {
        let time = scrubbedAll.load(ordering: .relaxed)
        return time == 0 ? nil : time
    }

    func noteScrubbedAll(at time: Int64) { scrubbedAll.store(time, ordering: .relaxed) }

    /// Look-ups of chunks of one source, as ``CacheCounters`` has them of all.
    package final class Lookups: Sendable {
        package let hits = Counter()
        package let missed = Counter()
        package let collapsed = Counter()
        package let bypassed = Counter()
    }

    private let lookupsOfSources = Mutex<[String: Lookups]>([:])

    /// By source, of those of which an object was known.
    package var lookups: [String: Lookups] { lookupsOfSources.withLock { $0 } }

    func lookups(of source: String) -> Lookups {
        lookupsOfSources.withLock { sources in
            if let known = sources[source] { return known }
            let new = Lookups()
            sources[source] = new
            return new
        }
    }

    /// What one source has of ``CacheCounters/bytes`` and ``CacheCounters/chunks``.
    package struct Share: Sendable, Hashable {
        package var bytes: Int64 = 0
        package var chunks = 0

        package init() {}
    }

    private let shares = Mutex<[String: Share]>([:])

    /// By source; those that have nothing are not in it.
    package var sources: [String: Share] { shares.withLock { $0 } }

    package func share(of source: String) -> Share { shares.withLock { $0[source] ?? Share() } }

    /// Counts what came or, below 0, left, in the totals too.
    func count(bytes: Int64, chunks: Int = 0, of source: String) {
        self.bytes.add(Int(bytes))
        self.chunks.add(chunks)
        shares.withLock { shares in
            var share = shares[source] ?? Share()
            share.bytes += bytes
            share.chunks += chunks
            shares[source] = share == Share() ? nil : share
        }
    }

    /// Nothing is there any more.
    func clearContents() {
        bytes.add(-bytes.value)
        chunks.add(-chunks.value)
        shares.withLock { $0 = [:] }
    }
}
