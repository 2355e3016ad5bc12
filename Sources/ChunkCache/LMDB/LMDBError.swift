import CLMDB
import Glibc

/// A call of LMDB that failed.
package struct LMDBError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What the failure means for whoever made the call.
    package enum Kind: Sendable, Hashable {
        case notFound
        /// No room in the map: less must be stored before more can be.
        case mapFull
        /// More reads at once than the table of readers holds.
        case readersFull
        /// The file, or what LMDB has in memory of it, cannot be used any more: set it aside and begin a new one.
        case damaged
        /// The operating system refused, with this error number.
        case system(Int32)
        /// Used after ``LMDBEnvironment/close()``.
        case closed
        /// A call that this module should not have made; the transaction is lost, the file is whole.
        case refused
    }

    package let kind: Kind
    /// LMDB's own code, or an error number of the system.
    package let code: Int32
    package let call: String
    /// What is behind it, in LMDB's words or ours.
    package let text: String

    init(_ code: Int32, call: String) {
        self.kind = Kind(code)
        self.code = code
        self.call = call
        self.text = mdb_strerror(code).map { String(cString: $0) } ?? "unknown error"
    }

    init(_ kind: Kind, code: Int32, call: String, text: String) {
        self.kind = kind
        self.code = code
        self.call = call
        self.text = text
    }

    static func closed(_ call: String) -> LMDBError {
        LMDBError(.closed, code: MDB_PANIC, call: call, text: "the environment is closed")
    }

    package var isDamage: Bool { kind == .damaged }

    /// Whether the file system makes no holes in files.
    var isRefusedHole: Bool {
        call == LMDBEnvironment.holeCall && [EOPNOTSUPP, ENOSYS, EPERM, ENODEV].contains(code)
    }

    package var description: String { "\(call): \(text) (\(code))" }

    /// - Throws: ``LMDBError`` if `code` is not that of success.
    static func check(_ code: Int32, _ call: @autoclosure () -> String) throws(LMDBError) {
        guard code != MDB_SUCCESS else { return }
        throw LMDBError(code, call: call())
    }
}

extension LMDBError.Kind {
    /// What a code of LMDB, or an error number of the system, means. Every code means something.
    package init(_ code: Int32) {
        self =
            switch code {
            case MDB_NOTFOUND: .notFound
            case MDB_MAP_FULL: .mapFull
            case MDB_READERS_FULL: .readersFull
            case MDB_PAGE_NOTFOUND, MDB_CORRUPTED, MDB_PANIC, MDB_VERSION_MISMATCH, MDB_INVALID, MDB_CURSOR_FULL,
                MDB_PAGE_FULL, MDB_MAP_RESIZED, MDB_INCOMPATIBLE:
                .damaged
            // Among others MDB_BAD_TXN, which only says that an earlier call of the transaction failed; that call had
            // its own code, and MDB_MAP_FULL, say, is no damage.
            case let number where number > 0: .system(number)
            default: .refused
            }
    }
}
