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
    /// Tells the gateway to forget what it knows of an object, at once.
    package let invalidate: @Sendable (MediaPath) -> Void

    package init(
        name: String,
        logger: Logger,
        blockingPool: NIOThreadPool,
        invalidate: @escaping @Sendable (MediaPath) -> Void
    ) {
        self.name = name
        self.logger = logger
        self.blockingPool = blockingPool
        self.invalidate = invalidate
    }
}
