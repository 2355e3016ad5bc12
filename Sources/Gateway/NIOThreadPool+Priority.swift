import Dispatch
import Glibc
import NIOPosix

extension NIOThreadPool {
    /// What is added to the process's own nice value, as far as there are higher ones. To the scheduler a thread weighs a
    /// seventieth of an event loop's with it; with a tenth (10) eight of them together may have nearly half of a processor.
    private static let niceness: Int32 = 19

    /// Has its threads go behind others where processors are short, event loops above all. Blocks until every one of them
    /// does.
    ///
    /// - Precondition: the pool has `count` threads, and has just been started: nothing runs on it.
    func goBehindOthers(count: Int) {
        let niceness = min(getpriority(Int32(PRIO_PROCESS.rawValue), 0) + Self.niceness, 19)
        let (isSet, areAllSet) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
        for _ in 0..<count {
            submit { _ in
                // 0 is this thread. What refuses, leaves it as it is.
                _ = setpriority(Int32(PRIO_PROCESS.rawValue), 0, niceness)
                isSet.signal()
                // So that no thread has two turns.
                areAllSet.wait()
            }
        }
        for _ in 0..<count { isSet.wait() }
        for _ in 0..<count { areAllSet.signal() }
    }
}
