package import NIOCore
import NIOPosix
import Synchronization

/// What is not in memory, or was not checked yet.
extension ChunkStore {
    /// Has a part of the chunk read into memory, and all of it if it was not checked before, unless it is on the way into
    /// the cache.
    ///
    /// - Parameter part: offsets in the chunk; it is cut at the chunk's end.
    package func prepare(_ id: ChunkID, _ part: Range<Int>) async {
        await withCheckedContinuation { continuation in
            prepare(id, part) { continuation.resume() }
        }
    }

    /// - Parameter done: is called on a thread of a pool.
    private func prepare(_ id: ChunkID, _ part: Range<Int>, done: @escaping @Sendable () -> Void) {
        let read: @Sendable (NIOThreadPool.WorkItemState) -> Void = { _ in
            self.prepareNow(id, part)
            done()
        }
        guard table.isReady(id), !isMemoryShort else { return pool.submit(read) }
        // What is in memory does not wait behind what is read from the disk.
        copyPool.submit { _ in
            if self.isInMemory(id, part) { done() } else { self.pool.submit(read) }
        }
    }

    /// Whether an event loop may look the chunk up in the database: the pages of its key were in memory a moment ago.
    func mayLookUp(_ id: ChunkID) -> Bool { lookUps.contains(id.object, id.index / Self.neighbours) }

    /// Chunks whose keys are in one page, or two next to each other: one that is not among the last has at least 25.
    private static let neighbours: UInt64 = 16

    /// Looks a chunk up, so that an event loop may do it for the next moment, and with its neighbours, and with those behind
    /// them, to which a reader may come meanwhile. Blocks, if pages of their keys have left memory.
    private func lookUp(
        _ id: ChunkID,
        in chunks: LMDBTable,
        _ transaction: borrowing LMDBReadTransaction
    ) throws -> UnsafeRawBufferPointer? {
        let place = id.index / Self.neighbours
        for place in [place, place &+ 1] {
            for index in [place &* Self.neighbours, place &* Self.neighbours &+ (Self.neighbours - 1)] {
                _ = try transaction.place(of: ChunkID(object: id.object, index: index), in: chunks)
            }
            lookUps.insert(id.object, place)
        }
        return try transaction.place(of: id, in: chunks)
    }

    /// Whether a part of a chunk that is ready can be sent as soon as it is looked up. Blocks as ``lookUp`` does.
    private func isInMemory(_ id: ChunkID, _ part: Range<Int>) -> Bool {
        guard let (environment, chunks) = writer.reading else { return false }
        let found = try? environment.read { transaction in
            guard let place = try lookUp(id, in: chunks, transaction) else { return false }
            return Self.bytes(part, of: place).map { isResident($0, of: place, id) } ?? false
        }
        return found ?? false
    }

    /// Whether memory is so short that what is read into it leaves within seconds. Then an event loop that takes bytes from
    /// the map may have to wait for the disk, even at the pages of their keys: ``withCopy(of:_:_:)`` is without.
    package var isMemoryShort: Bool { reads.isMemoryShort }

    /// Lends `body` a copy of the first bytes of a part of the chunk, made off the event loop, and read from the disk where
    /// they are not in memory.
    ///
    /// - Parameters:
    ///   - part: offsets in the chunk; it is cut at the chunk's end.
    ///   - body: returns when the copy is nobody's any more. Copies are shorter while many are held.
    /// - Returns: `nil` if the chunk is not in the database, or leaves memory as soon as it is read.
    /// - Throws: what `body` throws.
    package func withCopy<Value: Sendable>(
        of id: ChunkID,
        _ part: Range<Int>,
        _ body: (ByteBuffer) async throws -> Value
    ) async throws -> Value? {
        let part = part.prefix(copies.length)
        // Before it is made: many may be made before a client gets the first.
        copies.noteHeld(part.count)
        defer { copies.noteHeld(-part.count) }
        var copied = await on(copyPool) { self.copyNow(id, part) }
        if copied == nil {
            copied = await on(pool) {
                for _ in 0..<2 {
                    self.prepareNow(id, part)
                    if let copied = self.copyNow(id, part) { return copied }
                }
                return nil
            }
        }
        guard let copied else { return nil }
        return try await body(copied)
    }

    private func on(_ pool: NIOThreadPool, _ body: @escaping @Sendable () -> ByteBuffer?) async -> ByteBuffer? {
        await withCheckedContinuation { continuation in
            pool.submit { _ in continuation.resume(returning: body()) }
        }
    }

    /// A copy of what is in memory.
    private func copyNow(_ id: ChunkID, _ part: Range<Int>) -> ByteBuffer? {
        // Asked before the transaction begins: what is ready then is in what it sees.
        guard table.isReady(id), let (environment, chunks) = writer.reading else { return nil }
        return copies.copy(length: part.count) { buffer in
            try? environment.read { transaction in
                guard let place = try transaction.place(of: id, in: chunks) else { return }
                if let bytes = Self.bytes(part, of: place) { environment.copyResident(bytes, to: &buffer) }
            }
        }
    }

