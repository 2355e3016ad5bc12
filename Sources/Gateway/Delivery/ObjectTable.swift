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

    private struct Entry {
        let info: ObjectInfo
        /// `nil`: for ever.
        let validUntil: ContinuousClock.Instant?
        let serial: UInt64
    }

    private struct State {
        var entries: [Key: Entry] = [:]
        /// Keys in the order of insertion. An entry replaced since has a newer serial, and its old line is skipped.
        var order: Deque<(key: Key, serial: UInt64)> = []
        var nextSerial: UInt64 = 0
    }

    private let capacity: Int
    private let state = Mutex(State())

    package init(capacity: Int = 65_536) {
        self.capacity = max(capacity, 1)
    }

    package var count: Int { state.withLock { $0.entries.count } }

    /// - Returns: what is known at `now`; `nil` means ask the source.
    package func lookup(_ key: Key, now: ContinuousClock.Instant) -> ObjectInfo? {
        state.withLock { state in
            guard let entry = state.entries[key] else { return nil }
            guard let end = entry.validUntil, end <= now else { return entry.info }
            state.entries[key] = nil
            return nil
        }
    }

    package func insert(_ info: ObjectInfo, for key: Key, now: ContinuousClock.Instant) {
        let validUntil: ContinuousClock.Instant? =
            switch info.validity {
            case .immutable: nil
            case .recheck(let interval): now.advanced(by: interval)
            }
        state.withLock { state in
            let serial = state.nextSerial
            state.nextSerial += 1
            state.entries[key] = Entry(info: info, validUntil: validUntil, serial: serial)
            state.order.append((key, serial))
            trim(&state)
        }
    }

    package func remove(_ key: Key) {
        state.withLock { $0.entries[key] = nil }
    }

    private func trim(_ state: inout State) {
        while state.entries.count > capacity || state.order.count > 2 * capacity, let oldest = state.order.popFirst() {
            if state.entries[oldest.key]?.serial == oldest.serial {
                state.entries[oldest.key] = nil
            }
        }
    }
}
