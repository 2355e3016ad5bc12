package import NIOCore

/// The bytes of one read, pulled buffer by buffer.
///
/// The source works only when it is asked, so a slow reader is back-pressure all the way down. One task pulls at a
/// time. Dropping the stream ends the work behind it.
package struct ByteStream: Sendable {
    private let pull: @Sendable () async throws -> ByteBuffer?

    /// - Parameter pull: returns the next buffer, never an empty one, and `nil` from the end on. Throws
    ///   ``SourceError`` or `CancellationError`; it is not called again after that.
    package init(_ pull: @escaping @Sendable () async throws -> ByteBuffer?) {
        self.pull = pull
    }

    /// The next bytes, or `nil` at the end.
    package func next() async throws -> ByteBuffer? {
        try await pull()
    }
}
