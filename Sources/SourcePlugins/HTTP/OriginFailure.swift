import AsyncHTTPClient
import NIOCore
import NIOHTTP1

/// Why there is no answer, or not all of one.
struct OriginFailure: Error, Sendable, CustomStringConvertible {
    enum Kind: Sendable, CaseIterable {
        /// The name has no address.
        case unresolved
        /// Nobody says which addresses the name has.
        case resolverSilent
        /// There is nobody at the address.
        case unreachable
        case connectTimedOut
        /// Every connection is in use.
        case noConnection
        case timedOut
        /// The connection ended too early.
        case broken
        /// What came is not HTTP, or more than is taken.
        case malformed
        case shuttingDown
    }

    let kind: Kind
    let cause: (any Error)?
    /// Whether another request has failed of the same, and this one only with it.
    var isShared = false

    init(_ kind: Kind, _ cause: (any Error)? = nil, isShared: Bool = false) {
        self.kind = kind
        self.cause = cause
        self.isShared = isShared
    }

    /// Whether the origin has seen nothing of the request.
    var isBeforeSending: Bool {
        switch kind {
        case .unresolved, .resolverSilent, .unreachable, .connectTimedOut, .noConnection: true
        case .timedOut, .broken, .malformed, .shuttingDown: false
        }
    }

    /// - Parameter isSent: whether the request had gone out when it failed.
    init(_ error: any Error, isSent: Bool) {
        self.init(Self.kind(of: error, isSent: isSent), error)
    }

    private static func kind(of error: any Error, isSent: Bool) -> Kind {
        switch error {
        case let error as HTTPClientError:
            switch error {
            case .connectTimeout, .tlsHandshakeTimeout: .connectTimedOut
            case .getConnectionFromPoolTimeout: .noConnection
            case .alreadyShutdown, .cancelled: .shuttingDown
            case .remoteConnectionClosed: isSent ? .broken : .unreachable
            default: isSent ? .malformed : .unreachable
            }
        case ChannelError.connectTimeout: .connectTimedOut
        case HTTPParserError.invalidEOFState: .broken
        case is HTTPParserError: .malformed
        default: isSent ? .broken : .unreachable
        }
    }

    var description: String { cause.map { "\(kind) (\($0))" } ?? "\(kind)" }
}

extension SourceError {
    init(_ failure: OriginFailure) {
        switch failure.kind {
        case .unresolved:
            self.init(.unavailable, "the name of the origin cannot be resolved", cause: failure)
        case .resolverSilent:
            self.init(.timedOut, "the name of the origin was not resolved in time", cause: failure)
        case .unreachable: self.init(.unavailable, "the origin cannot be reached", cause: failure)
        case .connectTimedOut: self.init(.timedOut, "the origin did not accept a connection in time", cause: failure)
        case .noConnection:
            self.init(.overloaded, "all connections to the origin are in use; raise connections", cause: failure)
        case .timedOut: self.init(.timedOut, "the origin fell silent", cause: failure)
        case .broken: self.init(.unavailable, "the origin closed the connection too early", cause: failure)
        case .malformed: self.init(.unavailable, "the origin sent what is not HTTP, or too much of it", cause: failure)
        case .shuttingDown: self.init(.unavailable, "the gateway is shutting down", cause: failure)
        }
    }
}
