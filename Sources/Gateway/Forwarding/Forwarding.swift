import ChunkCache
import NIOCore
import SourcePlugins

/// One request to a source that forwards, and what becomes of it: RFC 9111 for a shared cache.
struct Forwarding: Sendable {
    let routes: ForwardingRoutes
    let uri: ForwardedURI
    var message: RequestMessage
    let client: ForwardedClient

    var policy: CachingPolicy { routes.source.caching }

    /// Whether a stored response may answer.
    var isCacheable: Bool { (message.method == "GET" || message.method == "HEAD") && !message.hasContent }

    /// Whether the request is one client's own: what is asked for it is not asked for others too.
    var isAuthorized: Bool { message.fields.contains("authorization") }

    // MARK: - From the cache

    /// The stored responses that can be sent: those whose bodies are there, or can be asked for in parts.
    func usable(_ responses: [Representation]) -> [Representation] {
        guard let stored = routes.responses else { return [] }
        return responses.filter { representation in
            representation.object.size == 0
                || representation.hasStrongTag && mayComplete(representation)
                    && beginsAtHand(representation, stored.cache)
                || stored.hasBody(representation.object)
        }
    }

    /// Whether a body that is not whole can be sent from where it is wanted: if the origin gives no parts of it, from what
    /// the cache has. Behind that all of it is read up to the place; whom nothing was sent gets all of it from the origin.
    private func beginsAtHand(_ representation: Representation, _ cache: ChunkStore) -> Bool {
        let object = representation.object
        guard !routes.answers.givesParts(of: object) else { return true }
        let range = StoredAnswer(representation, for: message).range
        return range.isEmpty || cache.isAtHand(object.chunk(at: range.lowerBound))
    }

    /// The answer, if a fresh response in the cache makes it and its first bytes are at hand. Does not wait.
    func answerFromCache(at now: Timestamp) -> Dispatch? {
        guard isCacheable, let responses = routes.responses else { return nil }
        let stored = usable(responses.all(for: uri))
        guard let index = StoredResponse.select(for: message, among: stored.map(\.response)),
            case .fresh(let age) = stored[index].response.reuse(for: message, at: now, policy: policy)
        else { return nil }
        let representation = stored[index]
        let answer = StoredAnswer(representation, for: message)
        let head = answer.head(at: now, status(of: answer, representation, age: age), node: routes.node)
        guard !answer.range.isEmpty else {
            return .answer(head, body: nil, route: .media, source: routes.entry.name)
        }
        guard responses.cache.isReady(representation.object.chunk(at: answer.range.lowerBound)) else { return nil }
        let body = CachedBody(responses.cache, representation.object, upTo: answer.range.upperBound)
        return .direct(
            DirectAnswer(
                head: head,
                body: body,
                range: answer.range,
                lease: nil,
                route: .media,
                source: routes.entry.name,
                firstByteDeadline: routes.entry.firstByteDeadline,
                rest: { exchange, position in
                    let rest = position..<answer.range.upperBound
                    try await send(representation, rest, isBegun: true, body, to: exchange) {}
                    try await exchange.finish()
                }
            )
        )
    }

    /// Of an answer from the cache, as far as that has it.
    private func status(of answer: StoredAnswer, _ representation: Representation, age: Duration) -> CacheStatus {
        if !answer.range.isEmpty, let responses = routes.responses,
            CacheOutcome(answer.range, of: representation.object, in: responses.cache) != .hit,
            !responses.hasBody(representation.object)
        {
            return CacheStatus(forward: .partial)
        }
        let left = representation.response.freshness.lifetime - age
        return CacheStatus(isHit: true, timeToLive: left.components.seconds)
    }

    // MARK: - The way of everything else

    func run(_ exchange: Exchange) async throws {
        guard isCacheable, let responses = routes.responses, responses.cache.isOpen else {
            let forward: CacheStatus.Forward = isCacheable ? .bypass : .method
            var reply = try await askOrigin(message.fields, exchange)
            invalidate(after: reply)
            // Its own answer is not one from before.
            reply.moment = routes.responses?.moment(of: uri)
            // An answer to POST may say that it is one to GET (RFC 9110 §9.3.3).
            guard
                case .store(let new) = StoredResponse.decide(
                    request: message,
                    response: reply.message,
                    policy: policy
                )
            else { return try await pass(on: reply, CacheStatus(forward: forward), to: exchange) }
            return try await copy(reply, as: new, CacheStatus(forward: forward), nil, exchange)
        }
        try await answer(exchange, waits: 2, isCollapsed: false)
    }

