import Foundation
import LoadBench

/// A file for a report, open before the load begins: no load is run whose figures cannot be kept.
struct ReportFile {
    private let path: String
    private let handle: FileHandle

    /// What the file holds stays until there is a report.
    ///
    /// - Throws: ``LoadRefusal`` if it cannot be written.
    init(path: String) throws(LoadRefusal) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
        guard descriptor >= 0 else {
            throw LoadRefusal("cannot write \(path): \(String(cString: strerror(errno)))", .failed)
        }
        self.path = path
        handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    /// Writes to standard output.
    ///
    /// - Throws: ``LoadRefusal`` if it cannot be written whole.
    static func print(_ text: String) throws(LoadRefusal) {
        do {
            try FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
        } catch {
            throw LoadRefusal("cannot write the figures to standard output", .failed)
        }
    }

    /// Writes the report, in place of what was there.
    ///
    /// - Throws: ``LoadRefusal`` if it cannot be written whole.
    func write(_ report: [UInt8]) throws(LoadRefusal) {
        // What has no length, such as a pipe, cannot be cut.
        try? handle.truncate(atOffset: 0)
        do {
            try handle.write(contentsOf: Data(report))
        } catch {
            throw LoadRefusal("cannot write \(path)", .failed)
        }
    }
}
