package import NIOCore
import Synchronization

/// The answer to a ``ForwardedRequest``, whatever its status. Dropping it is as good as ``cancel()``.
package final class ForwardedResponse: Sendable {
    /// Without the fields of the connection; with `Content-Length`. An entity tag that is not known to the byte is left
    /// out, but where its presence says something: in a 304, and in the answer to HEAD.
    package let head: ResponseMessage
    /// The body's length by `Content-Length`, if it was said.
    package let length: Int64?
    /// Whether the end of the body is told by the message, and not by the end of the connection.
    package let isDelimited: Bool
    private let exchange: OriginExchange
    private let limit: Duration
    private let pace: Mutex<LeastPace>

    init(_ response: OriginResponse, to method: String, idleTimeout: Duration) {
        var head = ResponseMessage(
            status: response.head.status,
            fields: response.head.fields.endToEnd,
            requestTime: response.times.asked,
            responseTime: response.times.came
        )
        if head.status != 304, method != "HEAD", head.hasRepairedTag { head.fields.remove("etag") }
        self.head = head
        let codings = response.head.tokens("transfer-encoding")
        // In a coded body it is not what counts (RFC 9112 §6.3).
        length = codings.isEmpty ? response.head.single("content-length").flatMap(byteCount) : nil
        isDelimited = [204, 304].contains(response.head.status) || length != nil || codings == ["chunked"]
        exchange = response.exchange
        limit = idleTimeout
        pace = Mutex(LeastPace(limit: idleTimeout))
    }

    deinit { exchange.discard() }

    /// The next bytes of the body, never none; `nil` at the end. One task at a time pulls.
    ///
    /// - Parameter mayDrip: whether they may come ever so slowly, as those of a stream of events do, as long as they come.
    /// - Throws: ``SourceError`` if the body ends early or does not get on, `CancellationError`, and whatever the
    ///   request's own body throws that is still on its way.
    package func next(mayDrip: Bool = true) async throws -> ByteBuffer? {
        try Task.checkCancellation()
        let start = ContinuousClock.now
        do {
            let part = try await exchange.next(within: limit)
            if !mayDrip, let part, !pace.withLock({ $0.note(part.readableBytes, after: .now - start) }) {
                throw OriginFailure(.timedOut)
            }
            return part
        } catch {
            exchange.cancel()
            throw (error as? OriginFailure).map(SourceError.init) ?? error
        }
    }

    /// The rest of the body is not wanted. A short one is read all the same, so that its connection can be used again.
    package func cancel() { exchange.discard() }
}

extension HTTPSource {
    /// Sends a request to the origin. Whatever status it answers with is a response; redirects are the client's to
    /// follow.
    ///
    /// Tried again, and at the fallbacks, is what changes nothing at the origin or has not reached it, as long as
    /// nothing of its body was taken.
    ///
    /// - Throws: ``SourceError``: `badPath` if the target would leave the base URL, `refused` if the request cannot be
    ///   sent, or has passed this gateway before (its cause is a ``RequestLoop`` then), `unavailable` for a body in
    ///   another transfer coding than chunks, and what no answer comes to.
    ///   `CancellationError`, and whatever the request's body throws.
    package func forward(
        _ request: ForwardedRequest,
        for client: ForwardedClient
    ) async throws -> ForwardedResponse {
        try Task.checkCancellation()
        let settings = origin.settings
        let response = try await origin.respond(
            to: OriginRequest(request, for: client, node: origin.node, forwardsHost: settings.forwardsHost)
        )
        guard request.method == "HEAD" || Self.isPlain(response.head) else {
            response.exchange.cancel()
            throw SourceError.misbehaved("a transfer coding that was not asked for")
        }
        return ForwardedResponse(response, to: request.method, idleTimeout: settings.idleTimeout)
    }

    /// Whether the bytes of the body are the message's own: only the chunks are taken off on the way, and the field that
    /// tells of another coding goes no further. `identity`, which servers of old send, is none.
    private static func isPlain(_ head: OriginHead) -> Bool {
        [204, 304].contains(head.status) || [[], ["chunked"], ["identity"]].contains(head.tokens("transfer-encoding"))
    }
}
