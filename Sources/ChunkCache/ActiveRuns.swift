import Synchronization

/// The runs that may go on, by the numbers of their objects: a reader that comes to the chunk a run would fetch next goes
/// on with it, as the source may have sent some of that chunk to it already.
final class ActiveRuns: Sendable {
    private let runs = Mutex<[UInt64: [FillRun]]>([:])

    func add(_ run: FillRun, of object: UInt64) {
        runs.withLock { $0[object, default: []].append(run) }
    }

    func remove(_ run: FillRun, of object: UInt64) {
        runs.withLock { runs in
            runs[object]?.removeAll { $0 === run }
            if runs[object]?.isEmpty == true { runs[object] = nil }
        }
    }

    /// Joins a run of which the chunk is the next one.
    ///
    /// - Returns: `nil` if there is none.
    func join(at id: ChunkID) -> (run: FillRun, fill: Fill)? {
        for run in runs.withLock({ $0[id.object] ?? [] }) {
            run.join()
            if let fill = run.claimNext(id.index) { return (run, fill) }
            run.leave()
        }
        return nil
    }
}
