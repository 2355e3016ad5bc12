import NIOCore
import SourcePlugins

/// What the origin answered.
struct OriginReply: Sendable {
    let response: ForwardedResponse
    var message: ResponseMessage
    /// When it was asked for.
    var moment: StoredResponses.Moment?
}

extension OriginQuestion {
    /// Whether the selected response may be used after the origin has failed, which may have taken a while.
    fileprivate func mayUseStale(at now: Timestamp) -> Bool { staleUntil.map { now < $0 } ?? false }
}

// What goes to the origin, and what its answer means for the cache.
extension Forwarding {
    enum Validated {
        /// A stored response is right again.
        case updated(Representation, ResponseMessage)
        /// A stored response may be used although the origin failed; with that status if it had one.
        case stale(Representation, status: Int?)
        case reply(OriginReply)
        /// The client's own response is right.
        case clientsOwn(OriginReply)
    }

    /// Sends the request with other fields.
    ///
    /// - Parameter exchange: brings the body, if the request has one.
    func askOrigin(_ fields: HeaderFields, _ exchange: Exchange?) async throws -> OriginReply {
        let limit = routes.source.requestBodyLimit
        let body = exchange.flatMap { message.hasContent ? ExchangeBody($0, message, limit) : nil }
        try body?.checkLength()
        let moment = routes.responses?.moment(of: uri)
        routes.meter?.countRead(of: routes.entry.name)
        do {
            let response = try await routes.source.forward(
                ForwardedRequest(
                    method: exchange == nil ? "GET" : message.method,
                    target: uri.target,
                    fields: fields,
                    body: body
                ),
                for: client
            )
            return OriginReply(response: response, message: response.head, moment: moment)
        } catch {
            throw body?.problem ?? error
        }
    }

    /// Asks the origin whether a stored response is still right, or for one if there is none.
    func validate(_ question: OriginQuestion, exchange: Exchange?) async throws -> Validated {
        let heads = question.stored.map(\.response)
        // If it selects none, nothing that is stored has the fields that it needs, whatever its body is.
        let validation =
            message.method == "GET" && question.selected != nil
            ? ValidationRequest(for: message, stored: heads, selected: question.selected) : nil
        var fields = message.fields
        if let validation {
            fields = validation.fields
            // What comes instead of a 304 is to be whole.
            fields.remove(["range", "if-range"])
        }
        let selected = question.selectedRepresentation
        let reply: OriginReply
        do {
            reply = try await askOrigin(fields, exchange)
        } catch let error as SourceError {
            guard let selected else { throw error }
            if question.mayUseStale(at: .now()) { return .stale(selected, status: nil) }
            throw RequestProblem(504, ProblemCode(error.code), error.message)
        }
        if let selected, ReuseDecision.isError(status: reply.message.status), question.mayUseStale(at: .now()) {
            reply.response.cancel()
            return .stale(selected, status: reply.message.status)
        }
        guard let validation, reply.message.status == 304 else { return .reply(reply) }
        switch validation.outcome(of: reply.message, stored: heads) {
        case .update(let indices):
            reply.response.cancel()
            return .updated(update(indices, question.stored, reply), reply.message)
        case .passOn:
            return .clientsOwn(reply)
        case .repeatUnconditionally:
            reply.response.cancel()
            var plain = message.fields
            plain.remove(Self.conditions)
            return .reply(try await askOrigin(plain, exchange))
        }
    }

    /// Gives stored responses the fields of a 304.
    ///
    /// - Returns: what answers the client.
    private func update(_ indices: [Int], _ stored: [Representation], _ reply: OriginReply) -> Representation {
        var answer = stored[indices[0]]
        for index in indices {
            let freshened = stored[index].response.freshened(by: reply.message, request: message, policy: policy)
            apply(freshened, to: stored[index], reply)
            if index == indices[0] { answer.response = freshened.response }
        }
        return answer
    }

    private func apply(_ freshened: FreshenedResponse, to representation: Representation, _ reply: OriginReply) {
        guard let responses = routes.responses, let moment = reply.moment else { return }
        switch freshened.effect {
        case .replace: responses.update(representation, freshened.response, of: uri, askedAt: moment)
        case .keep: break
        case .remove: responses.remove(representation)
        }
    }

    /// What a request that may have changed something makes of what is stored (RFC 9111 §4.4).
    func invalidate(after reply: OriginReply) {
        guard let responses = routes.responses else { return }
        let status = reply.message.status
        for target in Invalidation.targets(of: message, status: status, fields: reply.message.fields) {
            if let uri = routes.source.uri(at: target) { responses.invalidate(uri) }
        }
    }

    /// Whether what the cache lacks of a stored body may be asked for, if this request needs any of it.
    func mayComplete(_ representation: Representation) -> Bool {
        guard !isAuthorized else { return false }
        guard message.fields.contains("cache-control"), RequestDirectives(message.fields).onlyIfCached else {
            return true
        }
        let range = StoredAnswer(representation, for: message).range
        return range.isEmpty || routes.responses?.has(range, of: representation.object) == true
    }

    // MARK: - Asking for the client

