import NIOCore
import Synchronization

/// When a stopping gateway stops being patient. Shared by its listeners.
package final class DrainClock: Sendable {
    private struct State {
        var isHurried = false
        var onHurry: [@Sendable () -> Void] = []
    }

    private let patience: TimeAmount
    private let state = Mutex(State())

    package init(patience: Duration) {
        self.patience = TimeAmount(patience)
    }

    /// - Returns: the deadline for answers under way, of a drain that begins now.
    func begin(now: NIODeadline) -> NIODeadline {
        state.withLock { $0.isHurried } ? now : now + patience
    }

    /// Calls `call` when the deadline is brought forward to now; at once if it has been.
    func onHurry(_ call: @escaping @Sendable () -> Void) {
        let isHurried = state.withLock { state in
            if !state.isHurried { state.onHurry.append(call) }
            return state.isHurried
        }
        if isHurried { call() }
    }

    /// The deadline is now, as after a second signal.
    package func hurry() {
        let calls = state.withLock { state in
            state.isHurried = true
            return state.onHurry
        }
        for call in calls { call() }
    }
}
