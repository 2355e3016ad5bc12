import ChunkCache
import NIOCore
import SourcePlugins
import Synchronization

/// What requests have in common that may wait for one another: none waits for one from before a purge.
struct FlightKey: Hashable, Sendable {
    let uri: ForwardedURI
    let moment: StoredResponses.Moment
}

/// Requests below the mount of a source that forwards them.
final class ForwardingRoutes: Sendable {
    let source: any ForwardingSource
    let entry: SourceTable.Entry
    /// `nil` if nothing is cached.
    let responses: StoredResponses?
    /// The gateway in `Cache-Status`.
    let node: String
    let meter: SourceMeter?
    let flights = RequestFlights<FlightKey>()
    /// The memory of bodies that are kept until they are whole.
    let copies = FillBudget(bytes: MemoryLimit.part(oneOf: 16, atMost: 64 << 20))
    /// Whoever needs bytes that are coming in takes them from there.
    let answers = LiveAnswers()
    /// The numbers of the objects whose responses are being validated for those who come after.
    private let refreshing = Mutex<Set<UInt64>>([])

    init(
        _ source: any ForwardingSource,
        _ entry: SourceTable.Entry,
        cache: ChunkStore?,
        objects: ObjectTable,
        node: String,
        meter: SourceMeter?
    ) {
        self.source = source
        self.entry = entry
        responses = cache.map { StoredResponses($0, objects, source: entry.name) }
        self.node = node
        self.meter = meter
    }

    /// - Parameter rest: the path below the mount, with its query.
    func dispatch(_ request: GatewayRequest, rest: Substring) -> Dispatch {
        guard var uri = source.uri(of: rest) else {
            let problem = RequestProblem(400, .badPath, "the path leads out of what this source may be asked for")
            return .refuse(problem, route: .media, source: entry.name)
        }
        let method = request.head.method.text
        guard method != "TRACE", method != "CONNECT" else {
            return .refuse(RequestGate.refusal(ofMethod: method, allowed: []), route: .media, source: entry.name)
        }
        let fields = request.head.headerFields
        if fields.list("upgrade").contains(where: { $0.lowercased().hasPrefix("websocket") }) {
            let problem = RequestProblem(501, .notImplemented, "WebSocket connections are not passed on here")
            return .refuse(problem, route: .media, source: entry.name)
        }
        // Before it can wait for itself.
        if RequestTrace(fields).hasPassed(RequestTrace.processName) {
            return .refuse(.loop, route: .media, source: entry.name)
        }
        var message = RequestMessage(method: method, target: uri.uri, fields: fields.endToEnd)
        // Says that there is a body, and is no field of the message that goes on.
        if let coding = fields.first("transfer-encoding") { message.fields.append("Transfer-Encoding", coding) }
        let client = ForwardedClient(
            address: request.client,
            peer: request.proxy == request.client ? nil : request.proxy,
            isTrusted: request.proxy != nil,
            host: request.head.fields[.host],
            fields: fields
        )
        uri.site = client.site(forwardsHost: source.forwardsHost)
        let forwarding = Forwarding(routes: self, uri: uri, message: message, client: client)
        if let answer = forwarding.answerFromCache(at: .now()) { return answer }
        return .run(for: entry, .media, readsBody: true) { exchange in try await forwarding.run(exchange) }
    }

    /// How long a request waits for another that asks for the same.
    var longestWait: Duration { entry.firstByteDeadline / 3 }

    /// Runs `body` in the background unless it runs for the response with that object already.
    func refresh(_ object: CachedObject, _ body: @escaping @Sendable () async throws -> Void) {
        let number = object.number
        let isNew = refreshing.withLock { $0.count < 256 && $0.insert(number).inserted }
        guard isNew else { return }
        // Ends with the answer of the origin, whose waits are all bounded.
        Task {
            // What fails shows when the response is no longer to be used; the source has logged why.
            try? await body()
            refreshing.withLock { _ = $0.remove(number) }
        }
    }
}