    /// Begins to ``prepare(_:_:)`` the chunk behind this one, as far as it lies before `end`, and waits for nothing.
    package func prefetch(behind id: ChunkID, of object: CachedObject, upTo end: Int64) {
        let id = ChunkID(object: id.object, index: id.index + 1)
        let whole = object.part(of: id, in: 0..<end)
        let part = isMemoryShort ? whole.prefix(copies.length) : whole
        guard !part.isEmpty, isStored(id), !seemsResident(id, part) else { return }
        let isNew = preparing.withLock { $0.count < 64 && $0.insert(id).inserted }
        guard isNew else { return }
        prepare(id, part) { self.preparing.withLock { _ = $0.remove(id) } }
    }

    /// Whether the chunk is ready, and both ends of the part in memory. Where that is short nobody asks, and it is so if the
    /// part was read a moment ago.
    private func seemsResident(_ id: ChunkID, _ part: Range<Int>) -> Bool {
        guard table.isReady(id) else { return false }
        if isMemoryShort { return wasRead(id, part) }
        let ahead = ChunkID(object: id.object, index: id.index &+ Self.neighbours)
        guard mayLookUp(id), mayLookUp(ahead), let (environment, chunks) = writer.reading else { return false }
        let found = try? environment.read { transaction in
            guard let place = try transaction.place(of: id, in: chunks) else { return false }
            return Self.bytes(part, of: place).map { Residency.hasEnds($0) } ?? false
        }
        return found ?? false
    }

    private func prepareNow(_ id: ChunkID, _ part: Range<Int>) {
        let began = ContinuousClock.now
        defer { counters.note(.read, since: began) }
        guard case .stored(let isVerified) = table.state(of: id) else { return }
        guard let (environment, chunks) = writer.reading else { return table.remove(id) }
        do {
            let found = try environment.withPlace { transaction in
                try lookUp(id, in: chunks, transaction)
            } _: { place -> Check in
                guard isVerified else {
                    let check = try check(id, in: place, environment, chunks)
                    noteRead(Self.blocks(in: 0..<place.count), of: id)
                    return check
                }
                if load(id, part, in: place, environment) { return .right }
                writer.drop(id, corruptBy: .unreadable)
                return .corrupt
            }
            if found == nil || found == .gone { table.remove(id) }
        } catch {
            table.remove(id)
            writer.noteReadFailure(error, of: environment)
        }
    }

    /// Reads a part of a chunk that was in memory before, and is not any more.
    private func load(
        _ id: ChunkID,
        _ part: Range<Int>,
        in place: UnsafeRawBufferPointer,
        _ environment: LMDBEnvironment
    ) -> Bool {
        guard let bytes = Self.bytes(part, of: place) else { return true }
        let blocks = Self.blocks(in: part.lowerBound..<part.lowerBound + bytes.count)
        for block in blocks {
            let start = block * Self.blockSize - part.lowerBound
            let first = UnsafeRawBufferPointer(rebasing: bytes[start..<start + 1])
            if !Residency.isResident(first) { reads.noteAbsent(id.object, Self.number(of: block, in: id)) }
        }
        guard environment.load(bytes) else { return false }
        noteRead(blocks, of: id)
        return true
    }

    private func noteRead(_ blocks: Range<Int>, of id: ChunkID) {
        for block in blocks { reads.insert(id.object, Self.number(of: block, in: id)) }
    }

    /// Whether the first block of a part was read from the disk a moment ago.
    func wasRead(_ id: ChunkID, _ part: Range<Int>) -> Bool {
        guard let first = Self.blocks(in: part).first else { return false }
        return reads.contains(id.object, Self.number(of: first, in: id))
    }

    private static let blockSize = 256 << 10

    /// The blocks of a chunk that begin in a part of it.
    private static func blocks(in part: Range<Int>) -> Range<Int> {
        let first = (part.lowerBound + blockSize - 1) / blockSize
        return first..<max((part.upperBound + blockSize - 1) / blockSize, first)
    }

    /// A number that no other block of the object is likely to have.
    private static func number(of block: Int, in id: ChunkID) -> UInt64 {
        id.index &* 0xD134_2543_DE82_EF95 &+ UInt64(block)
    }

    enum Check {
        case right
        /// It was not what was stored, and is dropped.
        case corrupt
        case gone
    }

    /// Reads a chunk into memory and sums it up.
    ///
    /// - Parameter place: where it was a moment ago. It is summed up there without a transaction: this thread has to wait for a
    ///   processor where they are short, and the pages that are freed while a transaction is open cannot be used again
    ///   until it is over. The chunk may have left since, and another be written in its place, so only what is right there
    ///   is taken for it.
    func check(
        _ id: ChunkID,
        in place: UnsafeRawBufferPointer,
        _ environment: LMDBEnvironment,
        _ chunks: LMDBTable
    ) throws -> Check {
        if ChunkRecord.fault(of: place.bytes, id: id) == nil {
            table.markVerified(id)
            return .right
        }
        return try check(id, environment, chunks)
    }

    /// Sums up a chunk in a transaction.
    private func check(_ id: ChunkID, _ environment: LMDBEnvironment, _ chunks: LMDBTable) throws -> Check {
        let fault = try environment.read { transaction in
            try transaction.withValue(for: id, in: chunks) { ChunkRecord.fault(of: $0, id: id) }
        }
        switch fault {
        case nil: return .gone
        case .some(nil):
            table.markVerified(id)
            return .right
        case .some(let fault?):
            writer.drop(id, corruptBy: fault)
            return .corrupt
        }
    }
}
