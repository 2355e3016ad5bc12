import NIOCore
import NIOPosix

/// One load on one server.
package struct LoadRun: Sendable {
    /// What is told each second.
    package struct Progress: Sendable {
        package let elapsed: Duration
        package let second: Measurements.Second
        package let errors: Int
        /// Since the beginning; `nil` unless there are players.
        package let stalls: Int?

        package init(elapsed: Duration, second: Measurements.Second, errors: Int, stalls: Int?) {
            self.elapsed = elapsed
            self.second = second
            self.errors = errors
            self.stalls = stalls
        }
    }

    private let plan: LoadPlan
    private let server: LoadServer

    package init(_ plan: LoadPlan, against server: LoadServer) {
        self.plan = plan
        self.server = server
    }

    /// Runs the stages to their end, or until the task is cancelled: then at once, and what was measured is the result all
    /// the same. What goes wrong with requests is in the result.
    ///
    /// - Throws: `CancellationError` if the load had not begun, and what the event loops throw when they cannot be stopped.
    package func run(_ progress: @escaping @Sendable (Progress) -> Void = { _ in }) async throws -> Measurements {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: max(plan.threads, 1))
        let result: Result<Measurements, any Error>
        do {
            result = .success(try await run(on: group, progress))
        } catch {
            result = .failure(error)
        }
        try await group.shutdownGracefully()
        return try result.get()
    }

    private func run(
        on group: MultiThreadedEventLoopGroup,
        _ progress: @escaping @Sendable (Progress) -> Void
    ) async throws -> Measurements {
        let recorder = LoadRecorder()
        let size: Int64?
        do {
            size = try await knownSize(on: group.any())
        } catch let failure as LoadFailure {
            recorder.record { $0.failed(failure) }
            return recorder.result
        }
        let pace = plan.rate.map { SharedPace(RequestPace(perSecond: $0)) }
        let (clock, isCancelled) = (RunClock(), Flag())
        let loops = Array(group.makeIterator())
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await self.tellSeconds(clock, recorder, progress) }
            let crews = loops.enumerated().map { index, loop in
                loop.flatSubmit {
                    let context = WorkerContext(
                        plan: plan,
                        server: server,
                        eventLoop: loop,
                        clock: clock,
                        recorder: recorder,
                        pace: pace,
                        size: size
                    )
                    return LoopCrew(context, part: (index, loops.count), isCancelled: isCancelled).run()
                }
            }
            try await withTaskCancellationHandler {
                for crew in crews { try await crew.get() }
            } onCancel: {
                isCancelled.set()
            }
            tasks.cancelAll()
        }
        recorder.record { $0.missed = pace?.missed(at: min($0.elapsed, plan.stages.duration)) ?? 0 }
        return recorder.result
    }

    /// Ends with cancellation.
    private func tellSeconds(
        _ clock: RunClock,
        _ recorder: LoadRecorder,
        _ progress: @Sendable (Progress) -> Void
    ) async throws {
        var seconds: Int64 = 0
        while !Task.isCancelled {
            seconds += 1
            // Cancelled when the load is over: what is less than a second has no figures a second.
            guard (try? await Task.sleep(for: .seconds(seconds) - clock.now)) != nil else { return }
            let level = plan.stages.level(at: clock.now)
            recorder.record { $0.endSecond(level: level) }
            let result = recorder.result
            guard let second = result.seconds.last else { continue }
            progress(
                Progress(
                    elapsed: .seconds(seconds),
                    second: second,
                    errors: result.errors,
                    stalls: plan.isPlayers ? Int(result.stalls.count) : nil
                )
            )
        }
    }

    /// Of the object whose ranges are asked for.
    private func knownSize(on eventLoop: any EventLoop) async throws -> Int64? {
        guard case .range = plan.work else { return nil }
        return try await LoadFetch.get(
            plan.items[0].path,
            .range(first: 0, last: 0),
            from: server,
            on: eventLoop,
            limit: 1,
            patience: plan.patience
        )
        .body.size
    }
}
