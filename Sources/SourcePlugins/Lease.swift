/// Keeps an item loaded in its source while the reference lives.
package final class Lease: Sendable {
    private let release: @Sendable () -> Void

    /// - Parameter release: called once, on whatever thread drops the last reference; it must not block.
    package init(onRelease release: @escaping @Sendable () -> Void) {
        self.release = release
    }

    deinit { release() }
}
