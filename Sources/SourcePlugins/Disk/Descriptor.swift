import Glibc

/// A file descriptor with one owner, which closes it by going out of scope.
struct Descriptor: ~Copyable, Sendable {
    let rawValue: Int32

    init(_ rawValue: Int32) {
        self.rawValue = rawValue
    }

    deinit { close(rawValue) }

    /// Gives the descriptor away: the caller closes it.
    consuming func release() -> Int32 {
        let value = rawValue
        discard self
        return value
    }
}

/// A system call that failed, for the log.
struct SystemCallFailure: Error, Sendable, CustomStringConvertible {
    let call: String
    let number: Int32

    /// The failure of the call that this thread has just made.
    static func last(_ call: String) -> SystemCallFailure {
        SystemCallFailure(call: call, number: errno)
    }

    var description: String { "\(call) failed with error \(number)" }
}

extension SourceError {
    /// What a failure on the way to a file, or in reading it, means for the request. Names no path: what lies above
    /// the root is nobody's business.
    init(_ failure: SystemCallFailure) {
        switch failure.number {
        // A link that is forbidden or leads outside, a socket, a name no file system takes: to the outside they all
        // look like a file that is not there.
        case ENOENT, ENOTDIR, EISDIR, ELOOP, EXDEV, ENAMETOOLONG, EINVAL, ENXIO, ENODEV:
            self.init(.notFound, "there is no such file", cause: failure)
        case EACCES, EPERM:
            self.init(.forbidden, "the file may not be read; check its permissions", cause: failure)
        case EMFILE, ENFILE:
            self.init(.unavailable, "too many files are open; raise the limit of open files", cause: failure)
        default:
            self.init(.unavailable, "the file system failed", cause: failure)
        }
    }
}

/// Repeats `call` as long as a signal interrupts it.
///
/// - Returns: what the call returned, which is not negative.
func retryingInterrupts<Value: SignedInteger>(_ name: String, _ call: () -> Value) throws(SystemCallFailure) -> Value {
    while true {
        let value = call()
        if value >= 0 { return value }
        if errno != EINTR { throw SystemCallFailure.last(name) }
    }
}
