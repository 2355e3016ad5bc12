/// Runs what takes its time, or waits for a page of the chunk cache, on Swift's own threads: the event loop, on which the
/// task of a request runs otherwise, has streams to serve.
///
/// - Parameter body: `@concurrent`, as it would stay with its caller otherwise, on the event loop.
package func offLoop<Value: Sendable, Failure: Error>(
    _ body: @concurrent @Sendable () async throws(Failure) -> Value
) async throws(Failure) -> Value {
    try await withTaskExecutorPreference(globalConcurrentExecutor, operation: body)
}
