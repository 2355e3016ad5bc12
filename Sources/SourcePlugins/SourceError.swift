/// Why a source could not give what was asked, in terms every source shares.
///
/// Each source translates its own failures into this once; nothing above a source sees errno or a library's codes.
package struct SourceError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// The path cannot name anything, whatever the source holds.
        case badPath = "bad_path"
        /// What should name an item, a magnet link say, names none.
        case badReference = "bad_reference"
        case notFound = "not_found"
        /// There is something, and this source does not serve the like of it.
        case refused
        /// There is something, and it is not to be had by this request.
        case forbidden
        /// Nothing yet; the same request may succeed later.
        case notReady = "not_ready"
        /// Somebody else uses it.
        case busy
        /// Too much is in use already; the same request may succeed later.
        case overloaded
        /// The source itself failed.
        case unavailable
        case timedOut = "timed_out"
        /// The object is no longer the revision that was opened.
        case changed
    }

    package let code: Code
    /// What went wrong and what can be done about it, in lower case without a full stop.
    package let message: String
    /// The failure below, for the log only.
    package let cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String {
        cause.map { "\(code.rawValue): \(message) (\($0))" } ?? "\(code.rawValue): \(message)"
    }
}