    /// - Parameter waits: how often the request may wait for another that asks for the same.
    private func answer(_ exchange: Exchange, waits: Int, isCollapsed: Bool) async throws {
        guard let responses = routes.responses else { return }
        let known = responses.all(for: uri)
        let stored = usable(known)
        let index = StoredResponse.select(for: message, among: stored.map(\.response))
        var question = OriginQuestion(stored: stored, selected: index, reason: .uriMiss)
        if let index {
            let (representation, now) = (stored[index], Timestamp.now())
            let answer = StoredAnswer(representation, for: message)
            switch representation.response.reuse(for: message, at: now, policy: policy) {
            case .fresh(let age), .stale(let age, .acceptedByClient):
                let status =
                    isCollapsed
                    ? CacheStatus(forward: .uriMiss, isCollapsed: true)
                    : status(of: answer, representation, age: age)
                return try await send(answer, of: representation, at: now, status, to: exchange)
            case .stale(let age, .whileRevalidating):
                refresh(stored, index)
                let status = status(of: answer, representation, age: age)
                return try await send(answer, of: representation, at: now, status, to: exchange)
            case .gatewayTimeout:
                throw RequestProblem.notStored
            case .validate(let reason, let staleUntil):
                question.reason = reason == .stale || reason == .responseNoCache ? .stale : .request
                question.staleUntil = staleUntil
            }
        } else {
            if RequestDirectives(message.fields).onlyIfCached { throw RequestProblem.notStored }
            question.reason = known.isEmpty ? .uriMiss : stored.isEmpty ? .miss : .varyMiss
        }
        guard mayCollapse(question) else { return try await ask(question, nil, exchange) }
        let key = FlightKey(uri: uri, moment: responses.moment(of: uri))
        switch await routes.flights.join(key, within: routes.longestWait) {
        case .first(let flight):
            // Whoever asked before may have stored something since this request looked.
            guard responses.all(for: uri).map(\.object.number) == known.map(\.object.number) else {
                flight.end(.stored)
                return try await self.answer(exchange, waits: 0, isCollapsed: true)
            }
            try await ask(question, flight, exchange)
        case .waited(.stored) where waits > 0:
            try await self.answer(exchange, waits: 0, isCollapsed: true)
        case .waited(.failed) where waits > 0:
            try await self.answer(exchange, waits: waits - 1, isCollapsed: false)
        case .waited, .alone:
            try Task.checkCancellation()
            try await ask(question, nil, exchange)
        }
    }

    /// Whether what another request for the URI brings may be of use to this one.
    private func mayCollapse(_ question: OriginQuestion) -> Bool {
        guard message.method == "GET", !isAuthorized, question.reason != .request,
            !RequestDirectives(message.fields).noStore
        else { return false }
        // What has to be validated for each request is of use to no other.
        guard let selected = question.selectedResponse else { return true }
        return !selected.freshness.needsValidation && selected.freshness.lifetime > .zero
    }

    /// Validates a response that was just used, for those who come after.
    private func refresh(_ stored: [Representation], _ index: Int) {
        var question = OriginQuestion(stored: stored, selected: index, reason: .stale)
        // What the origin says while it fails takes nobody's place.
        question.staleUntil = Timestamp(nanoseconds: .max)
        var own = self
        own.message.method = "GET"
        // What this client has, or wants of it, is its own affair.
        own.message.fields.remove(Self.conditions)
        routes.refresh(stored[index].object) { [own, question] in
            if case .reply(let reply) = try await own.validate(question, exchange: nil) { try await own.keep(reply) }
        }
    }

    // MARK: - Sending what is stored

