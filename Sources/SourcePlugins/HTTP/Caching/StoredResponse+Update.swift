/// A stored response after the origin vouched for it.
package struct FreshenedResponse: Sendable, Hashable {
    /// What becomes of the response in the cache.
    package enum Effect: Sendable, Hashable {
        case replace
        /// It stays as it was: nothing of this answer may be stored.
        case keep
        /// It leaves: the origin does not want it stored any longer.
        case remove(StoreRefusal)
    }

    /// Answers the request that asked.
    package let response: StoredResponse
    package let effect: Effect
}

extension StoredResponse {
    /// The response with the fields of a 304 that is about it, as old as that (RFC 9111 §3.2, §4.3.4).
    ///
    /// - Parameter request: what the 304 answers.
    package func freshened(
        by update: ResponseMessage,
        request: RequestMessage,
        policy: CachingPolicy
    ) -> FreshenedResponse {
        var message = update
        message.status = status
        message.fields = fields
        // The date of the old response is not that of the new: without one, it is when that came.
        message.fields.remove("date")
        message.fields.replace(with: updatingFields(of: update.fields))
        let terms = StoringTerms(message, policy: policy)
        guard let variant = updatedVariant(message, request) else {
            let response = StoredResponse(message, for: self.variant, terms: terms)
            return FreshenedResponse(response: response, effect: .remove(.varyAny))
        }
        let response = StoredResponse(message, for: variant, terms: terms)
        return FreshenedResponse(response: response, effect: effect(of: message, to: request, terms))
    }

    /// The requests that this answers with the fields of `message`: other ones if there is another `Vary` now.
    private func updatedVariant(_ message: ResponseMessage, _ request: RequestMessage) -> VariantKey? {
        if VariantKey.names(in: message.fields) == variant.selectors.map(\.name) { return variant }
        return VariantKey(response: message.fields, request: request.fields)
    }

    private func effect(
        of message: ResponseMessage,
        to request: RequestMessage,
        _ terms: StoringTerms
    ) -> FreshenedResponse.Effect {
        // HEAD stores nothing of its own, and changes what GET stored.
        var get = request
        get.method = "GET"
        return switch terms.refusal(of: message, to: get) {
        case nil: .replace
        case .requestNoStore, .authorization, .method: .keep
        case .some(let refusal): .remove(refusal)
        }
    }

    /// The fields of an update that replace stored ones: not those that the stored body depends on, nor what is for the
    /// client alone that caused it.
    private func updatingFields(of update: HeaderFields) -> HeaderFields {
        update.endToEnd.filtered { name in
            switch name {
            case "content-length", "content-encoding", "content-range": false
            case "set-cookie", "set-cookie2": false
            // It matched, perhaps weakly: what is stored may say more.
            case "etag": !fields.contains("etag")
            default: true
            }
        }
    }
}

/// What a response to HEAD says about the stored response to GET (RFC 9111 §4.3.5).
package enum HeadOutcome: Sendable, Hashable {
    case update(FreshenedResponse)
    /// The resource has changed, or is no more.
    case invalidate
    /// Nothing.
    case keep
}

extension StoredResponse {
    /// What `head`, the origin's answer to `request`, means for this response, which could have answered it.
    ///
    /// A stored response without `Content-Length` is taken for another if `head` has one: whoever stores a body that came
    /// in chunks should note its length there.
    package func outcome(
        ofHead head: ResponseMessage,
        request: RequestMessage,
        policy: CachingPolicy
    ) -> HeadOutcome {
        switch head.status {
        case 200 where status == 200 && describesThis(head):
            .update(freshened(by: head, request: request, policy: policy))
        case 200, 404, 410:
            .invalidate
        default:
            .keep
        }
    }

    private func describesThis(_ head: ResponseMessage) -> Bool {
        guard !head.hasRepairedTag else { return false }
        return ["etag", "last-modified", "content-length"].allSatisfy { name in
            guard let value = head.fields.first(name) else { return true }
            return fields.first(name).map { FieldSyntax.isSame($0, value) } ?? false
        }
    }
}
