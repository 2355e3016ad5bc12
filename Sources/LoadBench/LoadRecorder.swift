import Synchronization

/// Where the workers of all event loops count.
final class LoadRecorder: Sendable {
    private let measurements = Mutex(Measurements())

    func record(_ change: (inout Measurements) -> Void) {
        measurements.withLock { change(&$0) }
    }

    var result: Measurements { measurements.withLock { $0 } }
}
