import Dispatch
import Glibc
import Logging
import NIOPosix
import Synchronization

/// Everything that changes the database, on one thread of its own, in order.
///
/// ``state`` belongs to that thread alone: it is held over changes of the database, so nobody else may wait for it. What
/// others ask for is in ``access``, which is held for some instructions.
final class StoreWriter: Sendable {
    /// The open database.
    struct Database {
        let environment: LMDBEnvironment
        let chunks: LMDBTable
        let objects: LMDBTable
        let about: LMDBTable
    }

    struct Access {
        var open: Database?
        /// Why there is none.
        var failure: String?
        /// Why it is not known what is pinned.
        var pinFailure: String?
        var place: CacheDirectory?
        var isClosed = false
        var openedAt: ContinuousClock.Instant?
        /// When the database, or the pins alone, were last to be opened.
        var triedAt: ContinuousClock.Instant?
    }

    struct State {
        var eviction: Eviction
        var admission: Admission
        /// Objects whose record is in the database, by number. All of their chunks that are in the database are counted.
        var objects: [UInt64: CachedObject] = [:]
        /// Objects that are to be deleted and could not be, or not yet, each with the counter for its chunks.
        var unfinished: [UInt64: CacheCounters.Counter] = [:]
        /// Objects whose record in the database is not what it should be by now.
        var unwritten: [UInt64: CachedObject] = [:]
        var warnedAt: ContinuousClock.Instant?
        /// When all objects were last looked at for their age.
        var agedAt: ContinuousClock.Instant?
        /// Sources, and `nil` for the whole cache, that have had their limit and leave what is above their low mark.
        var lowering: Set<String?> = []
        /// Whether that goes on behind what waits to be written.
        var isLowering = false
        /// As far as `limit` may rise, by the space that there was at last.
        var limitAtMost: Int64
        /// Whether there was no room at last, also after a wait for those who read and with some chunks less.
        var waitsInVain = false
        var givingBack = GivingBack()
        /// Whether what is beyond a limit leaves behind what waits to be written.
        var isTrimming = false
        /// Sources of which something is pinned that there was no room to hold.
        var shortOfPins: Set<String> = []

        /// Has a chunk that was written, or found at the start, tracked by the eviction policies; or held, if it is pinned
        /// and there is room for that.
        mutating func track(_ id: ChunkID, of object: CachedObject, bytes: Int64, isNew: Bool) {
            let source = object.record.source
            if object.isPinned {
                if eviction.hold(id, of: source, bytes: bytes) { return }
                shortOfPins.insert(source)
            }
            if isNew {
                eviction.insert(id, of: source)
            } else {
                eviction.restore(id, of: source)
            }
        }

        /// Tells the eviction policies of a hit.
        mutating func touch(_ id: ChunkID) {
            guard let object = objects[id.object] else { return }
            eviction.touch(id, of: object.record.source)
        }
    }

    private static let closingTime = Duration.seconds(2)

    let settings: ChunkStoreSettings
    let table: ChunkTable
    let directory: ObjectDirectory
    let counters: CacheCounters
    let logger: Logger
    let thread = NIOThreadPool(numberOfThreads: 1)
    let state: Mutex<State>
    let access = Mutex(Access())
    /// Above this many bytes chunks are evicted; below the configured size while space is short.
    let limit: Atomic<Int64>

    /// - Throws: ``CacheInUse``. Any other failure is told by ``failure``, and it is tried again later.
    init(
        _ settings: ChunkStoreSettings,
        table: ChunkTable,
        directory: ObjectDirectory,
        counters: CacheCounters,
        logger: Logger
    ) throws {
        self.settings = settings
        self.table = table
        self.directory = directory
        self.counters = counters
        self.logger = logger
        limit = Atomic(settings.size)
        let capacity = Self.capacity(settings.size, settings)
        state = Mutex(
            State(
                eviction: Self.makeEviction(settings),
                admission: settings.admitsOnSecondHit ? .secondHit(remembering: 4 * capacity) : .always,
                limitAtMost: settings.size
            )
        )
        thread.start()
        do {
            try open(now: .now)
        } catch {
            thread.shutdownGracefully { _ in }
            throw error
        }
        thread.submit { _ in self.scan() }
    }

    /// What the work on the writer's thread uses.
    var database: Database? { access.withLock { $0.open } }

    var place: CacheDirectory? { access.withLock { $0.place } }

    var failure: String? { access.withLock { $0.failure } }

    /// Why it is not known what is pinned.
    var pinFailure: String? { access.withLock { $0.pinFailure ?? ($0.place == nil ? $0.failure : nil) } }

    /// What reads use.
    var reading: (LMDBEnvironment, chunks: LMDBTable)? { database.map { ($0.environment, $0.chunks) } }

    func flush() async {
        await withCheckedContinuation { continuation in thread.submit { _ in continuation.resume() } }
    }

    /// Waits for what is to be written and closes the file. Blocks. Further calls do nothing.
    func close() {
        let done = DispatchSemaphore(value: 0)
        thread.submit { _ in
            self.finishUpdating()
            // For so long at most that nobody who waits for the end gives up: the records are gone, and the next start finds
            // the chunks.
            let end = ContinuousClock.now + Self.closingTime
            while self.finishErasing(limit: Self.evictionBatch), .now < end {}
            let access = self.access.withLock { access in
                defer { access = Access(failure: "closed", isClosed: true) }
                return access
            }
            if let environment = access.open?.environment {
                let isSynced = (try? environment.sync()) != nil
                environment.close()
                if isSynced { access.place?.markClosed() }
            }
            access.place?.leave()
            done.signal()
        }
        done.wait()
        thread.shutdownGracefully { _ in }
    }

    // MARK: - Failures

    func noteReadFailure(_ error: any Error, of environment: LMDBEnvironment) {
        thread.submit { _ in self.noteFailure(error, of: environment) }
    }

    /// On the writer's thread, and not while the state is held.
    func noteFailure(_ error: any Error, of environment: LMDBEnvironment) {
        let kind = (error as? LMDBError)?.kind
        if kind == .damaged { return replace(environment, because: error) }
        guard kind != .closed else { return }
        let isDue = state.withLock { state in
            if let last = state.warnedAt, last.duration(to: .now) < .seconds(30) { return false }
            state.warnedAt = .now
            return true
        }
        // A full disk would have one a chunk; what they were is counted.
        if isDue { logger.warning("cache operation failed", metadata: ["reason": "\(error)"]) }
    }
}
