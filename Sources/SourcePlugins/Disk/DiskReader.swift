import NIOCore
import NIOPosix
import Synchronization

/// One read of a file, piece by piece as it is pulled.
final class DiskReader: Sendable {
    private struct State {
        /// What has not been read from the file.
        var rest: Range<Int64>
        /// The piece that was read before the first pull.
        var ready: ByteBuffer?
        /// The storage of the last piece, for the next one.
        var buffer: ByteBuffer
    }

    private let object: DiskObject
    private let state: Mutex<State>

    init(_ object: DiskObject, _ range: Range<Int64>) {
        self.object = object
        self.state = Mutex(State(rest: range, buffer: object.buffers.take()))
    }

    deinit { object.buffers.putBack(state.withLock { $0.buffer }) }

    /// Reads the first piece, so that a file that cannot be read is known before anything is promised of it.
    func prepare() async throws {
        let piece = try await readPiece()
        state.withLock { $0.ready = piece }
    }

    func next() async throws -> ByteBuffer? {
        if let piece = state.withLock({ $0.ready.take() }) { return piece }
        return try await readPiece()
    }

    private func readPiece() async throws -> ByteBuffer? {
        try Task.checkCancellation()
        let next = state.withLock { state -> (range: Range<Int64>, buffer: ByteBuffer)? in
            guard !state.rest.isEmpty else { return nil }
            // Up to a multiple of the piece's length, so that pieces do not lie across the borders of cached chunks.
            let capacity = Int64(PieceBuffers.capacity)
            let end = min(state.rest.lowerBound + capacity - state.rest.lowerBound % capacity, state.rest.upperBound)
            let range = state.rest.lowerBound..<end
            state.rest = end..<state.rest.upperBound
            // Nothing else may hold the storage while it is filled, or it would be copied.
            return (range, exchange(&state.buffer, with: ByteBuffer()))
        }
        guard let (range, buffer) = next else { return nil }
        let piece = try await fill(buffer, with: range)
        state.withLock { $0.buffer = piece }
        return piece
    }

    /// From the page cache at once, on the caller's thread; what has to wait for the disk on a thread of the pool.
    private func fill(_ buffer: consuming ByteBuffer, with range: Range<Int64>) async throws -> ByteBuffer {
        var buffer = buffer
        buffer.clear(minimumCapacity: PieceBuffers.capacity)
        if try object.readCached(range, into: &buffer) { return buffer }
        return try await object.pool.call { [object, buffer] in
            var buffer = buffer
            try object.readRest(of: range, into: &buffer)
            return buffer
        }
    }
}

private func exchange<Value>(_ place: inout Value, with new: consuming Value) -> Value {
    let old = consume place
    place = new
    return old
}
