import NIOCore

/// One timer for all the waits of a connection.
///
/// A deadline that moves back costs nothing: the timer fires at the old time, finds nothing due and is set anew. So a
/// busy connection does not touch the event loop's queue of timers with each request.
struct DeadlineTimer {
    private var scheduled: Scheduled<Void>?
    private var firesAt: NIODeadline?

    /// Whether ``set(_:on:fire:)`` has something to do for `deadline`.
    func needsSetting(_ deadline: NIODeadline) -> Bool { firesAt.map { deadline < $0 } ?? true }

    /// Sees to it that `fire` is called at `deadline` or before.
    mutating func set(_ deadline: NIODeadline, on loop: any EventLoop, fire: @escaping @Sendable () -> Void) {
        guard needsSetting(deadline) else { return }
        scheduled?.cancel()
        firesAt = deadline
        scheduled = loop.scheduleTask(deadline: deadline, fire)
    }

    /// To be called first when the timer fires.
    mutating func fired() {
        scheduled = nil
        firesAt = nil
    }

    mutating func cancel() {
        scheduled?.cancel()
        fired()
    }
}
