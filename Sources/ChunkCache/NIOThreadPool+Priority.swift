import Dispatch
import Glibc
package import NIOPosix

extension NIOThreadPool {
    /// Of the scheduler's weights a third of the event loops'.
    private static let niceness: Int32 = 5

    /// Lets others go first where processors are short, the event loops above all: who waits there waits for a moment, and
    /// has others behind him. Blocks until every thread of the pool has it, which must have been started just now.
    ///
    /// - Parameter count: the number of its threads.
    package func goBehindOthers(count: Int) {
        let (isSet, isSetEverywhere) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        for _ in 0..<count {
            submit { state in
                // 0 is this thread.
                if state == .active { _ = setpriority(Int32(PRIO_PROCESS.rawValue), 0, Self.niceness) }
                isSet.signal()
                // Whoever has it takes no other's turn.
                if state == .active { isSetEverywhere.wait() }
            }
        }
        for _ in 0..<count { isSet.wait() }
        for _ in 0..<count { isSetEverywhere.signal() }
    }
}
