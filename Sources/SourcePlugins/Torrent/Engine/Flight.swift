import Synchronization

/// Something that is under way once, for everybody who waits for it.
///
/// Who waits may leave; the work goes on for the others, and to its end if there are none.
final class Flight<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        var waiting: [UInt64: CheckedContinuation<Value, any Error>] = [:]
        var next: UInt64 = 0
    }

    private let state = Mutex(State())

    /// Begins `work`. Unstructured on purpose: it belongs to no single caller. It bounds itself.
    init(_ work: @escaping @Sendable () async throws -> Value) {
        Task {
            do {
                land(.success(try await work()))
            } catch {
                land(.failure(error))
            }
        }
    }

    private func land(_ result: Result<Value, any Error>) {
        let waiting = state.withLock { state in
            state.result = result
            defer { state.waiting = [:] }
            return state.waiting.values
        }
        for continuation in waiting { continuation.resume(with: result) }
    }

    /// Waits for the result.
    ///
    /// - Throws: what the work throws, or `CancellationError` when the caller has left.
    func value() async throws -> Value {
        let id = state.withLock { state in
            state.next += 1
            return state.next
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state -> Result<Value, any Error>? in
                    if let result = state.result { return result }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiting[id] = continuation
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: id) }?.resume(throwing: CancellationError())
        }
    }
}
