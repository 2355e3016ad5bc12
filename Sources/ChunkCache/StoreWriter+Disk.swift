import Logging
import NIOPosix
import Synchronization

/// How much of the disk the cache takes, and gives back.
extension StoreWriter {
    /// What is known of giving back.
    struct GivingBack {
        /// The walk through the free pages that is under way.
        var walk: Walk?
        /// Whether its next step waits behind what is to be written.
        var isStepQueued = false
        /// The transaction that freed what comes next: what comes before was given back already.
        var next: UInt64 = 0
        /// Not tried before, as the last walk brought nothing.
        var pausedUntil: ContinuousClock.Instant?
        /// Before that it is not known what the last walk brought: some file systems free space only later.
        var settledAt: ContinuousClock.Instant?
        /// Whether the file system is known to take pages back.
        var isPossible = false
        /// Not asked before whether it does.
        var refusedUntil: ContinuousClock.Instant?
        var hasWarned = false
        /// When it was last said that the disk is short of space.
        var toldAt: ContinuousClock.Instant?
        /// Whether it may come to that soon, so that it is looked after some writes too; and what was written since.
        var isNear = false
        var writtenBytes: Int64 = 0
        /// Whether what is written would only take space that others are to have: the pages that are used next are holes.
        var wouldTakeBack = false
    }

    struct Walk {
        /// Where it began.
        let first: UInt64
        /// Down to what the file is to take of the disk.
        var goal: Int64
        /// What the file gave up, and how much more was free at once, in bytes.
        var given: Int64 = 0
        var freed: Int64 = 0
        var duration = Duration.zero
    }

    /// How many times as long as it took a walk in vain is paused for, and the longest pause.
    private static let (pauseFactor, longestPause) = (20, Duration.seconds(60))
    /// So much may be written before the disk is looked at by the clock.
    private static let writtenInASecond: Int64 = 1 << 30
    /// Btrfs frees with its commits, 30 s apart.
    private static let settlingTime = Duration.seconds(35)
    private static let refusalTime = Duration.seconds(600)
    /// Runs of pages at a time, each mostly of a chunk: writes wait for them.
    private static let runsGivenBack = 64

    private enum Look {
        case nothingToDo
        case walkBegins
        case walkIsUnderWay
    }

    /// Leaves others the space that they are to have: other programs fill disks too. If the file system takes back what
    /// is free in the file, that goes, and as many chunks as it takes; if not, the cache only stops growing. When there is
    /// space again it may grow step by step, as the space may be that of a map that was full.
    func watchDisk(_ database: Database, now: ContinuousClock.Instant) {
        guard settings.mayReplace else { return }
        var look = Look.nothingToDo
        if let free = place?.freeBytes, let usage = try? database.environment.usage() {
            look = state.withLock { watchDisk(database, usage, free, &$0, now) }
        }
        trim()
        switch look {
        case .nothingToDo: break
        case .walkBegins:
            turnIfPossible(database)
            goOnGivingBack(database.environment)
        // The next step of its own waits for all that is to be written.
        case .walkIsUnderWay: giveBack(database.environment)
        }
    }

    private func watchDisk(
        _ database: Database,
        _ usage: LMDBUsage,
        _ free: Int64,
        _ state: inout State,
        _ now: ContinuousClock.Instant
    ) -> Look {
        let used = Int64(counters.bytes.value)
        // What is written until the next look would take it again.
        let margin = spaceBetweenLooks
        let missing = settings.minFreeDisk - free
        let excess = max(missing, usage.diskBytes - Int64(Self.mapSize(settings)))
        state.givingBack.isNear = excess > -2 * margin || missing > -Self.writtenInASecond
        state.givingBack.writtenBytes = 0
        // Chunks would leave in vain. A file that is too long costs none.
        let isSettled = missing <= 0 || state.givingBack.settledAt.map { now >= $0 } ?? true
        let givesBack = excess > 0 && canGiveBack(database, &state, now)
        let hasHoles = usage.holeBytes >= Self.storedBytes(settings.chunkSize)
        state.givingBack.wouldTakeBack = missing > 0 && hasHoles && !(givesBack && isSettled)
        if givesBack, missing > 0 {
            tellOfShortage(free, &state, now)
            // The same before and after chunks leave, which are free in the file then.
            let most = used.addingClamped(usage.freeBytes) - missing.addingClamped(margin)
            if isSettled { state.limitAtMost = min(max(most, 0), settings.size) }
            let old = limit.load(ordering: .relaxed)
            limit.store(min(old, state.limitAtMost), ordering: .relaxed)
        } else {
            raiseLimit(used, room: max(-missing, 0).addingClamped(usage.freeBytes), &state)
        }
        let new = limit.load(ordering: .relaxed)
        if state.eviction.size != new { state.eviction.size = new }

        let isPaused = state.givingBack.pausedUntil.map { now < $0 } ?? false
        guard givesBack, isSettled, !isPaused else { return .nothingToDo }
        let goal = max(usage.diskBytes - excess.addingClamped(margin), 0)
        guard state.givingBack.walk == nil else {
            state.givingBack.walk?.goal = goal
            return .walkIsUnderWay
        }
        state.givingBack.walk = Walk(first: state.givingBack.next, goal: goal)
        return .walkBegins
    }

