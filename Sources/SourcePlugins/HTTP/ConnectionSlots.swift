import NIOCore
import NIOPosix
import Synchronization

/// Bounds how many exchanges there are at one host and port. Those that have to wait do so here, in their order:
/// whoever has a slot does not wait for a connection of somebody else.
final class ConnectionSlots: Sendable {
    struct Place: Hashable, Sendable {
        let host: HostName
        let port: UInt16
    }

    private struct Waiter {
        let id: UInt64
        let continuation: CheckedContinuation<Void, any Error>
    }

    private struct Line {
        var used = 0
        var waiting: [Waiter] = []
    }

    private struct State {
        var lines: [Place: Line] = [:]
        var nextID: UInt64 = 0
        var isClosed = false
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) {
        self.limit = max(limit, 1)
    }

    /// Waits for a slot.
    ///
    /// - Throws: ``OriginFailure``: `noConnection` if there is none in time, `shuttingDown` after ``close()``.
    ///   `CancellationError` when the caller has left.
    func slot(at place: Place, within limit: Duration) async throws -> ConnectionSlot {
        let id = try state.withLock { state -> UInt64? in
            guard !state.isClosed else { throw OriginFailure(.shuttingDown) }
            guard state.lines[place, default: Line()].used >= self.limit else {
                state.lines[place, default: Line()].used += 1
                return nil
            }
            state.nextID += 1
            return state.nextID
        }
        if let id { try await wait(id, at: place, within: limit) }
        return ConnectionSlot(self, place)
    }

    private func wait(_ id: UInt64, at place: Place, within limit: Duration) async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let timer = loop.scheduleTask(in: .nanoseconds(limit.wholeNanoseconds)) { [weak self] in
            self?.giveUp(id, at: place, OriginFailure(.noConnection))
        }
        defer { timer.cancel() }
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state -> Result<Void, any Error>? in
                    if state.isClosed { return .failure(OriginFailure(.shuttingDown)) }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    // One may have become free meanwhile.
                    if state.lines[place, default: Line()].used < self.limit {
                        state.lines[place, default: Line()].used += 1
                        return .success(())
                    }
                    state.lines[place]?.waiting.append(Waiter(id: id, continuation: continuation))
                    return nil
                }
                if let result { continuation.resume(with: result) }
            }
        } onCancel: {
            giveUp(id, at: place, CancellationError())
        }
    }

    private func giveUp(_ id: UInt64, at place: Place, _ error: any Error) {
        let waiter = state.withLock { state -> Waiter? in
            guard let index = state.lines[place]?.waiting.firstIndex(where: { $0.id == id }) else { return nil }
            return state.lines[place]?.waiting.remove(at: index)
        }
        waiter?.continuation.resume(throwing: error)
    }

    fileprivate func release(_ place: Place) {
        let next = state.withLock { state -> Waiter? in
            guard var line = state.lines[place] else { return nil }
            let next = line.waiting.isEmpty ? nil : line.waiting.removeFirst()
            if next == nil { line.used -= 1 }
            state.lines[place] = line.used > 0 ? line : nil
            return next
        }
        next?.continuation.resume()
    }

    /// Lets go of those who wait, and refuses who comes.
    func close() {
        let waiting = state.withLock { state in
            state.isClosed = true
            let waiting = state.lines.values.flatMap(\.waiting)
            for place in state.lines.keys { state.lines[place]?.waiting = [] }
            return waiting
        }
        for waiter in waiting { waiter.continuation.resume(throwing: OriginFailure(.shuttingDown)) }
    }
}

/// Leave to have a connection. Ends with its last reference.
final class ConnectionSlot: Sendable {
    private let slots: ConnectionSlots
    private let place: ConnectionSlots.Place

    fileprivate init(_ slots: ConnectionSlots, _ place: ConnectionSlots.Place) {
        self.slots = slots
        self.place = place
    }

    deinit { slots.release(place) }
}
