import Synchronization

/// Work of which several need the result: one does it, and those who come meanwhile wait for it.
final class SingleFlight<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    /// `nil` if whoever did the work was cancelled: it says nothing to the others.
    private typealias Waiter = CheckedContinuation<Result<Value, any Error>?, Never>

    private let waiting = Mutex<[Key: [Waiter]]>([:])

    /// Runs `body` in the caller's task, unless somebody does so for `key` already.
    ///
    /// A caller that waits does so until the work is done, cancelled or not.
    ///
    /// - Throws: what `body` throws, here or there.
    func run(_ key: Key, _ body: () async throws -> Value) async throws -> Value {
        while true {
            let isFirst = waiting.withLock { waiting in
                guard waiting[key] == nil else { return false }
                waiting[key] = []
                return true
            }
            guard !isFirst else { return try await lead(key, body) }
            let result = await withCheckedContinuation { (continuation: Waiter) in
                let isOver = waiting.withLock { waiting in
                    guard waiting[key] != nil else { return true }
                    waiting[key]?.append(continuation)
                    return false
                }
                if isOver { continuation.resume(returning: nil) }
            }
            try Task.checkCancellation()
            if let result { return try result.get() }
        }
    }

    private func lead(_ key: Key, _ body: () async throws -> Value) async throws -> Value {
        let result: Result<Value, any Error>
        do {
            result = .success(try await body())
        } catch {
            result = .failure(error)
        }
        let isCancelled = if case .failure(let error) = result { error is CancellationError } else { false }
        for waiter in waiting.withLock({ $0.removeValue(forKey: key) ?? [] }) {
            waiter.resume(returning: isCancelled ? nil : result)
        }
        return try result.get()
    }
}
