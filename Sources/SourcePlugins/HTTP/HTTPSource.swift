import Config
import Logging

/// Objects at an HTTP origin, or another gateway.
///
/// For an object only GET goes out, with nothing in it that a client sent but its trace. A source has no connection
/// until something is asked of it.
package final class HTTPSource: MediaSource {
    let origin: Origin
    private let rangeless: RememberedPaths
    /// Of objects whose origin does not say in front how long a part is.
    private let unmeasured: RememberedPaths
    private let logger: Logger

    /// - Parameters:
    ///   - node: the name of this gateway in `Via`, by which it knows requests that come back to it.
    ///   - lookUp: asks for the addresses of a name, and blocks; throws ``SourceError``, `timedOut` if nobody
    ///     answers. `nil` for the resolver of the machine.
    ///   - now: decides when an origin that was down is asked again.
    package init(
        _ settings: HTTPSettings,
        policy: HTTPPolicy = HTTPPolicy(),
        context: SourceContext,
        node: String = RequestTrace.processName,
        lookUp: (@Sendable (String) throws -> [IPAddress])? = nil,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        logger = context.logger
        origin = Origin(
            settings,
            policy: policy,
            context: context,
            node: node,
            lookUp: lookUp ?? HostResolver.system,
            now: now
        )
        rangeless = RememberedPaths(lifetime: policy.rangelessFor, now: now)
        unmeasured = RememberedPaths(lifetime: policy.rangelessFor, now: now)
    }

    package var isRemote: Bool { true }

    /// Says in the log if a file with a header or certificates cannot be used. At the end all connections are closed.
    package func run() async throws {
        do {
            try await origin.checkFiles()
        } catch {
            logger.warning("files not usable", metadata: ["reason": "\(error)"])
        }
        await untilShutdown()
        await origin.close()
    }

    package func open(_ path: MediaPath) async throws -> any MediaObject {
        guard !path.isDirectory else { throw SourceError(.notFound, "there is no such object") }
        try Task.checkCancellation()
        // The bytes that are wanted tell as much as the first one would.
        if let range = ReadHint.range, !rangeless.contains(path), let object = try await open(path, asking: range) {
            return object
        }
        // What HEAD says is wrong too often, and the size of an answer in chunks is only in a Content-Range.
        if !rangeless.contains(path), let object = try await open(path, asking: 0..<1) { return object }
        guard let object = try await open(path, asking: nil) else {
            throw SourceError(.unavailable, "the origin does not say what the object is")
        }
        return object
    }

    private func open(_ path: MediaPath, asking range: Range<Int64>?) async throws -> HTTPObject? {
        let request = try OriginRequest(path, range, validator: nil, for: .current, node: origin.node)
        let response = try await origin.respond(to: request)
        var begun: BegunAnswer?
        defer { if begun == nil { response.exchange.discard() } }
        let facts: OriginAnswer.Facts?
        do throws(SourceError) {
            facts = try OriginAnswer.facts(response.head, asked: range)
        } catch {
            origin.note(error, of: path)
            throw error
        }
        guard let facts else { return nil }
        if response.head.status == 206 {
            if !OriginAnswer.isMeasured(response.head) {
                unmeasured.insert(path)
            } else if let range, range.count > 1, let interval = facts.interval {
                begun = BegunAnswer(interval: interval, exchange: response.exchange)
            } else {
                // The read that follows is to have this connection.
                await response.exchange.finish(within: .seconds(1))
            }
        }
        if facts.ignoresRanges { rangeless.insert(path) }
        return HTTPObject(
            facts,
            response.head,
            at: path,
            base: response.base,
            origin: origin,
            rangeless: rangeless,
            unmeasured: unmeasured,
            begun: begun
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
        guard let settings = HTTPSettings(options) else { return nil }
        return switch settings.profile {
        case .media: HTTPSource(settings, context: context)
        case .proxy: HTTPProxySource(settings, context: context)
        }
    }
}
