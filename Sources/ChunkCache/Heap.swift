import CLinux

/// The heap of this process, where it may use little memory; elsewhere this does nothing.
package enum Heap {
    /// Has threads that begin later share a heap: of one for each, every one keeps what it needed at most. To be called
    /// early.
    package static func share() {
        if MemoryLimit.isLittle { clinux_use_one_heap() }
    }

    /// Gives what is free back to the kernel. While that takes, some milliseconds, those that allocate wait: to be called
    /// every few seconds.
    package static func trim() {
        if MemoryLimit.isLittle { clinux_trim_heaps() }
    }
}
