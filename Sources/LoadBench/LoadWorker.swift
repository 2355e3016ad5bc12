import NIOCore

/// One connection or one player, on its event loop. Times are since the run began.
protocol LoadWorker: AnyObject {
    func start(at now: Duration)
    /// Comes every ``LoopCrew/tick``.
    func tick(at now: Duration)
    /// Asks no more. What was asked for and does not come is an error all the same.
    func stop(at now: Duration)
    /// Leaves what is still under way.
    func cut()
    /// Nothing is under way after ``stop(at:)``.
    var isDone: Bool { get }
}

/// What all workers of an event loop share.
struct WorkerContext {
    let plan: LoadPlan
    let server: LoadServer
    let eventLoop: any EventLoop
    let clock: RunClock
    let recorder: LoadRecorder
    let pace: SharedPace?
    /// Of the object that ranges are asked of.
    let size: Int64?

    var now: Duration { clock.now }
}

/// The time since a run began.
struct RunClock: Sendable {
    private let began = ContinuousClock.now

    var now: Duration { ContinuousClock.now - began }
}
