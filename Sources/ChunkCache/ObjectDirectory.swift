import DequeModule
import Synchronization

/// The objects of which the cache has chunks, or may soon have some.
///
/// What always holds: an object that is not retired can be found by its key, and is the only one with its number.
final class ObjectDirectory: Sendable {
    private struct State {
        private(set) var objects: [ObjectKey: CachedObject] = [:]
        /// Those that are looked for together.
        private(set) var families: [ObjectKey: [CachedObject]] = [:]
        var attributed: AttributedObjects
        var nextNumber: UInt64 = 1
        /// Those without a chunk when they came in here, oldest first, and their numbers.
        var recent: Deque<Recent> = []
        var recentNumbers: Set<UInt64> = []
        var pins: [Pin] = []

        func isPinned(_ record: ObjectRecord) -> Bool { pins.contains { $0.contains(record) } }

        mutating func insert(_ object: CachedObject) {
            remove(object.key)
            objects[object.key] = object
            if let family = object.key.family { families[family, default: []].append(object) }
        }

        /// Lets objects with attributes leave until there is memory for `bytes` more.
        ///
        /// - Returns: those that left, which are retired now.
        mutating func makeRoom(for bytes: Int = 0) -> [CachedObject] {
            var left: [CachedObject] = []
            while let object = attributed.evict(for: bytes) {
                remove(object.key)
                left.append(object)
            }
            return left
        }

        @discardableResult
        mutating func remove(_ key: ObjectKey) -> CachedObject? {
            guard let object = objects.removeValue(forKey: key) else { return nil }
            object.retire()
            attributed.remove(object)
            if let family = key.family {
                families[family]?.removeAll { $0 === object }
                if families[family]?.isEmpty == true { families[family] = nil }
            }
            return object
        }
    }

    /// What has left meanwhile takes no memory.
    private struct Recent {
        let number: UInt64
        weak var object: CachedObject?
    }

    /// How many objects without a chunk are kept.
    private static let recentLimit = 16_384
    /// Numbers are below it. No process gets there by counting, so that one from here on is a damaged one.
    static let numberLimit = UInt64(1) << 62

    let chunkSize: Int64
    private let counters: CacheCounters
    private let state: Mutex<State>

    /// - Parameters:
    ///   - attributedBytes: what objects with attributes may take of the memory.
    ///   - policy: decides which of them leave.
    init(chunkSize: Int64, attributedBytes: Int, policy: CachePolicy, counters: CacheCounters) {
        self.chunkSize = chunkSize
        self.counters = counters
        state = Mutex(State(attributed: AttributedObjects(limit: attributedBytes, policy: policy)))
    }

    /// The object that `record` describes; its number in `record` means nothing.
    ///
    /// - Returns: the object as it is known, or a new one; and those that are retired now, of which there may be chunks:
    ///   an earlier revision, and others that had to leave.
    func object(_ record: ObjectRecord) -> (object: CachedObject, replaced: CachedObject?, left: [CachedObject]) {
        let key = record.key
        return state.withLock { state in
            let known = state.objects[key]
            if let known, known.record.revision == record.revision, known.size == record.size {
                state.attributed.touch(known)
                return (known, nil, [])
            }
            var record = record
            record.number = state.nextNumber
            state.nextNumber += 1
            let isPinned = state.isPinned(record)
            let object = makeObject(record, key, isPinned: isPinned)
            state.remove(key)
            var left: [CachedObject] = []
            if !object.attributes.isEmpty {
                left = state.makeRoom(for: object.footprint)
                state.attributed.insert(object)
            }
            state.insert(object)
            return (object, known, left + noteWithoutChunks(object, &state))
        }
    }

    private func makeObject(_ record: ObjectRecord, _ key: ObjectKey, isPinned: Bool) -> CachedObject {
        CachedObject(
            record,
            key: key,
            chunkSize: chunkSize,
            lookups: counters.lookups(of: record.source),
            isPinned: isPinned
        )
    }

