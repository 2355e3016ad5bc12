import Foundation
import Glibc
import Synchronization

/// The cache's place on the disk: who has it, how the last process left it, and what was set aside.
///
/// | file | what |
/// |---|---|
/// | `data.mdb`, `lock.mdb` | the database |
/// | `data.mdb.bad` | the last one that could not be used |
/// | `rebuild` | a database that is being made to take the place of this one |
/// | `lock` | locked by the process that has the cache |
/// | `state` | the start of the machine it was opened in, and whether it waits for the disk; gone if closed in order |
/// | `state.new` | the next one, until it is on the disk |
/// | `crashed` | there while the database is new to the process; not empty if that crashed meanwhile |
final class CacheDirectory: Sendable {
    let path: String
    private let lock: Mutex<Int32?>
    private let crashMark = Mutex<CrashMark?>(nil)

    /// - Throws: ``CacheInUse``, or ``CacheDirectoryError`` if the directory cannot be used.
    init(_ path: String) throws {
        self.path = path
        let isNew = access(path, F_OK) != 0
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            if isNew { chmod(path, 0o700) }
        } catch {
            throw CacheDirectoryError(reason: "cannot make \(path): \(error.localizedDescription)")
        }
        let lock = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw CacheDirectoryError.last("cannot open \(path)/lock") }
        guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
            let number = errno
            close(lock)
            if number == EWOULDBLOCK { throw CacheInUse(directory: path) }
            throw CacheDirectoryError(reason: "cannot lock \(path)/lock: \(String(cString: strerror(number)))")
        }
        self.lock = Mutex(lock)
        // Whoever was making one has ended.
        removeRebuild()
    }

    deinit { leave() }

    /// From now on another process can have it.
    func leave() {
        endWatchForCrashes()
        guard let lock = lock.withLock({ $0.take() }) else { return }
        // A child that was forked and is not yet another program has the descriptor too, and would keep the lock.
        flock(lock, LOCK_UN)
        close(lock)
    }

    // MARK: - How the last process left it

    private var stateFile: String { path + "/state" }

    /// Whether the database is, or was left, open.
    var isMarkedOpen: Bool { access(stateFile, F_OK) == 0 }

    /// Whether the machine stopped while the database was open, and that did not wait for the disk: what was not there yet is
    /// lost, in no order.
    var wasCutOff: Bool {
        guard let state = leftState else { return false }
        return state.first.map(String.init) != Self.bootID && !wasStrict
    }

    /// Whether everything that was written to the database that was left open waited for the disk.
    var wasStrict: Bool { leftState?.dropFirst().contains(Self.strictMark) ?? false }

    private var leftState: [Substring]? {
        guard let state = FileManager.default.contents(atPath: stateFile) else { return nil }
        return String(decoding: state, as: UTF8.self).split(separator: "\n")
    }

    private static let strictMark: Substring = "strict"

    /// Notes that the database is open from now on. On the disk when this returns: the first change of the database may
    /// get there at any time. What was noted before is there until then, whenever the process ends.
    func markOpen(_ durability: LMDBSettings.Durability) throws {
        let new = stateFile + ".new"
        let file = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw CacheDirectoryError.last("cannot open \(new)") }
        defer { close(file) }
        let text = Array((durability == .strict ? "\(Self.bootID)\n\(Self.strictMark)\n" : "\(Self.bootID)\n").utf8)
        guard write(file, text, text.count) == text.count, fsync(file) == 0, rename(new, stateFile) == 0 else {
            throw CacheDirectoryError.last("cannot write \(stateFile)")
        }
        syncEntries()
    }

    /// Waits until what was made and renamed here is on the disk.
    private func syncEntries() {
        let directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard directory >= 0 else { return }
        // Not every file system can; those that cannot order it by themselves.
        fsync(directory)
        close(directory)
    }

    /// Notes that everything is on the disk.
    func markClosed() {
        unlink(stateFile)
    }

    /// Whether the process crashed soon after it had opened the database.
    var hasCrashed: Bool { CrashMark.isSet(path + "/crashed") }

    /// From now on a crash of the process is told to the next one.
    func watchForCrashes() {
        crashMark.withLock { mark in
            // The old one, whose file this is too, goes first.
            mark = nil
            mark = CrashMark(path + "/crashed")
        }
    }

    func endWatchForCrashes() {
        crashMark.withLock { $0 = nil }
    }

    // MARK: - Files

    /// Puts the database away, so that a new one can begin. An open one can be read on.
    ///
    /// - Parameter keep: whether it is kept as `data.mdb.bad`.
    func setAside(keep: Bool) {
        let (data, bad) = (path + "/data.mdb", path + "/data.mdb.bad")
        if keep, rename(data, bad) != 0, errno != ENOENT {
            // One of the two is a directory.
            try? FileManager.default.removeItem(atPath: bad)
            rename(data, bad)
        }
        try? FileManager.default.removeItem(atPath: data)
        unlink(path + "/lock.mdb")
    }

    /// Where a database is made that is to take the place of this one.
    var rebuild: String { path + "/rebuild" }

    func makeRebuild() throws {
        guard mkdir(rebuild, 0o700) == 0 else { throw CacheDirectoryError.last("cannot make \(rebuild)") }
    }

    func removeRebuild() { try? FileManager.default.removeItem(atPath: rebuild) }

    /// Puts the database that was made in ``rebuild`` in the place of this one. Neither is open, and the new one is on the
    /// disk. There is one of the two, whole, at every moment.
    func takeRebuild() throws {
        guard rename(rebuild + "/data.mdb", path + "/data.mdb") == 0 else {
            throw CacheDirectoryError.last("cannot rename \(rebuild)/data.mdb")
        }
        unlink(path + "/lock.mdb")
        syncEntries()
        markClosed()
    }

    /// What unprivileged processes may use of the file system, in bytes; `nil` if it does not tell.
    var freeBytes: Int64? {
        var status = statvfs()
        guard statvfs(path, &status) == 0, status.f_blocks > 0 else { return nil }
        let size = Int64(clamping: status.f_frsize)
        let (bytes, overflow) = Int64(clamping: status.f_bavail).multipliedReportingOverflow(by: size)
        return overflow ? .max : bytes
    }

    /// Length of the database's file, in bytes.
    var fileBytes: Int64 {
        var status = stat()
        return stat(path + "/data.mdb", &status) == 0 ? Int64(status.st_size) : 0
    }

    private static let bootID: String = {
        let text = FileManager.default.contents(atPath: "/proc/sys/kernel/random/boot_id")
        let line = text.flatMap { String(decoding: $0, as: UTF8.self).split(separator: "\n").first }
        return line.map(String.init) ?? "unknown"
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
