import NIOPosix
import Synchronization

extension NIOThreadPool {
    /// Runs `body`, which may block, on a thread of the pool.
    ///
    /// Cancellation ends the wait at once, even if the call hangs in a file system that does not answer. A call that
    /// had not begun is then not made; the result of one that had is dropped, so it must clean up after itself.
    ///
    /// - Throws: what `body` throws, `CancellationError`, or ``SourceError`` `unavailable` if the pool has stopped.
    func call<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        let call = BlockingCall<Value>()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                guard call.begin(continuation) else { return }
                self.submit { state in
                    guard call.isAwaited else { return }
                    call.end(
                        state == .active
                            ? Result(catching: body)
                            : .failure(SourceError(.unavailable, "the gateway is shutting down"))
                    )
                }
            }
        } onCancel: {
            call.end(.failure(CancellationError()))
        }
    }
}

/// One wait for a thread of the pool, resumed by whichever comes first: the result or cancellation.
private final class BlockingCall<Value: Sendable>: Sendable {
    private enum State {
        case created
        case awaited(CheckedContinuation<Value, any Error>)
        case ended
    }

    private let state = Mutex(State.created)

    var isAwaited: Bool {
        state.withLock { state in
            if case .awaited = state { true } else { false }
        }
    }

    /// - Returns: whether the call is still wanted; if not, the continuation has been resumed.
    func begin(_ continuation: CheckedContinuation<Value, any Error>) -> Bool {
        let isWanted = state.withLock { state in
            guard case .created = state else { return false }
            state = .awaited(continuation)
            return true
        }
        if !isWanted { continuation.resume(throwing: CancellationError()) }
        return isWanted
    }

    func end(_ result: Result<Value, any Error>) {
        let continuation: CheckedContinuation<Value, any Error>? = state.withLock { state in
            defer { state = .ended }
            guard case .awaited(let continuation) = state else { return nil }
            return continuation
        }
        continuation?.resume(with: result)
    }
}