    /// Asks the origin, sends what comes of it, and keeps it if it may be kept.
    ///
    /// - Parameter flight: lets go of those who wait for this.
    func ask(_ question: OriginQuestion, _ flight: RequestFlight?, _ exchange: Exchange) async throws {
        // Unless something better has become of it.
        defer { flight?.end(.failed) }
        if question.selected == nil, let wanted = WantedRange(message, routes.responses?.cache) {
            return try await ask(for: wanted, question, flight, exchange)
        }
        switch try await validate(question, exchange: exchange) {
        case .updated(let representation, let head):
            flight?.end(.stored)
            let status = CacheStatus(forward: question.reason, forwardStatus: 304, isStored: true)
            let answer = StoredAnswer(representation, for: message)
            try await send(answer, of: representation, at: head.responseTime, status, to: exchange)
        case .stale(let representation, let code):
            flight?.end(.failed)
            let status = CacheStatus(forward: question.reason, forwardStatus: code)
            let answer = StoredAnswer(representation, for: message)
            try await send(answer, of: representation, at: .now(), status, to: exchange)
        case .clientsOwn(let reply):
            flight?.end(.failed)
            try await pass(on: reply, CacheStatus(forward: question.reason), to: exchange)
        case .reply(let reply):
            try await take(reply, question, flight, exchange)
        }
    }

    /// Sends a new answer of the origin, and keeps it if it may be kept.
    func take(
        _ reply: OriginReply,
        _ question: OriginQuestion,
        _ flight: RequestFlight?,
        _ exchange: Exchange
    ) async throws {
        let status = CacheStatus(forward: question.reason)
        if message.method == "HEAD" {
            flight?.end(.failed)
            return try await pass(on: heard(reply, question.stored), status, to: exchange)
        }
        switch StoredResponse.decide(request: message, response: reply.message, policy: policy) {
        case .store(let new):
            try await send(new, reply, status, flight, exchange)
        case .refuse(let refusal):
            if isOfUseToNobody(reply, refusal) {
                if let moment = reply.moment { routes.flights.keepApart(FlightKey(uri: uri, moment: moment)) }
                flight?.end(.unshared)
            }
            flight?.end(.failed)
            try await pass(on: reply, status, to: exchange)
        }
    }

    /// Whether it is the response, and not this request alone, that keeps others from using it.
    private func isOfUseToNobody(_ reply: OriginReply, _ refusal: StoreRefusal) -> Bool {
        switch refusal {
        case .method, .requestNoStore, .partial, .authorization: false
        case .status, .notUnderstood, .noStore, .isPrivate, .setCookie, .varyAny, .noUse:
            // A client's own precondition says nothing about other requests.
            ![206, 304, 412, 416].contains(reply.message.status)
        }
    }

    private func send(
        _ new: StoredResponse,
        _ reply: OriginReply,
        _ status: CacheStatus,
        _ flight: RequestFlight?,
        _ exchange: Exchange
    ) async throws {
        let isStrong = new.eTag.map { !$0.isWeak } ?? false
        if let size = reply.response.length, size == 0 || isStrong,
            let representation = representation(of: new, reply, size: size)
        {
            var status = status
            status.isStored = true
            return try await send(representation, reply, from: 0, status, flight, exchange)
        }
        try await copy(reply, as: new, status, flight, exchange)
    }

    /// The stored response for a new one: what is there of the same body is used on.
    func representation(of new: StoredResponse, _ reply: OriginReply, size: Int64) -> Representation? {
        guard let responses = routes.responses, let moment = reply.moment else { return nil }
        guard let known = responses.twin(of: new, for: uri, size: size) else {
            return responses.insert(new, for: uri, size: size, askedAt: moment)
        }
        responses.update(known, new, of: uri, askedAt: moment)
        return Representation(object: known.object, response: new)
    }

    /// Sends a response whose body is coming in, and lets others have it too.
    ///
    /// - Parameter position: where in the body the origin's answer begins.
    func send(
        _ representation: Representation,
        _ reply: OriginReply,
        from position: Int64,
        _ status: CacheStatus,
        _ flight: RequestFlight?,
        _ exchange: Exchange
    ) async throws {
        let (live, object) = (LiveAnswer(reply.response, from: position), representation.object)
        routes.answers.open(live, of: object)
        defer { routes.answers.close(live, of: object) }
        flight?.end(.stored)
        let answer = StoredAnswer(representation, for: message)
        // It is there already, under the same tag, or leads nowhere near what the client wants.
        if routes.responses?.cache.isAtHand(object.chunk(at: position)) == true
            || !live.leads(to: answer.range.lowerBound, of: object)
        {
            live.end()
        }
        try await send(answer, of: representation, at: reply.message.responseTime, status, to: exchange)
    }

    /// What an answer to HEAD says about stored responses to GET (RFC 9111 §4.3.5).
    ///
    /// - Returns: the answer for the client.
    private func heard(_ reply: OriginReply, _ stored: [Representation]) -> OriginReply {
        var reply = reply
        for representation in stored where representation.response.variant.matches(message.fields) {
            switch representation.response.outcome(ofHead: reply.message, request: message, policy: policy) {
            case .update(let update):
                reply.message.fields = update.response.fields(at: reply.message.responseTime)
                apply(update, to: representation, reply)
            case .invalidate:
                if let moment = reply.moment {
                    let invalid = representation.response.invalidated
                    routes.responses?.update(representation, invalid, of: uri, askedAt: moment)
                }
            case .keep: break
            }
        }
        return reply
    }
}