    /// Sends a stored response; if it turns out not to be whole, the origin's.
    func send(
        _ answer: StoredAnswer,
        of representation: Representation,
        at now: Timestamp,
        _ status: CacheStatus,
        to exchange: Exchange
    ) async throws {
        let head = answer.head(at: now, status, node: routes.node)
        guard !answer.range.isEmpty else { return try await exchange.respond(head) }
        try await exchange.markResolved()
        var isBegun = false
        do {
            try await send(representation, answer.range, isBegun: false, to: exchange) {
                if !isBegun { try await exchange.start(head) }
                isBegun = true
            }
        } catch let error as SourceError where error.code == .changed && !isBegun {
            return try await ask(OriginQuestion(stored: [], selected: nil, reason: .miss), nil, exchange)
        } catch is OriginBody.Refusal where !isBegun {
            // Said to somebody else, perhaps: this client hears for itself.
            let reply = try await askOrigin(message.fields, exchange)
            return try await pass(on: reply, CacheStatus(forward: .partial), to: exchange)
        }
        try await exchange.finish()
    }

    /// - Parameters:
    ///   - isBegun: whether the client has bytes of the body already.
    ///   - direct: what has sent them.
    /// - Throws: ``SourceError``, `changed` if the origin has another body by now, which is forgotten then;
    ///   ``OriginBody/Refusal``.
    private func send(
        _ representation: Representation,
        _ range: Range<Int64>,
        isBegun: Bool,
        _ direct: CachedBody? = nil,
        to exchange: Exchange,
        begin: () async throws -> Void
    ) async throws {
        guard let cache = routes.responses?.cache else { return }
        let body = body(of: representation, isBegun: isBegun)
        let (meter, name) = (routes.meter, routes.entry.name)
        let sending = CachedSending(cache: cache, object: representation.object, range: range, body: direct) { range in
            let next = try await body.read(range)
            return {
                let piece = try await next()
                if let piece { meter?.countBytes(piece.readableBytes, from: name) }
                return piece
            }
        } isAnothers: { error in
            body.isAnothers(error)
        }
        do {
            try await sending.send(to: exchange) {
                body.begin()
                try await begin()
            }
        } catch let error as SourceError where error.code == .changed {
            routes.responses?.remove(representation)
            throw error
        }
    }

    /// Where this request gets from what the cache does not have: from an answer that is coming in, whoever asked for it,
    /// and else from the origin, with its own fields.
    private func body(of representation: Representation, isBegun: Bool) -> OriginBody {
        OriginBody(representation, routes.answers, isBegun: isBegun) { [self] range, tag in
            var fields = message.fields
            fields.remove(Self.conditions)
            // In the form in which it is kept, whatever else this client takes.
            fields.set("Accept-Encoding", representation.response.fields.first("content-encoding") ?? "identity")
            if let range {
                fields.set("Range", "bytes=\(range.lowerBound)-\(range.upperBound - 1)")
                fields.set("If-Range", tag.description)
            }
            let reply = try await askOrigin(fields, nil)
            return (reply.response, isKept(reply.message))
        }
    }

    /// Whether the cache may keep what an answer brings of a stored response.
    private func isKept(_ part: ResponseMessage) -> Bool {
        var whole = part
        whole.status = 200
        whole.fields.remove("content-range")
        guard case .store = StoredResponse.decide(request: message, response: whole, policy: policy) else {
            return false
        }
        return true
    }

    static let preconditions: Set<String> = [
        "if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since",
    ]
    static let conditions = preconditions.union(["range"])
}

/// What the origin is asked, and why.
struct OriginQuestion: Sendable {
    /// The responses to the URI that can be sent.
    let stored: [Representation]
    /// The one among them that the request selects.
    let selected: Int?
    var reason: CacheStatus.Forward
    /// Until when the selected one may be used if the origin fails.
    var staleUntil: Timestamp?

    var selectedRepresentation: Representation? {
        selected.flatMap { stored.indices.contains($0) ? stored[$0] : nil }
    }

    var selectedResponse: StoredResponse? { selectedRepresentation?.response }
}

extension RequestProblem {
    static let loop = RequestProblem(508, .refused, "the origin leads back to this gateway; see base_url")

    static let notStored = RequestProblem(504, .timedOut, "the client wants a stored response, and there is none")
}