    private func tellOfShortage(_ free: Int64, _ state: inout State, _ now: ContinuousClock.Instant) {
        guard state.givingBack.toldAt.map({ $0.duration(to: now) >= Self.refusalTime }) ?? true else { return }
        state.givingBack.toldAt = now
        logger.notice(
            "the disk is short of space: the cache gives up some of what it has",
            metadata: ["free_bytes": "\(free)", "min_free_disk": "\(settings.minFreeDisk)"]
        )
    }

    private var spaceBetweenLooks: Int64 { max(settings.size / 64, 4 * Self.storedBytes(settings.chunkSize)) }

    /// Looks before as much has been written as is given back beyond what is missing; ahead of what waits to be written.
    func watchWrite(of bytes: Int64) {
        let isDue = state.withLock { state in
            guard state.givingBack.isNear else { return false }
            state.givingBack.writtenBytes += bytes
            return state.givingBack.writtenBytes >= spaceBetweenLooks / 2
        }
        if isDue, let database { watchDisk(database, now: .now) }
    }

    /// - Parameter room: bytes by which the cache may grow.
    private func raiseLimit(_ used: Int64, room: Int64, _ state: inout State) {
        let old = limit.load(ordering: .relaxed)
        let step = spaceBetweenLooks
        let hasRoom = room >= 2 * Self.storedBytes(settings.chunkSize)
        state.limitAtMost = hasRoom ? min(settings.size, used.addingClamped(room)) : min(old, used)
        limit.store(min(old.addingClamped(step), state.limitAtMost), ordering: .relaxed)
    }

    /// Asked before the first chunk leaves for it.
    private func canGiveBack(_ database: Database, _ state: inout State, _ now: ContinuousClock.Instant) -> Bool {
        if let until = state.givingBack.refusedUntil, now < until { return false }
        guard !state.givingBack.isPossible else { return true }
        do {
            try database.environment.probeHoles()
            state.givingBack.isPossible = true
        } catch {
            // What is no refusal, the next look will tell.
            guard let error = error as? LMDBError, error.isRefusedHole else { return false }
            refuseToGiveBack(&state, "\(error)", now)
        }
        return state.givingBack.isPossible
    }

    private func refuseToGiveBack(_ state: inout State, _ reason: String, _ now: ContinuousClock.Instant) {
        state.givingBack.isPossible = false
        state.givingBack.refusedUntil = now + Self.refusalTime
        guard !state.givingBack.hasWarned else { return }
        state.givingBack.hasWarned = true
        logger.warning(
            "the cache keeps what it has of the disk, and only stops growing: its file system takes nothing back",
            metadata: ["reason": "\(reason)"]
        )
    }

    /// What the last transaction freed, a process may need that opens the database after a crash.
    private func turnIfPossible(_ database: Database) {
        do {
            try turn(database)
        } catch {
            // On a full disk, say. What was freed before that can go.
            noteFailure(error, of: database.environment)
        }
    }

    /// Gives back step by step, between what is to be written.
    private func goOnGivingBack(_ environment: LMDBEnvironment) {
        guard giveBack(environment) else { return }
        let isFirst = state.withLock { state in
            defer { state.givingBack.isStepQueued = true }
            return !state.givingBack.isStepQueued
        }
        guard isFirst else { return }
        thread.submit { poolState in
            self.state.withLock { $0.givingBack.isStepQueued = false }
            if poolState == .active { self.goOnGivingBack(environment) }
        }
    }

    /// - Returns: whether there is more to give back.
    @discardableResult
    private func giveBack(_ environment: LMDBEnvironment) -> Bool {
        let (walk, next) = state.withLock { ($0.givingBack.walk, $0.givingBack.next) }
        guard var walk, database?.environment === environment else { return false }
        do {
            let began = ContinuousClock.now
            let (before, freeBefore) = (try environment.usage().diskBytes, place?.freeBytes ?? 0)
            let step = try environment.punchFreePages(from: next, limit: Self.runsGivenBack)
            let after = try environment.usage().diskBytes
            walk.given += before - after
            walk.freed += (place?.freeBytes ?? 0) - freeBefore
            walk.duration += ContinuousClock.now - began
            return state.withLock { state in
                state.givingBack.next = step.next
                guard step.isLast || after <= walk.goal else {
                    state.givingBack.walk = walk
                    return true
                }
                end(walk, isEnough: after <= walk.goal, &state)
                return false
            }
        } catch {
            let isRefusal = (error as? LMDBError)?.isRefusedHole ?? false
            state.withLock { state in
                state.givingBack.walk = nil
                if isRefusal { refuseToGiveBack(&state, "\(error)", .now) }
            }
            if !isRefusal { noteFailure(error, of: environment) }
            return false
        }
    }

    private func end(_ walk: Walk, isEnough: Bool, _ state: inout State) {
        let (now, chunk) = (ContinuousClock.now, Self.storedBytes(settings.chunkSize))
        state.givingBack.walk = nil
        if walk.given >= chunk, walk.freed < walk.given / 2 { state.givingBack.settledAt = now + Self.settlingTime }
        guard !isEnough else { return }
        // From the start the next time: pages that are freed may come under the numbers of earlier transactions.
        state.givingBack.next = 0
        if walk.first == 0, walk.given < chunk {
            state.givingBack.pausedUntil = now + min(walk.duration * Self.pauseFactor, Self.longestPause)
        }
    }

    /// Commits a transaction that says nothing: pages that were freed can be used from the next one but one on.
    func turn(_ database: Database) throws {
        try database.environment.write { transaction in
            try transaction.put([UInt8](repeating: 0, count: 1).span.bytes, for: Array("turn".utf8), in: database.about)
        }
    }
}
