import Glibc

/// What `fstat(2)` says of a file.
struct FileState: Sendable, Hashable {
    let size: Int64
    /// When the content was last written.
    let modified: Timestamp
    let device: UInt64
    let inode: UInt64
    let links: UInt64
    let mode: UInt32
    let owner: UInt32

    init(of descriptor: Int32) throws(SystemCallFailure) {
        var status = stat()
        _ = try retryingInterrupts("fstat") { fstat(descriptor, &status) }
        self.init(status)
    }

    init(_ status: stat) {
        size = Int64(status.st_size)
        modified = Timestamp(status.st_mtim)
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        links = UInt64(status.st_nlink)
        mode = UInt32(status.st_mode)
        owner = UInt32(status.st_uid)
    }

    var isRegularFile: Bool { mode & S_IFMT == S_IFREG }
    var isDirectory: Bool { mode & S_IFMT == S_IFDIR }
    var isSymbolicLink: Bool { mode & S_IFMT == S_IFLNK }

    /// Whether the process is the owner of the file, or root, who may do what owners may.
    var isOwnedByThisProcess: Bool { geteuid() == owner || geteuid() == 0 }

    /// Whether `self` is of the same file as `earlier`, and no byte was written in between.
    ///
    /// The change time is left aside: it moves when a file is renamed, linked or given other permissions, while it plays.
    /// So a program that writes into a file and then sets its modification time back to the nanosecond is not noticed.
    func hasContent(of earlier: FileState) -> Bool {
        isSameFile(as: earlier) && size == earlier.size && modified == earlier.modified
    }

    func isSameFile(as other: FileState) -> Bool {
        device == other.device && inode == other.inode
    }

    /// Whether the last write is so long ago, seen from `now`, that the next one will be stamped differently.
    ///
    /// File systems stamp in steps of up to 2 s, so that two writes right after one another can look like one. A time
    /// in the future is as good as one in the past: a write would change it.
    func isSettled(at now: Timestamp) -> Bool {
        let (age, overflow) = now.nanoseconds.subtractingReportingOverflow(modified.nanoseconds)
        return overflow || age.magnitude >= Self.settlingNanoseconds
    }

    private static let settlingNanoseconds: UInt64 = 2_000_000_000

    /// The strong validator of a settled file: modification time and size, which a copy that keeps times has as well.
    var revision: Revision? {
        Revision("\(String(modified.nanoseconds, radix: 16))-\(String(size, radix: 16))")
    }
}

extension Timestamp {
    init(_ time: timespec) {
        self.init(seconds: Int64(time.tv_sec), nanoseconds: Int64(time.tv_nsec))
    }

    /// The time of the clock on the wall.
    package static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(time)
    }
}
