import DequeModule
package import NIOCore
import NIOPosix

/// Who on one event loop has sent what one may at a time, and waits to go on.
///
/// An event loop runs all that is due before it looks at its sockets again. Where several send as fast as they can, each at
/// a time of its own, something is always due, and whoever comes to one of the other sockets waits for all of them. So
/// there is one task for all, which ends in time.
package final class TurnQueue {
    /// How long one turn may follow another before the sockets are looked at.
    private static let longestRun = TimeAmount.microseconds(500)
    /// Long enough for nothing to be due when the task has ended.
    private static let pause = TimeAmount.microseconds(20)

    /// Each thread has its own, and comes to no other.
    private nonisolated(unsafe) static let current = ThreadSpecificVariable<TurnQueue>()

    private let loop: any EventLoop
    private var waiting: Deque<() -> Void> = []
    private var isScheduled = false

    private init(_ loop: any EventLoop) {
        self.loop = loop
    }

    /// That of `loop`, on which this is called.
    package static func of(_ loop: any EventLoop) -> TurnQueue {
        loop.preconditionInEventLoop()
        if let queue = current.currentValue, queue.loop === loop { return queue }
        let queue = TurnQueue(loop)
        current.currentValue = queue
        return queue
    }

    /// Has `turn` run on the event loop, after all who wait already.
    package func wait(_ turn: @escaping () -> Void) {
        waiting.append(turn)
        schedule()
    }

    private func schedule() {
        guard !isScheduled, !waiting.isEmpty else { return }
        isScheduled = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: Self.pause) { bound.value.run() }
    }

    private func run() {
        isScheduled = false
        let end = loop.now + Self.longestRun
        repeat {
            guard let turn = waiting.popFirst() else { return }
            turn()
        } while loop.now < end
        schedule()
    }
}
