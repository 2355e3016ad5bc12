import Logging
package import NIOPosix
package import SourcePlugins
import Synchronization

/// A ``SourceContext`` for a test, with a pool of its own and a log that nobody sees.
package final class TestContext: Sendable {
    package let pool: NIOThreadPool
    package let source: SourceContext
    private let invalidations: Observed<[MediaPath]>

    /// The caller stops the pool; see ``withContext(threads:_:)``.
    private init(threads: Int, openRecords: @escaping @Sendable (String) throws -> any SourceRecords) {
        let pool = NIOThreadPool(numberOfThreads: threads)
        let invalidations = Observed<[MediaPath]>([])
        pool.start()
        self.pool = pool
        self.invalidations = invalidations
        source = SourceContext(
            name: "test",
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            blockingPool: pool,
            openRecords: openRecords,
            invalidate: { path in invalidations.update { $0.append(path) } }
        )
    }

    /// The paths for which the source asked the gateway to forget what it knows.
    package var invalidated: [MediaPath] { invalidations.value }

    /// Waits until everything that was submitted to the pool has been done. Only with one thread.
    package func drain() async throws {
        try await pool.runIfActive {}
    }

    /// Runs `body` and then stops the pool.
    package static func with<Value>(
        threads: Int = 2,
        openRecords: @escaping @Sendable (String) throws -> any SourceRecords = { _ in
            throw SourceError(.unavailable, "there is no store for records")
        },
        _ body: (TestContext) async throws -> Value
    ) async throws -> Value {
        let context = TestContext(threads: threads, openRecords: openRecords)
        do {
            let value = try await body(context)
            try await context.pool.shutdownGracefully()
            return value
        } catch {
            try? await context.pool.shutdownGracefully()
            throw error
        }
    }
}
