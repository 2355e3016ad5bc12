import NIOCore
import NIOHTTP1

/// Puts the target into the request line of each request on a connection of the HTTP client, as it is.
///
/// The client takes a path apart and together again as text: one that is not UTF-8 becomes `/`, and brackets are
/// escaped. So it is asked for `/`, and told the target in a field, which is taken out here.
final class RequestTargetHandler: ChannelOutboundHandler {
    typealias OutboundIn = HTTPClientRequestPart
    typealias OutboundOut = HTTPClientRequestPart

    static let field = "X-Media-Gateway-Target"

    /// Prepares a connection, before its first request.
    static let install: @Sendable (any Channel) -> EventLoopFuture<Void> = { channel in
        channel.eventLoop.submit {
            let pipeline = channel.pipeline.syncOperations
            let encoder = try pipeline.handler(type: HTTPRequestEncoder.self)
            try pipeline.addHandler(RequestTargetHandler(), position: .after(encoder))
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard case .head(var head) = unwrapOutboundIn(data), let target = head.headers.first(name: Self.field) else {
            context.write(data, promise: promise)
            return
        }
        head.headers.remove(name: Self.field)
        head.uri = target
        context.write(wrapOutboundOut(.head(head)), promise: promise)
    }
}
