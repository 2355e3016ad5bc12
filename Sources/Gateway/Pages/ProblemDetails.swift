package import SourcePlugins

/// The body of an answer that failed (RFC 9457).
package struct ProblemDetails: Sendable, Hashable, Codable {
    package static let mediaType = "application/problem+json"

    package var type: String
    package var title: String
    package var status: Int
    /// What went wrong with this request and what can be done about it.
    package var detail: String
    package var code: ProblemCode
    /// The request's id, as in the log.
    package var requestID: String

    package init(_ code: ProblemCode, status: Int, detail: String, requestID: String) {
        self.type = "urn:media-gateway:problem:\(code.rawValue)"
        self.title = code.title
        self.status = status
        self.detail = detail
        self.code = code
        self.requestID = requestID
    }

    package func json() -> [UInt8] { JSONBody.encode(self) }

    private enum CodingKeys: String, CodingKey {
        case type, title, status, detail, code
        case requestID = "request_id"
    }
}

/// What clients may tell failures apart by. A code that was released keeps its name and meaning.
package enum ProblemCode: String, Sendable, Hashable, Codable, CaseIterable {
    case badRequest = "bad_request"
    case badHost = "bad_host"
    case badPath = "bad_path"
    case badReference = "bad_reference"
    case notFound = "not_found"
    case sourceDisabled = "source_disabled"
    case forbidden
    case refused
    case busy
    case pinBudget = "pin_budget"
    case methodNotAllowed = "method_not_allowed"
    case requestTimedOut = "request_timed_out"
    case ambiguousName = "ambiguous_name"
    case preconditionFailed = "precondition_failed"
    case contentTooLarge = "content_too_large"
    case unsupportedMediaType = "unsupported_media_type"
    case rangeNotSatisfiable = "range_not_satisfiable"
    case targetTooLong = "target_too_long"
    case headersTooLarge = "headers_too_large"
    case expectationFailed = "expectation_failed"
    case rateLimited = "rate_limited"
    case internalError = "internal_error"
    case notImplemented = "not_implemented"
    case versionNotSupported = "version_not_supported"
    case overloaded
    case shuttingDown = "shutting_down"
    case notReady = "not_ready"
    case unavailable
    case timedOut = "timed_out"
    case changed

    package init(_ code: SourceError.Code) {
        self =
            switch code {
            case .badPath: .badPath
            case .badReference: .badReference
            case .notFound: .notFound
            case .forbidden: .forbidden
            case .refused: .refused
            case .busy: .busy
            case .overloaded: .overloaded
            case .notReady: .notReady
            case .unavailable: .unavailable
            case .timedOut: .timedOut
            case .changed: .changed
            }
    }

    /// The same words for every occurrence.
    package var title: String {
        switch self {
        case .badRequest: "The request is malformed"
        case .badHost: "The Host field is missing, repeated or not allowed"
        case .badPath: "The path cannot name anything"
        case .badReference: "This names no item"
        case .notFound: "Nothing has this name"
        case .sourceDisabled: "The source is not enabled"
        case .forbidden: "This is not to be had"
        case .refused: "What was found is not acceptable"
        case .busy: "It is in use"
        case .pinBudget: "No more can be pinned"
        case .methodNotAllowed: "The method does not apply here"
        case .requestTimedOut: "The request did not arrive in time"
        case .ambiguousName: "Several files have this name"
        case .preconditionFailed: "The object is not in the state the request asks for"
        case .contentTooLarge: "The request's content is too large"
        case .unsupportedMediaType: "The request's content is of no known type"
        case .rangeNotSatisfiable: "The range lies outside the object"
        case .targetTooLong: "The request target is too long"
        case .headersTooLarge: "The request's head is too large"
        case .expectationFailed: "The expectation is not known"
        case .rateLimited: "Too many requests"
        case .internalError: "The gateway failed"
        case .notImplemented: "The method is unknown"
        case .versionNotSupported: "The HTTP version is not supported"
        case .overloaded: "The gateway is at its limit"
        case .shuttingDown: "The gateway is shutting down"
        case .notReady: "The object is not there yet"
        case .unavailable: "The source failed"
        case .timedOut: "The source did not answer in time"
        case .changed: "The object changed while it was read"
        }
    }
}
