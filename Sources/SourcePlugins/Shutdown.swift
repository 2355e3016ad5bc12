import ServiceLifecycle

/// Waits for graceful shutdown or cancellation.
///
/// Not ServiceLifecycle's `gracefulShutdown()`, which in 2.13.0 loses a cancellation that comes before it waits.
package func untilShutdown() async {
    let (shutdown, continuation) = AsyncStream.makeStream(of: Never.self)
    await withGracefulShutdownHandler {
        for await _ in shutdown {}
    } onGracefulShutdown: {
        continuation.finish()
    }
}
