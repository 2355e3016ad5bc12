import SourcePlugins

/// A shared cache in memory that does what the values say and nothing beside it.
struct CacheModel {
    struct Answer {
        var status: Int
        var fields: HeaderFields
        /// Whether the origin's content was not needed and it was not asked before the answer.
        var isFromCache: Bool
        /// What the origin was asked, in order.
        var forwarded: [RequestMessage] = []
    }

    /// The origin; `nil` for a connection that breaks.
    typealias Origin = (RequestMessage) -> (status: Int, fields: HeaderFields)?

    var policy = CachingPolicy()
    var responseDelay = Duration.zero
    private var stored: [TargetURI: [StoredResponse]] = [:]

    init(policy: CachingPolicy = CachingPolicy()) {
        self.policy = policy
    }

    mutating func answer(_ request: RequestMessage, at now: Timestamp, origin: Origin) -> Answer {
        guard request.isSafe else { return forward(request, at: now, origin: origin) }
        let candidates = stored[request.target] ?? []
        guard let index = StoredResponse.select(for: request, among: candidates) else {
            if RequestDirectives(request.fields).onlyIfCached {
                return .init(status: 504, fields: [:], isFromCache: true)
            }
            return validate(request, selected: nil, errorsUntil: nil, at: now, origin: origin)
        }
        switch candidates[index].reuse(for: request, at: now, policy: policy) {
        case .fresh, .stale(_, .acceptedByClient):
            return cached(candidates[index], for: request, at: now)
        case .stale(_, .whileRevalidating):
            var answer = cached(candidates[index], for: request, at: now)
            answer.forwarded = validate(request, selected: index, errorsUntil: nil, at: now, origin: origin).forwarded
            return answer
        case .validate(_, let until):
            return validate(request, selected: index, errorsUntil: until, at: now, origin: origin)
        case .gatewayTimeout:
            return .init(status: 504, fields: [:], isFromCache: true)
        }
    }

    private func cached(_ response: StoredResponse, for request: RequestMessage, at now: Timestamp) -> Answer {
        response.isNotModified(for: request)
            ? Answer(status: 304, fields: response.notModifiedFields(at: now), isFromCache: true)
            : Answer(status: response.status, fields: response.fields(at: now), isFromCache: true)
    }

    private mutating func validate(
        _ request: RequestMessage,
        selected: Int?,
        errorsUntil: Timestamp?,
        at now: Timestamp,
        origin: Origin
    ) -> Answer {
        let candidates = stored[request.target] ?? []
        guard !candidates.isEmpty, request.method == "GET" else { return forward(request, at: now, origin: origin) }
        let validation = ValidationRequest(for: request, stored: candidates, selected: selected)
        var conditional = request
        conditional.fields = validation.fields
        guard let (status, fields) = origin(conditional), !(ReuseDecision.isError(status: status) && errorsUntil != nil)
        else {
            guard errorsUntil != nil, let selected else {
                return Answer(status: 504, fields: [:], isFromCache: false, forwarded: [conditional])
            }
            var answer = cached(candidates[selected], for: request, at: now)
            answer.forwarded = [conditional]
            return answer
        }
        let response = message(status, fields, at: now)
        guard status == 304 else { return received(response, to: request, forwarded: [conditional], at: now) }
        switch validation.outcome(of: response, stored: candidates) {
        case .update(let indices):
            var answers: [StoredResponse] = []
            var remaining: [StoredResponse?] = candidates
            for index in indices {
                let update = candidates[index].freshened(by: response, request: request, policy: policy)
                answers.append(update.response)
                switch update.effect {
                case .replace: remaining[index] = update.response
                case .keep: break
                case .remove: remaining[index] = nil
                }
            }
            stored[request.target] = remaining.compactMap { $0 }
            var answer = cached(answers[0], for: request, at: response.responseTime)
            answer.isFromCache = false
            answer.forwarded = [conditional]
            return answer
        case .passOn:
            return Answer(status: 304, fields: fields, isFromCache: false, forwarded: [conditional])
        case .repeatUnconditionally:
            var plain = request
            plain.fields.remove(["if-none-match", "if-modified-since"])
            var answer = forward(plain, at: now, origin: origin)
            answer.forwarded.insert(conditional, at: 0)
            return answer
        }
    }

    private mutating func forward(_ request: RequestMessage, at now: Timestamp, origin: Origin) -> Answer {
        guard let (status, fields) = origin(request) else {
            return Answer(status: 502, fields: [:], isFromCache: false, forwarded: [request])
        }
        return received(message(status, fields, at: now), to: request, forwarded: [request], at: now)
    }

    private mutating func received(
        _ response: ResponseMessage,
        to request: RequestMessage,
        forwarded: [RequestMessage],
        at now: Timestamp
    ) -> Answer {
        for target in Invalidation.targets(of: request, status: response.status, fields: response.fields) {
            stored[target] = stored[target]?.map(\.invalidated)
        }
        var answer = Answer(status: response.status, fields: response.fields, isFromCache: false, forwarded: forwarded)
        if request.method == "HEAD" {
            stored[request.target] = stored[request.target]?.compactMap { heard(response, of: $0, request, &answer) }
        }
        if case .store(let new) = StoredResponse.decide(request: request, response: response, policy: policy) {
            stored[request.target, default: []].removeAll { $0.variant == new.variant }
            stored[request.target, default: []].append(new)
        }
        return answer
    }

    private func heard(
        _ head: ResponseMessage,
        of response: StoredResponse,
        _ request: RequestMessage,
        _ answer: inout Answer
    ) -> StoredResponse? {
        guard response.variant.matches(request.fields) else { return response }
        switch response.outcome(ofHead: head, request: request, policy: policy) {
        case .update(let update):
            answer.fields = update.response.fields(at: head.responseTime)
            switch update.effect {
            case .replace: return update.response
            case .keep: return response
            case .remove: return nil
            }
        case .invalidate: return response.invalidated
        case .keep: return response
        }
    }

    private func message(_ status: Int, _ fields: HeaderFields, at now: Timestamp) -> ResponseMessage {
        let arrival = Timestamp(nanoseconds: now.nanoseconds + responseDelay.components.seconds * 1_000_000_000)
        return ResponseMessage(status: status, fields: fields, requestTime: now, responseTime: arrival)
    }
}
