import Glibc

/// Looks at `data.mdb` before LMDB maps it.
///
/// LMDB believes what the file says of itself. A file that was cut short opens without complaint, and the first access
/// behind its end is a bus error, which ends the process; so the length is checked here. The rest tells a file that is
/// not ours, or not of this format, from one that can be used.
///
/// What is read are the two meta pages, of which commits write one in turn. In LMDB 0.9 on a 64-bit machine each is a
/// page header of 16 bytes and then magic (32 bits), version (32), address (64), map size (64), two table records of 48
/// bytes (the list of free pages, whose first field holds the page size, and the table of tables), number of the last
/// page (64), and number of the transaction (64).
package enum DataFileCheck: Sendable, Hashable {
    /// There is none, or it is empty: LMDB begins one.
    case new
    case usable
    /// To be set aside; the reason is for the log.
    case damaged(reason: String)

    static let metaPages = 2
    /// Pages that may be missing at the end. LMDB counts pages as used that it took and gave back in one transaction
    /// without ever writing them.
    package static let unwrittenPages = 16
    private static let maxPageSize = 32 << 10

    /// Of a file that LMDB makes on this machine.
    package static let pageSize = min(max(sysconf(Int32(_SC_PAGESIZE)), 1), maxPageSize)

    /// Checks the file in `directory`, and makes it longer if some pages at its end were never written.
    ///
    /// - Throws: ``LMDBError`` of kind `system` if the file can be neither read nor said to be missing.
    package static func run(directory: String) throws(LMDBError) -> DataFileCheck {
        let path = directory + "/data.mdb"
        // Without O_NONBLOCK a pipe of that name would keep us waiting for somebody to open its other end.
        let descriptor = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            switch errno {
            case ENOENT: return .new
            case EISDIR, ENXIO: return .damaged(reason: "not a regular file")
            case let number: throw LMDBError(number, call: "open of \(path)")
            }
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw LMDBError(errno, call: "fstat of \(path)") }
        guard status.st_mode & S_IFMT == S_IFREG else { return .damaged(reason: "not a regular file") }
        guard status.st_size > 0 else { return .new }
        return try check(descriptor, path: path, size: Int64(status.st_size))
    }

    private static func check(_ file: Int32, path: String, size: Int64) throws(LMDBError) -> DataFileCheck {
        let pages = try (read(file, page: 0, path: path), read(file, page: 1, path: path))
        guard let first = pages.0, let second = pages.1 else {
            return .damaged(reason: "shorter than two pages")
        }
        for page in [first, second] {
            if let fault = page.formatFault(pageSize: pageSize) { return .damaged(reason: fault) }
        }
        // As LMDB chooses: the second only if it is newer.
        let meta = first.transaction < second.transaction ? second : first
        guard meta.transaction == 0 || meta.transaction % 2 == (first.transaction < second.transaction ? 1 : 0) else {
            return .damaged(reason: "the newest meta page is not where its commit would have put it")
        }
        guard meta.rootsAreWithinFile else { return .damaged(reason: "the newest meta page names no possible root") }
        let length = try checkLength(file, path: path, size: size, lastPage: meta.lastPage)
        guard length == .usable else { return length }
        let fault = TreeCheck.fault(file: file, metaPage: meta.bytes, lastPage: meta.lastPage, pageSize: pageSize)
        return fault.map { .damaged(reason: $0) } ?? .usable
    }

    private static func checkLength(
        _ file: Int32,
        path: String,
        size: Int64,
        lastPage: UInt64
    ) throws(LMDBError) -> DataFileCheck {
        let (count, carry) = lastPage.addingReportingOverflow(1)
        let (needed, overflow) = count.multipliedReportingOverflow(by: UInt64(pageSize))
        guard !carry, !overflow, let needed = Int64(exactly: needed) else {
            return .damaged(reason: "the newest meta page names an impossible last page")
        }
        guard size < needed else { return .usable }
        guard needed - size <= Int64(unwrittenPages * pageSize) else {
            return .damaged(reason: "\(size) bytes long, and \(needed) are in use")
        }
        guard ftruncate(file, off_t(needed)) == 0 else { throw LMDBError(errno, call: "ftruncate of \(path)") }
        return .usable
    }

    /// - Returns: `nil` if the file ends before that.
    private static func read(_ file: Int32, page: Int, path: String) throws(LMDBError) -> MetaPage? {
        var bytes = [UInt8](repeating: 0, count: MetaPage.size)
        while true {
            let count = pread(file, &bytes, bytes.count, off_t(page * pageSize))
            if count >= 0 { return count == bytes.count ? MetaPage(bytes) : nil }
            guard errno == EINTR else { throw LMDBError(errno, call: "pread of \(path)") }
        }
    }
}
