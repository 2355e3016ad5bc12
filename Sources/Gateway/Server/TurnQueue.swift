import DequeModule
package import NIOCore
import NIOPosix

/// Who on one event loop has sent what one may at a time, and waits to go on.
///
/// An event loop runs all that is due before it looks at its sockets again. Where several send as fast as they can, each at
/// a time of its own, something is always due, and whoever comes to one of the other sockets waits for all of them. So
/// there is one task for all, which ends in time.
package final class TurnQueue {
    private struct Turn {
        let begin: () -> Void
        /// Whether what it does comes after it.
        let isDeferred: Bool
    }

    /// How long one turn may follow another before the sockets are looked at: as long as these took, within limits.
    private static let (shortestRun, longestRun) = (TimeAmount.microseconds(500), TimeAmount.milliseconds(5))
    /// Long enough for nothing to be due when a task has ended.
    private static let pause = TimeAmount.microseconds(20)

    /// What the thread of an event loop keeps of it.
    private final class Kept: Sendable {
        let queue: NIOLoopBound<TurnQueue>

        init(_ queue: NIOLoopBound<TurnQueue>) {
            self.queue = queue
        }
    }

    private static let kept = ThreadSpecificVariable<Kept>()

    private let loop: any EventLoop
    private var waiting: Deque<Turn> = []
    private var isScheduled = false
    /// Since when the next run is waited for.
    private var waitingSince = NIODeadline.uptimeNanoseconds(0)
    /// When the sockets were looked at last, as far as is known.
    private var lookedAt = NIODeadline.uptimeNanoseconds(0)

    private init(_ loop: any EventLoop) {
        self.loop = loop
    }

    /// That of `loop`, on which this is called.
    package static func of(_ loop: any EventLoop) -> TurnQueue {
        loop.preconditionInEventLoop()
        if let queue = kept.currentValue?.queue, queue.eventLoop === loop { return queue.value }
        let queue = TurnQueue(loop)
        kept.currentValue = Kept(NIOLoopBound(queue, eventLoop: loop))
        return queue
    }

    /// Has `turn` run on the event loop, after all who wait already.
    ///
    /// - Parameter isDeferred: whether it only wakes a task of the event loop, which does the work: then no other follows
    ///   before the sockets are looked at.
    package func wait(isDeferred: Bool = false, _ turn: @escaping () -> Void) {
        waiting.append(Turn(begin: turn, isDeferred: isDeferred))
        schedule()
    }

    /// Lets `loop` look after its connections if it has not for as long as a short run takes. For tasks of the event loop that
    /// do much without having to wait for anything.
    package static func endTurnInTime(on loop: any EventLoop) async {
        guard loop.inEventLoop, .now() - of(loop).lookedAt >= shortestRun else { return }
        await withCheckedContinuation { continuation in
            of(loop).wait(isDeferred: true) { continuation.resume() }
        }
    }

    private func schedule() {
        guard !isScheduled, !waiting.isEmpty else { return }
        isScheduled = true
        waitingSince = loop.now
        let bound = NIOLoopBound(self, eventLoop: loop)
        // Of what turns have woken, some may run before the first task and make it late. It is followed by nothing that is
        // due.
        loop.scheduleTask(in: Self.pause) {
            let queue = bound.value
            queue.loop.scheduleTask(in: Self.pause) { bound.value.run() }
        }
    }

    private func run() {
        // Where many sockets are ready at once, each has had its turn since: those in here get as long as all of them had.
        let now = loop.now
        lookedAt = now
        let end = now + min(max(Self.shortestRun, now - waitingSince), Self.longestRun)
        while let turn = waiting.popFirst() {
            turn.begin()
            if turn.isDeferred || loop.now >= end { break }
        }
        isScheduled = false
        schedule()
    }
}
