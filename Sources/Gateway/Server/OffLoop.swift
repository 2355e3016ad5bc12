/// Runs what takes its time, or waits for a page of the chunk cache, on Swift's own threads: the event loop, on which the
/// task of a request runs otherwise, has streams to serve.
///
/// - Parameter body: `@concurrent`, as it would stay with its caller otherwise, on the event loop.
package func offLoop<Value: Sendable, Failure: Error>(
    _ body: @concurrent @Sendable () async throws(Failure) -> Value
) async throws(Failure) -> Value {
    try await withTaskExecutorPreference(globalConcurrentExecutor) { () async throws(Failure) -> Value in
        changeThreads()
        return try await body()
    }
}

/// Swift (6.3) leaves out the change of threads at the start of a closure if that begins with a call of a function value
/// that is not `@concurrent`, and which then runs on the event loop: here is something else to begin with.
@inline(never)
@_optimize(none)
private func changeThreads() {}