    /// Takes note of an object whose attributes have changed.
    ///
    /// - Returns: those that had to leave for it, and are retired now.
    func noteAttributes(of object: CachedObject) -> [CachedObject] {
        state.withLock { state in
            guard state.objects[object.key] === object else { return [] }
            state.attributed.insert(object)
            return state.makeRoom()
        }
    }

    /// Keeps an object that has lost its last chunk, for a while.
    ///
    /// - Returns: the objects that had to leave for it, and are retired now.
    func noteWithoutChunks(_ object: CachedObject) -> [CachedObject] {
        state.withLock { noteWithoutChunks(object, &$0) }
    }

    private func noteWithoutChunks(_ object: CachedObject, _ state: inout State) -> [CachedObject] {
        if state.recentNumbers.insert(object.number).inserted {
            state.recent.append(Recent(number: object.number, object: object))
        }
        var left: [CachedObject] = []
        while state.recent.count > Self.recentLimit, let oldest = state.recent.popFirst() {
            state.recentNumbers.remove(oldest.number)
            guard let object = oldest.object, object.storedChunks == 0, state.objects[object.key] === object else {
                continue
            }
            state.remove(object.key)
            left.append(object)
        }
        return left
    }

    func find(_ key: ObjectKey) -> CachedObject? {
        state.withLock { state in
            guard let object = state.objects[key] else { return nil }
            state.attributed.touch(object)
            return object
        }
    }

    /// Takes in what the database has, under its number there.
    ///
    /// - Returns: the object, and those that had to leave for it, and are retired now.
    func restore(_ record: ObjectRecord) -> (object: CachedObject, left: [CachedObject]) {
        state.withLock { state in
            let isPinned = state.isPinned(record)
            let object = makeObject(record, record.key, isPinned: isPinned)
            noteUsed(record.number, &state)
            state.insert(object)
            guard !object.attributes.isEmpty else { return (object, []) }
            let left = state.makeRoom(for: object.footprint)
            state.attributed.restore(object)
            return (object, left)
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

    /// Forgets the objects that are known now and for which `condition` holds. Event loops wait for the lock: it is held for
    /// some of them at a time.
    func removeAll(where condition: (ObjectRecord) -> Bool) -> [CachedObject] {
        let chosen = all.filter { condition($0.record) }
        return stride(from: 0, to: chosen.count, by: Self.removedAtOnce).flatMap { start in
            remove(Array(chosen[start..<min(start + Self.removedAtOnce, chosen.count)]))
        }
    }

    private static let removedAtOnce = 1000

    /// Forgets those of `objects` that are still known.
    func remove(_ objects: [CachedObject]) -> [CachedObject] {
        state.withLock { state in
            objects.filter { object in
                guard state.objects[object.key] === object else { return false }
                state.remove(object.key)
                return true
            }
        }
    }

    /// The objects whose variant has this first line, in the order they came.
    func family(_ key: ObjectKey) -> [CachedObject] {
        state.withLock { state in
            let family = state.families[key] ?? []
            for object in family { state.attributed.touch(object) }
            return family
        }
    }

    /// What is to stay in the cache, in the order it was said.
    var pins: [Pin] { state.withLock { $0.pins } }

    /// Makes these the pins there are; every object says from now on whether it is one of theirs. One thread at a time
    /// calls this.
    func set(pins: [Pin]) {
        let (objects, changes) = state.withLock { state in
            let changes = Set(state.pins).symmetricDifference(pins)
            state.pins = pins
            return (Array(state.objects.values), changes)
        }
        // Requests wait for the lock. What comes meanwhile is compared with the new pins.
        for object in objects where changes.contains(where: { $0.contains(object.record) }) {
            object.set(isPinned: pins.contains { $0.contains(object.record) })
        }
        state.withLock { $0.attributed.notePins() }
    }

    /// How many objects have chunks.
    var occupied: Int { state.withLock { state in state.objects.values.count { $0.storedChunks > 0 } } }

    /// Everything that is known, in no order.
    var all: [CachedObject] { state.withLock { Array($0.objects.values) } }
}
