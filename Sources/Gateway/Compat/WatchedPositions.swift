package import SourcePlugins
import Synchronization

/// Where in each file a client last began to read, for those that want to know how far it has been watched. The oldest
/// make room.
package final class WatchedPositions: Sendable {
    private struct Key: Hashable {
        let client: String
        let item: ItemID
        let file: Int
    }

    private struct State {
        var positions: [Key: (position: Int64, serial: UInt64)] = [:]
        var serial: UInt64 = 0
    }

    private let capacity: Int
    private let state = Mutex(State())

    package init(capacity: Int = 4096) {
        self.capacity = max(capacity, 2)
    }

    package var count: Int { state.withLock { $0.positions.count } }

    package func note(_ position: Int64, of file: Int, in item: ItemID, client: String) {
        let key = Key(client: client, item: item, file: file)
        state.withLock { state in
            state.serial += 1
            state.positions[key] = (position, state.serial)
            guard state.positions.count > capacity else { return }
            // Half of them at a time, so that it is rarely done.
            let keep = state.positions.values.map(\.serial).sorted()[capacity / 2]
            state.positions = state.positions.filter { $0.value.serial >= keep }
        }
    }

    /// - Returns: 0 for a file the client has not read.
    package func position(in file: Int, of item: ItemID, client: String) -> Int64 {
        let key = Key(client: client, item: item, file: file)
        return state.withLock { $0.positions[key]?.position ?? 0 }
    }
}
