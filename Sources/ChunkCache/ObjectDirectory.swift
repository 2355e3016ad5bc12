import DequeModule
import Synchronization

/// The objects of which the cache has chunks, or may soon have some.
///
/// What always holds: an object that is not retired can be found by its key, and is the only one with its number.
final class ObjectDirectory: Sendable {
    private struct State {
        var objects: [ObjectKey: CachedObject] = [:]
        var nextNumber: UInt64 = 1
        /// Those without a chunk when they came in here, oldest first, and their numbers.
        var recent: Deque<CachedObject> = []
        var recentNumbers: Set<UInt64> = []
    }

    /// How many objects without a chunk are kept.
    private static let recentLimit = 16_384
    /// Numbers are below it. No process gets there by counting, so that one from here on is a damaged one.
    static let numberLimit = UInt64(1) << 62

    let chunkSize: Int64
    private let state = Mutex(State())

    init(chunkSize: Int64) {
        self.chunkSize = chunkSize
    }

    /// The object that `record` describes; its number in `record` means nothing.
    ///
    /// - Returns: the object as it is known, or a new one; and those that are retired now, an earlier revision among
    ///   them, of which there may be chunks.
    func object(_ record: ObjectRecord) -> (object: CachedObject, retired: [CachedObject]) {
        let key = record.key
        return state.withLock { state in
            let known = state.objects[key]
            if let known, known.record.revision == record.revision, known.size == record.size { return (known, []) }
            var record = record
            record.number = state.nextNumber
            state.nextNumber += 1
            let object = CachedObject(record, key: key, chunkSize: chunkSize)
            state.objects[key] = object
            known?.retire()
            return (object, (known.map { [$0] } ?? []) + noteWithoutChunks(object, &state))
        }
    }

    /// Keeps an object that has lost its last chunk, for a while.
    ///
    /// - Returns: the objects that had to leave for it, and are retired now.
    func noteWithoutChunks(_ object: CachedObject) -> [CachedObject] {
        state.withLock { noteWithoutChunks(object, &$0) }
    }

    private func noteWithoutChunks(_ object: CachedObject, _ state: inout State) -> [CachedObject] {
        if state.recentNumbers.insert(object.number).inserted { state.recent.append(object) }
        var left: [CachedObject] = []
        while state.recent.count > Self.recentLimit, let oldest = state.recent.popFirst() {
            state.recentNumbers.remove(oldest.number)
            guard oldest.storedChunks == 0, state.objects[oldest.key] === oldest else { continue }
            oldest.retire()
            state.objects[oldest.key] = nil
            left.append(oldest)
        }
        return left
    }

    func find(_ key: ObjectKey) -> CachedObject? {
        state.withLock { $0.objects[key] }
    }

    /// Takes in what the database has, under its number there.
    func restore(_ record: ObjectRecord) -> CachedObject {
        let object = CachedObject(record, key: record.key, chunkSize: chunkSize)
        return state.withLock { state in
            noteUsed(record.number, &state)
            state.objects.updateValue(object, forKey: object.key)?.retire()
            return object
        }
    }

    /// No object gets this number or one below it.
    func noteUsed(_ number: UInt64) {
        state.withLock { noteUsed(number, &$0) }
    }

    private func noteUsed(_ number: UInt64, _ state: inout State) {
        guard number < Self.numberLimit else { return }
        state.nextNumber = max(state.nextNumber, number + 1)
    }

    /// A number that no object has, nor any above it.
    var nextNumber: UInt64 { state.withLock { $0.nextNumber } }

    /// There is a database that cannot be read, and may be later: objects get numbers that it has hardly given.
    func skipNumbers() {
        let skipped = UInt64.random(in: 1 << 32..<1 << 60)
        state.withLock { state in
            // Once is enough: the database has none of the numbers that follow, either.
            if state.nextNumber < 1 << 32 { state.nextNumber += skipped }
        }
    }

    /// Forgets the objects for which `condition` holds.
    func removeAll(where condition: (ObjectRecord) -> Bool) -> [CachedObject] {
        state.withLock { state in
            let removed = state.objects.values.filter { condition($0.record) }
            for object in removed {
                object.retire()
                state.objects[object.key] = nil
            }
            return removed
        }
    }

    /// Everything that is known, in no order.
    var all: [CachedObject] { state.withLock { Array($0.objects.values) } }
}
