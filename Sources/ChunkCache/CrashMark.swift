import CCrashMark
import Glibc

/// A file that says after a crash of the process that there was one while this existed.
final class CrashMark: Sendable {
    private let path: String
    private let file: Int32
    private let mark: Int32

    /// Makes the file, or empties it.
    ///
    /// - Returns: `nil` if that does not work; a crash then goes unnoticed.
    init?(_ path: String) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else { return nil }
        let mark = crash_mark_begin(file)
        guard mark >= 0 else {
            close(file)
            return nil
        }
        self.path = path
        self.file = file
        self.mark = mark
    }

    deinit {
        crash_mark_end(mark)
        close(file)
        unlink(path)
    }

    /// Whether the process that had the mark at `path` crashed.
    static func isSet(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_size > 0
    }
}
