import Config
import Logging

/// Objects at an HTTP origin, or another gateway.
///
/// Only GET goes out, with nothing in it that a client sent. A source has no connection until something is asked of it.
package final class HTTPSource: MediaSource {
    private let origin: Origin
    private let rangeless: RangelessObjects
    private let logger: Logger

    /// - Parameters:
    ///   - lookUp: asks for the addresses of a name, and blocks; `nil` for the resolver of the machine.
    ///   - now: decides when an origin that was down is asked again.
    package init(
        _ settings: HTTPSettings,
        policy: HTTPPolicy = HTTPPolicy(),
        context: SourceContext,
        lookUp: (@Sendable (String) throws -> [IPAddress])? = nil,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        logger = context.logger
        origin = Origin(settings, policy: policy, context: context, lookUp: lookUp ?? HostResolver.system, now: now)
        rangeless = RangelessObjects(lifetime: policy.rangelessFor, now: now)
    }

    /// Says in the log if a file with a header cannot be used. At the end all connections are closed.
    package func run() async throws {
        do {
            try await origin.checkHeaders()
        } catch {
            logger.warning("headers not usable", metadata: ["reason": "\(error)"])
        }
        await untilShutdown()
        await origin.close()
    }

    package func open(_ path: MediaPath) async throws -> any MediaObject {
        guard !path.isDirectory else { throw SourceError(.notFound, "there is no such object") }
        try Task.checkCancellation()
        // What HEAD says is wrong too often, and the size of an answer in chunks is only in a Content-Range.
        if !rangeless.contains(path), let object = try await open(path, asking: 0..<1) { return object }
        guard let object = try await open(path, asking: nil) else {
            throw SourceError(.unavailable, "the origin does not say what the object is")
        }
        return object
    }

    private func open(_ path: MediaPath, asking range: Range<Int64>?) async throws -> HTTPObject? {
        let request = OriginRequest(path: path, range: range, validator: nil)
        let response = try await origin.respond(to: request)
        defer { response.exchange.discard() }
        let facts: OriginAnswer.Facts?
        do throws(SourceError) {
            facts = try OriginAnswer.facts(response.head, asked: range)
        } catch {
            origin.note(error, of: path)
            throw error
        }
        guard let facts else { return nil }
        // The read that follows is to have this connection.
        if response.head.status == 206 { await response.exchange.finish(within: .seconds(1)) }
        if facts.ignoresRanges { rangeless.insert(path) }
        return HTTPObject(
            facts,
            response.head,
            at: path,
            base: response.base,
            origin: origin,
            rangeless: rangeless
        )
    }
}

extension Origin {
    /// Says in the log that an answer could not be used, if that is the origin's fault.
    func note(_ error: any Error, of path: MediaPath) {
        guard let error = error as? SourceError, [.unavailable, .changed].contains(error.code) else { return }
        let facts: Logger.Metadata = ["path": "\(path)", "reason": "\(error.message)"]
        if error.code == .changed {
            logger.debug("object changed", metadata: facts)
        } else {
            logger.warning("origin answered wrongly", metadata: facts)
        }
    }
}

extension SourceKind {
    /// See ``HTTPSettings`` for its options.
    package static let http = SourceKind("http") { options, context in
        HTTPSettings(options).map { HTTPSource($0, context: context) }
    }
}
