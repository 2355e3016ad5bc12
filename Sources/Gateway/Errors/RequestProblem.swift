import ChunkCache
package import SourcePlugins

/// Why a request gets an error instead of what it asked for: a status, a stable code, and words for people.
///
/// The only place where failures become HTTP statuses.
package struct RequestProblem: Error, Sendable, Hashable {
    package let status: Int
    package let code: ProblemCode
    package let detail: String
    /// Seconds for `Retry-After`.
    package var retryAfter: Int?
    /// `Allow`, for 405.
    package var allow: String?

    package init(_ status: Int, _ code: ProblemCode, _ detail: String, retryAfter: Int? = nil, allow: String? = nil) {
        self.status = status
        self.code = code
        self.detail = detail
        self.retryAfter = retryAfter
        self.allow = allow
    }

    package init(_ error: SourceError) {
        let status: Int
        var retryAfter: Int?
        switch error.code {
        case .badPath, .badReference: status = 400
        case .notFound: status = 404
        case .forbidden: status = 403
        case .refused: status = error.cause is RequestLoop ? 508 : 422
        case .busy: status = 409
        case .overloaded: (status, retryAfter) = (503, 10)
        case .notReady: (status, retryAfter) = (503, 5)
        case .unavailable: status = 502
        case .changed: status = 502
        case .timedOut: status = 504
        }
        self.init(status, ProblemCode(error.code), error.message, retryAfter: retryAfter)
    }

    init(_ error: PinError) {
        let (status, code): (Int, ProblemCode) =
            switch error {
            case .overBudget, .overShare, .tooMany: (409, .pinBudget)
            case .notPinned: (404, .notFound)
            case .unavailable: (503, .internalError)
            }
        self.init(status, code, error.text)
    }

    /// For an error nobody expected: the reason is in the log only, and it is a bug.
    package static let unexpected = RequestProblem(
        500,
        .internalError,
        "the gateway failed in a way it did not expect; its log has the reason under this request id"
    )

    package static let notFound = RequestProblem(404, .notFound, "nothing is served at this path")

    package static func methodNotAllowed(
        _ method: String,
        allowed: [String] = ["GET", "HEAD", "OPTIONS"]
    ) -> RequestProblem {
        RequestProblem(
            405,
            .methodNotAllowed,
            "\(method) is not available here; use \(allowed.filter { $0 != "OPTIONS" }.joined(separator: " or "))",
            allow: allowed.joined(separator: ", ")
        )
    }

    package static let firstByteDeadline = RequestProblem(
        504,
        .timedOut,
        "the source gave no byte before the first-byte deadline; the same request may succeed later"
    )
}
