package import Logging
package import NIOPosix

/// What the gateway lends a source.
package struct SourceContext: Sendable {
    /// The source's own name, as in its configuration.
    package let name: String
    /// Carries the source's name already.
    package let logger: Logger
    /// Where calls that block belong. Shared by all sources; never held while waiting for anything but the call.
    package let blockingPool: NIOThreadPool
    /// Opens a store in a directory of the source's, and throws if it cannot be used or another has it. Blocks.
    package let openRecords: @Sendable (_ directory: String) throws -> any SourceRecords
    /// Tells the gateway to forget what it knows of an object, at once.
    package let invalidate: @Sendable (MediaPath) -> Void

    package init(
        name: String,
        logger: Logger,
        blockingPool: NIOThreadPool,
        openRecords: @escaping @Sendable (_ directory: String) throws -> any SourceRecords = { _ in
            throw SourceError(.unavailable, "there is no store for records")
        },
        invalidate: @escaping @Sendable (MediaPath) -> Void
    ) {
        self.name = name
        self.logger = logger
        self.blockingPool = blockingPool
        self.openRecords = openRecords
        self.invalidate = invalidate
    }
}
