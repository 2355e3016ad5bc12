import Synchronization

/// A value whose changes can be awaited: what tests use in place of sleeping.
package final class Observed<Value: Sendable>: Sendable {
    private struct Waiter: Sendable {
        let condition: @Sendable (Value) -> Bool
        let continuation: CheckedContinuation<Value, any Error>
    }

    private struct State {
        var value: Value
        var waiters: [Int: Waiter] = [:]
        var cancelled: Set<Int> = []
        var nextID = 0
    }

    private let state: Mutex<State>

    package init(_ value: Value) {
        state = Mutex(State(value: value))
    }

    package var value: Value { state.withLock { $0.value } }

    /// Changes the value and wakes those whose condition then holds.
    @discardableResult
    package func update<Result: Sendable>(_ change: (inout Value) -> Result) -> Result {
        let (result, value, ready) = state.withLock { state in
            let result = change(&state.value)
            let ready = state.waiters.filter { $0.value.condition(state.value) }
            for id in ready.keys { state.waiters[id] = nil }
            return (result, state.value, ready.map(\.value.continuation))
        }
        for continuation in ready { continuation.resume(returning: value) }
        return result
    }

    /// Waits until `condition` holds, which may be at once.
    ///
    /// - Returns: the value for which it held.
    /// - Throws: `CancellationError`.
    @discardableResult
    package func until(_ condition: @escaping @Sendable (Value) -> Bool) async throws -> Value {
        let id = state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result: Result<Value, any Error>? = state.withLock { state in
                    if state.cancelled.remove(id) != nil { return .failure(CancellationError()) }
                    if condition(state.value) { return .success(state.value) }
                    state.waiters[id] = Waiter(condition: condition, continuation: continuation)
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                let waiter = state.waiters.removeValue(forKey: id)
                if waiter == nil { state.cancelled.insert(id) }
                return waiter
            }
            waiter?.continuation.resume(throwing: CancellationError())
        }
    }
}

/// A door that holds tasks up until a test opens it.
package final class Gate: Sendable {
    private struct State: Sendable {
        var isOpen: Bool
        var waiting = 0
    }

    private let state: Observed<State>

    package init(isOpen: Bool = false) {
        state = Observed(State(isOpen: isOpen))
    }

    package func open() {
        state.update { $0.isOpen = true }
    }

    package func close() {
        state.update { $0.isOpen = false }
    }

    /// - Throws: `CancellationError`.
    package func pass() async throws {
        state.update { $0.waiting += 1 }
        defer { state.update { $0.waiting -= 1 } }
        try await state.until { $0.isOpen }
    }

    /// Waits until at least `count` tasks are being held up.
    package func untilWaiting(_ count: Int = 1) async throws {
        try await state.until { $0.waiting >= count }
    }
}
