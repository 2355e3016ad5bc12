package import NIOCore

/// Turns the chunks of one object into those of another size: joins neighbours, or splits them.
///
/// A value that is given chunk after chunk, in order; it keeps less than a chunk of the new size.
package struct GridChange: Sendable {
    package struct Chunk: Sendable, Hashable {
        /// Its place in the object, counted in the new size.
        package let index: UInt64
        package let bytes: ByteBuffer
    }

    private let size: Int64
    private let old: Int64
    private let new: Int64
    /// Position in the object of what waits for its neighbours.
    private var start: Int64 = 0
    private var pending = ByteBuffer()

    /// - Parameters:
    ///   - size: of the object, in bytes.
    ///   - old: size of the chunks that are given, above 0.
    ///   - new: size of those that are wanted, above 0.
    package init(size: Int64, from old: Int64, to new: Int64) {
        precondition(old > 0 && new > 0, "chunks have bytes")
        (self.size, self.old, self.new) = (size, old, new)
    }

    /// Takes the chunk of the old size with this index.
    ///
    /// - Returns: the chunks of the new size that are whole with it; `nil` if the object has no chunk of that index and
    ///   that length.
    package mutating func add(_ bytes: ByteBuffer, at index: UInt64) -> [Chunk]? {
        guard let index = Int64(exactly: index), index <= size / old else { return nil }
        let position = index * old
        guard bytes.readableBytes > 0, Int64(bytes.readableBytes) == min(old, size - position) else { return nil }
        if position != start + Int64(pending.readableBytes) {
            pending.clear()
            start = position
        }
        pending.writeImmutableBuffer(bytes)
        skip()
        var whole: [Chunk] = []
        while let chunk = takeChunk() { whole.append(chunk) }
        if pending.readableBytes == 0 { pending.clear() }
        return whole
    }

    /// Lets go of what lies before the first chunk that can be whole.
    private mutating func skip() {
        let beyond = start % new
        guard beyond > 0 else { return }
        let skipped = min(Int(new - beyond), pending.readableBytes)
        pending.moveReaderIndex(forwardBy: skipped)
        start += Int64(skipped)
    }

    private mutating func takeChunk() -> Chunk? {
        let length = min(new, size - start)
        guard start % new == 0, length > 0, let bytes = pending.readSlice(length: Int(length)) else { return nil }
        defer { start += length }
        return Chunk(index: UInt64(start / new), bytes: bytes)
    }
}
