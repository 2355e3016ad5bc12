import Synchronization

/// Long work that an operator started, and how far it is.
final class CacheJobs: Sendable {
    private struct Job {
        let started: ContinuousClock.Instant
        var report: JobReport
        var task: Task<Void, Never>?

        /// As it is now.
        var current: JobReport {
            guard report.state == .running else { return report }
            var report = report
            report.seconds = (ContinuousClock.now - started) / .seconds(1)
            return report
        }
    }

    private struct State {
        var jobs: [Int: Job] = [:]
        var lastID = 0
        var isStopped = false
    }

    /// Ended jobs that are remembered.
    private static let memory = 32

    private let state = Mutex(State())

    /// Starts to verify the cache, unless that is being done already.
    ///
    /// - Returns: the job that does it; `nil` after ``stop()``.
    func verify(_ cache: CacheAdministration) -> JobReport? {
        state.withLock { state -> JobReport? in
            guard !state.isStopped else { return nil }
            if let running = state.jobs.values.first(where: { $0.report.state == .running }) { return running.current }
            state.lastID += 1
            let id = state.lastID
            let report = JobReport(id: id, kind: "verify", state: .running, progress: VerifyReport(), seconds: 0)
            var job = Job(started: .now, report: report)
            // Cancelled by `cancel` and `stop`.
            job.task = Task {
                do {
                    let result = try await cache.verify { self.update(id, $0) }
                    self.update(id, result)
                    self.end(id, .done)
                } catch is CancellationError {
                    self.end(id, .cancelled)
                } catch {
                    self.end(id, .failed, error: "\(error)")
                }
            }
            state.jobs[id] = job
            if let oldest = state.jobs.keys.min(), state.jobs.count > Self.memory { state.jobs[oldest] = nil }
            return report
        }
    }

    func report(_ id: Int) -> JobReport? {
        state.withLock { $0.jobs[id]?.current }
    }

    /// Asks a job to end; it does so soon.
    func cancel(_ id: Int) -> JobReport? {
        let job = state.withLock { $0.jobs[id] }
        job?.task?.cancel()
        return job?.current
    }

    /// Ends what is running, waits for it, and starts nothing any more.
    func stop() async {
        let tasks = state.withLock { state in
            state.isStopped = true
            return state.jobs.values.compactMap(\.task)
        }
        for task in tasks { task.cancel() }
        for task in tasks { await task.value }
    }

    private func update(_ id: Int, _ progress: VerifyReport) {
        state.withLock { $0.jobs[id]?.report.progress = progress }
    }

    private func end(_ id: Int, _ ending: JobReport.State, error: String? = nil) {
        state.withLock { state in
            guard var job = state.jobs[id] else { return }
            job.report = job.current
            (job.report.state, job.report.error, job.task) = (ending, error, nil)
            state.jobs[id] = job
        }
    }
}
