package import NIOCore
import Synchronization

/// One reader's way through an object: says, position by position, where the bytes are, and has them fetched.
///
/// Used by one task at a time, from the start of its range to the end. When the last reference goes, the reader has
/// left: what only it waited for is given up.
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
        /// The run whose chunks this reader waits for.
        var run: FillRun?
        /// The chunk the reader is in, as far as it came from a fill: it may not get into the cache.
        var fill: Fill?
        var index: UInt64?
        /// How many times the reader went on to another chunk.
        var moves = 0
    }

    private let store: ChunkStore
    private let object: CachedObject
    private let source: ByteSource
    private let isFinal: @Sendable (any Error) -> Bool
    private let executor: (any TaskExecutor)?
    private let end: Int64
    private let readAhead: Int64
    private let isPatient: Bool
    private let state = Mutex(State())

    /// - Parameters:
    ///   - end: where the reader's range ends. Nothing is fetched beyond the chunk that holds the byte before it.
    ///   - readAhead: how many bytes ahead of a reader that takes chunk after chunk are fetched at most.
    ///   - isPatient: whether the reader waits for what is to be written, so that what it reads is not too much to be
    ///     stored.
    ///   - executor: where the fetching runs.
    ///   - isFinal: whether it is of no use to try again after this error of the source.
    ///   - source: reads the object, for this reader and for those that wait for the same chunks.
    package init(
        _ store: ChunkStore,
        _ object: CachedObject,
        upTo end: Int64,
        readAhead: Int64 = 8 << 20,
        isPatient: Bool = false,
        executor: (any TaskExecutor)?,
        isFinal: @escaping @Sendable (any Error) -> Bool,
        source: @escaping ByteSource
    ) {
        self.store = store
        self.readAhead = readAhead
        self.isPatient = isPatient
        self.object = object
        self.source = source
        self.isFinal = isFinal
        self.executor = executor
        self.end = min(end, object.size)
        object.beginReading()
    }

    deinit {
        leaveRun()
        object.endReading()
    }

    /// Where the bytes at `position` are, which is not negative and below the end of the range.
    ///
    /// - Throws: what the source throws, or `CancellationError`.
    package func next(at position: Int64) async throws -> Step {
        precondition(position >= 0 && position < end, "the position must be in the reader's range")
        let id = object.chunk(at: position)
        let range = object.range(of: id)
        let partEnd = min(range.upperBound, end)
        let (offset, limit) = (Int(position - range.lowerBound), Int(partEnd - position))
        var isNew = arrive(at: id.index)
        var pauses = 0
        if isNew, isPatient { await store.awaitWrites() }
        while true {
            try Task.checkCancellation()
            switch store.table.state(of: id) {
            case .stored(isVerified: true):
                goOn(behind: id)
                return .stored(upTo: partEnd)
            case .stored(isVerified: false):
                await store.prepare(id, offset..<offset + limit)
            case .filling(let fill):
                if let piece = try held(offset, limit) { return bytes(piece, at: position) }
                follow(fill, isNew: isNew)
                isNew = false
                if let piece = try await bytes(of: fill, at: offset, limit: limit) {
                    return bytes(piece, at: position)
                }
            case nil:
                if let piece = try held(offset, limit) { return bytes(piece, at: position) }
                if let fill = fetch(id, from: offset) {
                    follow(fill, isNew: isNew)
                    isNew = false
                    if let piece = try await bytes(of: fill, at: offset, limit: limit) {
                        return bytes(piece, at: position)
                    }
                } else if !store.table.contains(id) {
                    leaveRun()
                    if isPatient, pauses < Self.mostPauses, store.isOpen {
                        pauses += 1
                        await store.flush()
                        continue
                    }
                    store.noteBypass(of: object)
                    return .bypass(upTo: partEnd)
                }
            }
        }
    }

    private func bytes(_ piece: ByteBuffer, at position: Int64) -> Step {
        if position + Int64(piece.readableBytes) == end { state.withLock { $0.fill }?.markWanted() }
        return .bytes(piece)
    }

    /// Gets the chunk at `position` ready to be sent, after it turned out not to be: off the event loop.
    package func prepare(at position: Int64) async {
        let id = object.chunk(at: position)
        await store.prepare(id, object.part(of: id, in: position..<end))
    }

    /// - Returns: whether the reader was in another chunk before.
    private func arrive(at index: UInt64) -> Bool {
        state.withLock { state in
            guard state.index != index else { return false }
            if state.index != nil { state.moves += 1 }
            state.index = index
            state.fill = nil
            return true
        }
    }

    /// What the reader has of its chunk by itself.
    ///
    /// - Throws: what ended the fill that the reader was with: it was not given up, and has been tried twice.
    private func held(_ offset: Int, _ limit: Int) throws -> ByteBuffer? {
        do {
            return try state.withLock { $0.fill }?.available(at: offset, limit: limit)
        } catch {
            return try giveUp(after: error)
        }
    }

    /// Lets go of a fill that has failed, as it holds memory.
    private func giveUp(after error: any Error) throws -> ByteBuffer? {
        state.withLock { $0.fill = nil }
        if error is FillAbandoned { return nil }
        throw error
    }

    /// Has a missing chunk fetched by the run this reader follows, or by a new one.
    ///
    /// - Returns: `nil` if the cache has no room for it now, or somebody else was quicker.
    private func fetch(_ id: ChunkID, from offset: Int) -> Fill? {
        let run = state.withLock { $0.run }
        if let fill = run?.claim(through: id.index), fill.id == id { return fill }
        guard !object.isRetired, store.isOpen else { return nil }
        // From the start of the chunk: whoever seeks does not wait for what others fetch before.
        if offset == 0, let (run, fill) = store.runs.join(at: id) {
            replaceRun(with: run)
            return fill
        }
        let new = FillRun(
            store,
            object,
            first: id,
            limit: limit(behind: id),
            readAhead: readAhead,
            executor: executor,
            isFinal: isFinal,
            source: source
        )
        new.join()
        store.runs.add(new, of: object.number)
        guard let fill = new.claim(through: id.index, from: offset) else {
            store.runs.remove(new, of: object.number)
            new.leave()
            return nil
        }
        replaceRun(with: new)
        return fill
    }

    /// Where a run that begins with `id` ends: with the reader's range, or at the next chunk that the cache has or somebody
    /// else brings. What would be asked for beyond that would come for nothing.
    private func limit(behind id: ChunkID) -> Int64 {
        let last = object.chunk(at: max(end - 1, 0)).index
        var index = id.index
        while index < last, index - id.index < Self.lookAhead {
            index += 1
            if store.table.contains(ChunkID(object: id.object, index: index)) {
                return object.range(of: ChunkID(object: id.object, index: index)).lowerBound
            }
        }
        return object.range(of: ChunkID(object: id.object, index: last)).upperBound
    }

    private static let lookAhead: UInt64 = 64
    /// How often a patient reader waits for memory at a chunk: others may take what becomes free.
    private static let mostPauses = 8

    /// - Returns: `nil` if the fill was given up, since nobody waited for it at some moment.
    private func bytes(of fill: Fill, at offset: Int, limit: Int) async throws -> ByteBuffer? {
        readAhead(of: fill.id)
        do {
            return try await fill.bytes(at: offset, limit: limit)
        } catch {
            return try giveUp(after: error)
        }
    }

    private func follow(_ fill: Fill, isNew: Bool) {
        let isFollowed = state.withLock { state in
            state.fill = fill
            return state.run === fill.run
        }
        if isNew {
            count(isFirst: fill.noteReader())
            store.table.noteRead(fill.id)
        }
        guard !isFollowed else { return }
        fill.run.join()
        replaceRun(with: fill.run)
    }

    /// - Parameter isFirst: whether the chunk was not being fetched for somebody else.
    private func count(isFirst: Bool) {
        (isFirst ? store.counters.missed : store.counters.collapsed).add(1)
        (isFirst ? object.lookups.missed : object.lookups.collapsed).add(1)
    }

    private func leaveRun() { replaceRun(with: nil) }

    private func replaceRun(with run: FillRun?) {
        let old = state.withLock { state in
            defer { state.run = run }
            return state.run
        }
        old?.leave()
    }

    /// What there is to do while the reader sends a chunk that is stored.
    private func goOn(behind id: ChunkID) {
        let run = state.withLock { state in
            state.fill = nil
            return state.run
        }
        store.prefetch(behind: id, of: object, upTo: end)
        guard let run else { return }
        if run.hasClaimed(id.index) {
            readAhead(of: id)
        } else {
            // It had this chunk to fetch next, so that it gets no further.
            leaveRun()
        }
    }

    /// A reader that takes chunk after chunk gets the next ones fetched before it asks for them.
    private func readAhead(of id: ChunkID) {
        let (run, moves) = state.withLock { ($0.run, $0.moves) }
        guard let run, moves > 0 else { return }
        run.claimAhead(of: id.index, 1 << min(moves - 1, 32))
    }
}
