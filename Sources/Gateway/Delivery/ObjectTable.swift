package import ChunkCache
import DequeModule
package import SourcePlugins
import Synchronization

/// What is known of objects without asking their sources: the reason an answer can be decided on an event loop.
///
/// Bounded; the oldest entry makes room. Entries go when their validity ends, when their source says so, and with
/// their source's epoch.
package final class ObjectTable: Sendable {
    package struct Key: Sendable, Hashable {
        /// Distinguishes sources, and the same source before and after a reload.
        package let epoch: Int
        package let path: MediaPath

        package init(epoch: Int, path: MediaPath) {
            self.epoch = epoch
            self.path = path
        }
    }

    /// What an answer can be made of.
    package final class Known: Sendable {
        package let info: ObjectInfo
        /// The object in the chunk cache; `nil` if it is not cached.
        package let cached: CachedObject?
        /// Of answers with bytes of the object.
        package let fields: ReadyFields

        package init(info: ObjectInfo, cached: CachedObject?, fields: ReadyFields) {
            self.info = info
            self.cached = cached
            self.fields = fields
        }
    }

    private struct Entry {
        let known: Known
        /// `nil`: for ever.
        let validUntil: ContinuousClock.Instant?
        let serial: UInt64
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        /// Keys in the order of insertion. An entry replaced since has a newer serial, and its old line is skipped.
        var order: Deque<(key: Key, serial: UInt64)> = []
        var nextSerial: UInt64 = 0
        var purges = 0
    }

    private let capacity: Int
    private let state = Mutex(State())

    package init(capacity: Int = 65_536) {
        self.capacity = max(capacity, 1)
    }

    package var count: Int { state.withLock { $0.entries.count } }

    /// - Returns: what is known at `now`; `nil` means ask the source. What the cache has forgotten is not known either: nothing
    ///   of it could be stored.
    package func lookup(_ key: Key, now: ContinuousClock.Instant) -> Known? {
        state.withLock { state in
            guard let entry = state.entries[key] else { return nil }
            let isOver = entry.validUntil.map { $0 <= now } ?? false
            guard isOver || entry.known.cached?.isRetired == true else { return entry.known }
            state.entries[key] = nil
            return nil
        }
    }

    /// - Parameter knownSince: the number of purges when it was asked for. If there was one since then, it is not kept.
    package func insert(
        _ known: Known,
        for key: Key,
        now: ContinuousClock.Instant,
        knownSince purges: Int? = nil
    ) {
        let validUntil: ContinuousClock.Instant? =
            switch known.info.validity {
            case .immutable: nil
            case .recheck(let interval): now.advanced(by: interval)
            }
        state.withLock { state in
            guard purges ?? state.purges == state.purges else { return }
            let serial = state.nextSerial
            state.nextSerial += 1
            state.entries[key] = Entry(known: known, validUntil: validUntil, serial: serial)
            state.order.append((key, serial))
            trim(&state)
        }
    }

    /// How often objects were forgotten at an operator's word: what was asked for before that is not to be kept.
    package var purges: Int { state.withLock { $0.purges } }

    package func remove(_ key: Key) {
        state.withLock { $0.entries[key] = nil }
    }

    /// Forgets the objects of the cache for which `condition` holds.
    package func removeAll(where condition: (CachedObject) -> Bool) {
        state.withLock { state in
            state.purges += 1
            // Made anew, the table would take longer, and hits wait for it.
            let gone = state.entries.filter { entry in entry.value.known.cached.map(condition) == true }.keys
            for key in gone { state.entries[key] = nil }
        }
    }

    private func trim(_ state: inout State) {
        while state.entries.count > capacity || state.order.count > 2 * capacity, let oldest = state.order.popFirst() {
            if state.entries[oldest.key]?.serial == oldest.serial {
                state.entries[oldest.key] = nil
            }
        }
    }
}
