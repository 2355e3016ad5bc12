import CLMDB
import CLinux

extension LMDBEnvironment {
    static let holeCall = "fallocate"

    /// How far a walk through the free pages is.
    package struct FreePageStep: Sendable, Hashable {
        /// The transaction to go on with, that freed pages behind these.
        package var next: UInt64
        /// Whether there is nothing behind these for now.
        package var isLast: Bool
    }

    /// Looks whether the file system makes holes in files, by one behind the end of the file.
    ///
    /// - Throws: ``LMDBError``; ``LMDBError/isRefusedHole`` says that it does not.
    func probeHoles() throws {
        try pool.enterWithoutReader("probe")
        defer { pool.leave(nil) }
        let end = UInt64(clamping: try usage().filePages)
        try Self.punch(end..<end + 1, of: descriptor())
    }

    /// Gives free pages back to the file system, which has holes in their place: the file keeps its length, and takes space
    /// again where it is written to. What a read, the user of a place, or the next process after a crash may still need
    /// stays.
    ///
    /// LMDB keeps its free pages in a table of its own, by the transaction that freed them: a count and as many numbers of
    /// pages (mdb.c of LMDB 0.9, "MDB_IDL"). It uses them again once no snapshot is older, and never reads them before.
    ///
    /// - Important: on the thread that writes, as nothing may come to lie there meanwhile.
    /// - Parameters:
    ///   - first: the transaction whose pages come first.
    ///   - limit: after how many runs of pages the rest is left for another time.
    /// - Throws: ``LMDBError``; ``LMDBError/isRefusedHole`` says that the file system makes no holes.
    package func punchFreePages(from first: UInt64 = 0, limit: Int) throws -> FreePageStep {
        try pool.enterWithoutReader("punch")
        defer { pool.leave(nil) }
        var (runs, step) = ([Range<UInt64>](), FreePageStep(next: first, isLast: true))
        guard let end = try oldestSnapshot() else { return step }
        let fileEnd = UInt64(clamping: try usage().filePages)
        try read { transaction in
            let freeList = LMDBTable(name: "free pages", handle: 0)
            try transaction.walk(freeList, from: TransactionNumber(value: first)) { key, value in
                guard let number = TransactionNumber(key: key)?.value, number < end else { return .stop }
                guard runs.count < limit else {
                    step.isLast = false
                    return .stop
                }
                Self.addRuns(of: value, to: &runs)
                step.next = number + 1
                return .next
            }
        }
        let file = try descriptor()
        for run in Self.joined(runs) where run.lowerBound >= DataFileCheck.metaPages && run.upperBound <= fileEnd {
            try Self.punch(run, of: file)
        }
        return step
    }

    /// The oldest state of the database that a read uses, or a process that opens it after a crash may find; `nil` if that
    /// cannot be told.
    private func oldestSnapshot() throws(LMDBError) -> UInt64? {
        var info = MDB_envinfo()
        try LMDBError.check(mdb_env_info(environment.raw, &info), "mdb_env_info")
        // Reads that begin from here on see this one or a later one.
        var oldest = UInt64(clamping: info.me_last_txnid) as UInt64?
        let code = withUnsafeMutablePointer(to: &oldest) { oldest in
            // A line for each slot: process, thread, and the transaction's number, or `-`.
            mdb_reader_list(
                environment.raw,
                { line, context in
                    guard let line, let context else { return -1 }
                    let oldest = context.assumingMemoryBound(to: UInt64?.self)
                    oldest.pointee = LMDBEnvironment.older(oldest.pointee, String(cString: line))
                    return 0
                },
                oldest
            )
        }
        guard code >= 0 else { throw LMDBError(code, call: "mdb_reader_list") }
        // After the readers, of which each user of a place was one.
        guard let oldest else { return nil }
        return min(oldest, pool.oldestPlace ?? oldest)
    }

    /// - Parameter line: of LMDB's list of readers.
    /// - Returns: `nil` if it is not what a line should be.
    package static func older(_ oldest: UInt64?, _ line: String) -> UInt64? {
        let words = line.split(whereSeparator: \.isWhitespace)
        if words == ["pid", "thread", "txnid"] || words == ["(no", "active", "readers)"] { return oldest }
        guard let oldest, words.count == 3 else { return nil }
        return words[2] == "-" ? oldest : UInt64(words[2]).map { min($0, oldest) }
    }

    private static func addRuns(of list: RawSpan, to runs: inout [Range<UInt64>]) {
        let wordSize = MemoryLayout<UInt64>.size
        guard list.byteCount >= wordSize else { return }
        let room = list.byteCount / wordSize - 1
        let count = min(Int(clamping: list.unsafeLoadUnaligned(as: UInt64.self)), room)
        for index in 0..<count {
            let page = list.unsafeLoadUnaligned(fromByteOffset: (index + 1) * wordSize, as: UInt64.self)
            guard page < UInt64(Int32.max) * 1024 else { continue }
            // From the highest down.
            if let last = runs.last, last.lowerBound == page + 1 {
                runs[runs.count - 1] = page..<last.upperBound
            } else {
                runs.append(page..<page + 1)
            }
        }
    }

    private static func joined(_ runs: [Range<UInt64>]) -> [Range<UInt64>] {
        runs.sorted { $0.lowerBound < $1.lowerBound }.reduce(into: []) { joined, run in
            if let last = joined.last, last.upperBound == run.lowerBound {
                joined[joined.count - 1] = last.lowerBound..<run.upperBound
            } else {
                joined.append(run)
            }
        }
    }

    private static func punch(_ run: Range<UInt64>, of file: Int32) throws(LMDBError) {
        let pageSize = Int64(DataFileCheck.pageSize)
        let (start, length) = (Int64(run.lowerBound) * pageSize, Int64(run.count) * pageSize)
        let code = clinux_punch_hole(file, start, length)
        guard code == 0 else { throw LMDBError(-code, call: holeCall) }
    }
}

/// The key of a list of free pages: which transaction freed them. As a number of the machine, and so in its order.
private struct TransactionNumber: LMDBKey {
    let value: UInt64

    init(value: UInt64) {
        self.value = value
    }

    init?(key: RawSpan) {
        guard key.byteCount == MemoryLayout<UInt64>.size else { return nil }
        value = key.unsafeLoadUnaligned(as: UInt64.self)
    }

    func withKeyBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try withUnsafeBytes(of: value, body)
    }
}
