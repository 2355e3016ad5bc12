import DequeModule
import Synchronization

/// The objects of which the cache has chunks, or may soon have some.
final class ObjectDirectory: Sendable {
    private struct State {
        var objects: [ObjectKey: CachedObject] = [:]
        var nextNumber: UInt64 = 1
        /// Those without a chunk when they came, oldest first.
        var recent: Deque<CachedObject> = []
    }

    /// How many objects without a chunk are kept.
    private static let recentLimit = 16_384

    let chunkSize: Int64
    private let state = Mutex(State())

    init(chunkSize: Int64) {
        self.chunkSize = chunkSize
    }

    /// The object that `record` describes; its number in `record` means nothing.
    ///
    /// - Returns: the object as it is known, or a new one, which takes the place of an earlier revision.
    func object(_ record: ObjectRecord) -> (object: CachedObject, replaced: CachedObject?) {
        let key = record.key
        return state.withLock { state in
            let known = state.objects[key]
            if let known, known.record.revision == record.revision, known.size == record.size { return (known, nil) }
            var record = record
            record.number = state.nextNumber
            state.nextNumber += 1
            let object = CachedObject(record, key: key, chunkSize: chunkSize)
            state.objects[key] = object
            known?.retire()
            state.recent.append(object)
            while state.recent.count > Self.recentLimit, let oldest = state.recent.popFirst() {
                if oldest.storedChunks == 0, state.objects[oldest.key] === oldest { state.objects[oldest.key] = nil }
            }
            return (object, known)
        }
    }

    func find(_ key: ObjectKey) -> CachedObject? {
        state.withLock { $0.objects[key] }
    }

    /// Takes in what the database has, in the order of numbers.
    ///
    /// - Returns: the object, and an earlier revision of it that the database has as well.
    func restore(_ record: ObjectRecord) -> (object: CachedObject, replaced: CachedObject?) {
        let object = CachedObject(record, key: record.key, chunkSize: chunkSize)
        return state.withLock { state in
            noteUsed(record.number, &state)
            return (object, state.objects.updateValue(object, forKey: object.key))
        }
    }

    /// No object gets this number or one below it.
    func noteUsed(_ number: UInt64) {
        state.withLock { noteUsed(number, &$0) }
    }

    private func noteUsed(_ number: UInt64, _ state: inout State) {
        state.nextNumber = max(state.nextNumber, number < .max ? number + 1 : number)
    }

    /// Forgets `object`, unless another revision has taken its place.
    func remove(_ object: CachedObject) {
        object.retire()
        state.withLock { state in
            if state.objects[object.key] === object { state.objects[object.key] = nil }
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
