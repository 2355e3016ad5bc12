import NIOCore
import SourcePlugins
import Synchronization

/// The body of a client's request on its way to the origin.
final class ExchangeBody: ForwardedBody {
    let length: Int64?
    private let exchange: Exchange
    private let limit: Int64
    private let state = Mutex((count: Int64(0), problem: RequestProblem?.none))

    init(_ exchange: Exchange, _ message: RequestMessage, _ limit: Int64) {
        self.exchange = exchange
        self.limit = limit
        let isChunked = message.fields.contains("transfer-encoding")
        length = isChunked ? nil : message.fields.first("content-length").flatMap { Int64($0) }
    }

    /// Why the request cannot be passed on, if that is the client's doing.
    var problem: RequestProblem? { state.withLock { $0.problem } }

    /// - Throws: ``RequestProblem`` if the body says that it is too long: then the origin need not hear of it.
    func checkLength() throws(RequestProblem) {
        if let length, length > limit { throw tooLong }
    }

    func next() async throws -> ByteBuffer? {
        do {
            guard let part = try await exchange.nextBodyPart() else { return nil }
            let count = state.withLock { state in
                state.count += Int64(part.readableBytes)
                return state.count
            }
            guard count <= limit else { throw tooLong }
            return part
        } catch let problem as RequestProblem {
            state.withLock { $0.problem = problem }
            throw problem
        }
    }

    private var tooLong: RequestProblem {
        RequestProblem(413, .contentTooLarge, "the body is longer than \(limit) bytes")
    }
}
