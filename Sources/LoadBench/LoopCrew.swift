import NIOCore
import Synchronization

/// The workers of one event loop: as many as the stages want of it.
final class LoopCrew {
    /// How often workers are looked after.
    static let tick = Duration.milliseconds(25)

    private let context: WorkerContext
    private let part: (index: Int, count: Int)
    private let isCancelled: Flag
    private let popularity: ZipfDistribution
    private let promise: EventLoopPromise<Void>
    /// The last one goes first.
    private var workers: [any LoadWorker] = []
    private var leaving: [any LoadWorker] = []
    private var lastLevel = 0
    private var made: UInt64 = 0
    private var isEnding = false

    /// - Parameter part: which event loop this is, of how many.
    init(_ context: WorkerContext, part: (index: Int, count: Int), isCancelled: Flag) {
        self.context = context
        self.part = part
        self.isCancelled = isCancelled
        promise = context.eventLoop.makePromise()
        var exponent = 0.0
        if case .players(_, let zipf) = context.plan.work { exponent = zipf }
        popularity = ZipfDistribution(count: context.plan.items.count, exponent: exponent)
    }

    /// - Returns: done when the stages are over and nothing is under way.
    func run() -> EventLoopFuture<Void> {
        let crew = NIOLoopBound(self, eventLoop: context.eventLoop)
        let task = context.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: TimeAmount(Self.tick)) { _ in
            crew.value.lookAfter()
        }
        promise.futureResult.whenComplete { _ in task.cancel() }
        return promise.futureResult
    }

    private func lookAfter() {
        let now = context.now
        for worker in workers { worker.tick(at: now) }
        for worker in leaving { worker.tick(at: now) }
        leaving.removeAll(where: \.isDone)
        if isEnding { return finish() }
        guard now < context.plan.stages.duration, !isCancelled.isSet else {
            isEnding = true
            context.recorder.record { $0.end(after: now) }
            adjust(to: 0, now)
            return finish()
        }
        let level = context.plan.stages.level(at: now)
        if lastLevel == 0, level > 0 { context.pace?.resume(at: now) }
        adjust(to: level / part.count + (part.index < level % part.count ? 1 : 0), now)
        if lastLevel > 0, level == 0 { context.pace?.pause(at: now) }
        lastLevel = level
    }

    private func adjust(to count: Int, _ now: Duration) {
        while workers.count < count {
            let worker = makeWorker()
            workers.append(worker)
            worker.start(at: now)
        }
        while workers.count > count {
            let worker = workers.removeLast()
            worker.stop(at: now)
            if !worker.isDone { leaving.append(worker) }
        }
    }

    /// Each worker that leaves is done within the plan's drain and patience.
    private func finish() {
        guard !leaving.isEmpty else { return promise.succeed() }
        guard isCancelled.isSet else { return }
        for worker in leaving { worker.cut() }
        leaving = []
        promise.succeed()
    }

    private func makeWorker() -> any LoadWorker {
        made += 1
        let random = SeededRandom(seed: context.plan.seed, stream: UInt64(part.index) << 32 | made)
        switch context.plan.work {
        case .ping, .range: return ClosedLoopWorker(context, random: random)
        case .players(let habits, _): return PlayerWorker(context, habits, popularity, random: random)
        }
    }
}

/// Set once, by anybody.
final class Flag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .relaxed) }
    func set() { value.store(true, ordering: .relaxed) }
}
