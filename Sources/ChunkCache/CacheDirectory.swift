import Foundation
import Glibc
import Logging

/// The cache's place on the disk: who has it, how the last process left it, and what was set aside.
///
/// | file | what |
/// |---|---|
/// | `data.mdb`, `lock.mdb` | the database |
/// | `data.mdb.bad` | the last one that could not be used |
/// | `lock` | locked by the process that has the cache |
/// | `state` | which start of the machine the database was opened in; gone if it was closed in order |
final class CacheDirectory: Sendable {
    let path: String
    private let lock: Int32

    /// - Throws: ``CacheInUse``, or ``CacheDirectoryError`` if the directory cannot be used.
    init(_ path: String) throws {
        self.path = path
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw CacheDirectoryError(reason: "cannot make \(path): \(error.localizedDescription)")
        }
        lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw CacheDirectoryError.last("open \(path)/lock") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            close(lock)
            if number == EWOULDBLOCK { throw CacheInUse(directory: path) }
            throw CacheDirectoryError(reason: "cannot lock \(path)/lock: \(String(cString: strerror(number)))")
        }
    }

    deinit { close(lock) }

    private var stateFile: String { path + "/state" }

    /// Whether the machine stopped while the database was open: what was not yet on the disk is lost, in no order.
    var wasCutOff: Bool {
        guard let left = FileManager.default.contents(atPath: stateFile) else { return false }
        return String(decoding: left, as: UTF8.self) != Self.bootID
    }

    /// Notes that the database is open from now on.
    func markOpen() {
        _ = FileManager.default.createFile(atPath: stateFile, contents: Data(Self.bootID.utf8))
    }

    /// Notes that everything is on the disk.
    func markClosed() {
        unlink(stateFile)
    }

    /// Puts the database away, so that a new one can begin. An open one can be read on.
    ///
    /// - Parameter keep: whether it is kept as `data.mdb.bad`.
    func setAside(keep: Bool) {
        if keep, rename(path + "/data.mdb", path + "/data.mdb.bad") != 0, errno == EISDIR || errno == ENOTEMPTY {
            try? FileManager.default.removeItem(atPath: path + "/data.mdb.bad")
            rename(path + "/data.mdb", path + "/data.mdb.bad")
        }
        try? FileManager.default.removeItem(atPath: path + "/data.mdb")
        unlink(path + "/lock.mdb")
    }

    /// What unprivileged processes may use of the file system, in bytes; `nil` if it does not tell.
    var freeBytes: Int64? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        let (bytes, overflow) = Int64(clamping: status.f_bavail).multipliedReportingOverflow(by: Int64(status.f_frsize))
        return overflow ? .max : bytes
    }

    private static let bootID: String = {
        let text = FileManager.default.contents(atPath: "/proc/sys/kernel/random/boot_id")
        return text.map { String(decoding: $0, as: UTF8.self) } ?? "unknown"
    }()
}

/// Why the cache's directory cannot be used.
struct CacheDirectoryError: Error, CustomStringConvertible {
    let reason: String

    static func last(_ call: String) -> CacheDirectoryError {
        CacheDirectoryError(reason: "\(call): \(String(cString: strerror(errno)))")
    }

    var description: String { reason }
}
