package import NIOCore
package import SourcePlugins

/// Decides what answers a request, on the event loop and without waiting.
package protocol RequestDispatcher: Sendable {
    func dispatch(_ request: GatewayRequest) -> Dispatch

    /// The methods that are for it to judge.
    var methods: RequestGate.Methods { get }
    /// Whether requests come with all their fields: some are passed on.
    var readsAllFields: Bool { get }
}

extension RequestDispatcher {
    package var methods: RequestGate.Methods { .changing }
    package var readsAllFields: Bool { false }
}

/// A request that passed the gate.
package final class GatewayRequest: Sendable {
    package let head: RequestHead
    /// The target in origin-form.
    package let target: String
    /// Identifies the request in answers and logs.
    package let id: RequestID
    /// The client's address, told by a trusted proxy where there is one.
    package let client: String
    /// The address of the connection, if it is a trusted proxy's.
    package let proxy: String?

    package init(head: RequestHead, target: String, id: RequestID, client: String, proxy: String? = nil) {
        self.head = head
        self.target = target
        self.id = id
        self.client = client
        self.proxy = proxy
    }

    /// The same request for other bytes.
    func repeated(range: String, id: RequestID) -> GatewayRequest {
        GatewayRequest(head: head.with(range: range), target: target, id: id, client: client, proxy: proxy)
    }

    package var path: Substring {
        target.utf8.firstIndex(of: UInt8(ascii: "?")).map { target[..<$0] } ?? target[...]
    }

    package var query: Substring? {
        target.utf8.firstIndex(of: UInt8(ascii: "?")).map { target[target.utf8.index(after: $0)...] }
    }

    package var isHead: Bool { head.method == .head }

    /// Whom what it asks for is read for; `nil` if the address does not tell.
    var readClient: ReadClient? { ReadClient(ClientAddress(client).prefix) }

    /// What it says of its way here; `nil` if nothing.
    var trace: RequestTrace? {
        let fields = [("Via", head.fields[.via]), ("traceparent", head.fields[.traceparent])].compactMap {
            name,
            value in
            value.map { (name: name, value: $0) }
        }
        return fields.isEmpty ? nil : RequestTrace(HeaderFields(fields))
    }
}

package struct RequestID: Sendable, Hashable, CustomStringConvertible {
    package let value: UInt64

    package init(_ value: UInt64) {
        self.value = value
    }

    /// Sixteen hexadecimal digits.
    package var description: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

/// What a request is about, as a label of logs and metrics: a small closed set.
package enum Route: String, Sendable, CaseIterable {
    case ping
    case media
    case listing
    case page
    case preflight
    case health
    case metrics
    case admin
    /// Adding and describing items.
    case item
    /// Refused before it had a route.
    case refused

    /// Its place in `allCases`.
    var ordinal: Int {
        switch self {
        case .ping: 0
        case .media: 1
        case .listing: 2
        case .page: 3
        case .preflight: 4
        case .health: 5
        case .metrics: 6
        case .admin: 7
        case .item: 8
        case .refused: 9
        }
    }
}

package enum Dispatch: Sendable {
    /// The whole answer.
    case answer(ResponseHead, body: ByteBuffer?, route: Route, source: String)
    case refuse(RequestProblem, route: Route, source: String)
    /// An answer that has to wait for something.
    case run(Operation)
    /// An answer whose bytes are at hand, or at least the first of them.
    case direct(DirectAnswer)
    /// The request's body has to be read first.
    case upload(Upload)

    package struct Operation: Sendable {
        package let route: Route
        package let source: String
        /// From the request's head to the first byte of the answer; after that the longest wait for the source.
        package let firstByteDeadline: Duration
        /// Whether ``Exchange/nextBodyPart()`` is used: a body that the request has would be in the way of the next one.
        package let readsBody: Bool
        /// Runs on the connection's event loop, in a task that is cancelled when nobody waits for the answer any more.
        ///
        /// Throws ``RequestProblem`` or ``SourceError`` for an error answer. Once the head is written, whatever is
        /// thrown cuts the connection.
        package let body: @Sendable (Exchange) async throws -> Void

        package init(
            route: Route,
            source: String,
            firstByteDeadline: Duration,
            readsBody: Bool = false,
            body: @escaping @Sendable (Exchange) async throws -> Void
        ) {
            self.route = route
            self.source = source
            self.firstByteDeadline = firstByteDeadline
            self.readsBody = readsBody
            self.body = body
        }
    }
}

extension Dispatch {
    /// Runs `body` with the name and the patience of the source at `entry`.
    static func run(
        for entry: SourceTable.Entry,
        _ route: Route = .item,
        readsBody: Bool = false,
        _ body: @escaping @Sendable (Exchange) async throws -> Void
    ) -> Dispatch {
        .run(
            Operation(
                route: route,
                source: entry.name,
                firstByteDeadline: entry.firstByteDeadline,
                readsBody: readsBody,
                body: body
            )
        )
    }
}

/// A request whose body is part of what it asks.
package struct Upload: Sendable {
    package let route: Route
    package let source: String
    /// The most bytes the body may have.
    package let limit: Int
    /// Decides, as ``RequestDispatcher/dispatch(_:)`` does, once all of the body is there; never another upload.
    package let decide: @Sendable (ByteBuffer) -> Dispatch

    package init(
        route: Route,
        source: String,
        limit: Int,
        decide: @escaping @Sendable (ByteBuffer) -> Dispatch
    ) {
        self.route = route
        self.source = source
        self.limit = limit
        self.decide = decide
    }
}

/// An answer that is sent from where its bytes lie.
package final class DirectAnswer: Sendable {
    package let head: ResponseHead
    package let body: any DirectBody
    /// The bytes of the object that are the answer's body.
    package let range: Range<Int64>
    /// Held to the end of the answer.
    package let lease: Lease?
    package let route: Route
    package let source: String
    package let firstByteDeadline: Duration
    /// Has the answers to the same request for other bytes; `nil` if they have to be asked of the dispatcher.
    package let others: (any RangeAnswers)?
    /// Sends what `body` turned out not to have at hand, from a position on, and ends the answer. The head is set.
    package let rest: @Sendable (Exchange, Int64) async throws -> Void

    package init(
        head: ResponseHead,
        body: any DirectBody,
        range: Range<Int64>,
        lease: Lease?,
        route: Route,
        source: String,
        firstByteDeadline: Duration,
        others: (any RangeAnswers)? = nil,
        rest: @escaping @Sendable (Exchange, Int64) async throws -> Void
    ) {
        self.head = head
        self.body = body
        self.range = range
        self.lease = lease
        self.route = route
        self.source = source
        self.firstByteDeadline = firstByteDeadline
        self.others = others
        self.rest = rest
    }
}
