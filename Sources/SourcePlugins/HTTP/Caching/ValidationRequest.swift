/// A request that lets the origin say that a stored response is still right (RFC 9111 §4.3.1).
package struct ValidationRequest: Sendable, Hashable {
    /// The request's fields, with the preconditions that name stored responses in place of the client's own.
    package let fields: HeaderFields
    /// The stored responses whose validators the preconditions name.
    package let named: [Int]
    /// The one among them that answers the client's request as it is.
    package let selected: Int?
    /// Those of the client's own tags that the preconditions still have.
    package let clientTags: [ETag]
    /// Whether the preconditions are the client's own if there are any, since no stored response has a validator that
    /// would do.
    package var isClientsOwn: Bool { named.isEmpty }

    /// Those that the request could select. A 304 is about no others (RFC 9111 §4.3.4): they may have its body, but what
    /// else there is in their heads was for other requests.
    private let selectable: [Int]

    private var isConditional: Bool { fields.contains("if-none-match") || fields.contains("if-modified-since") }

    /// More tags than this are not sent: the origin might refuse the field for its length.
    static let tagLimit = 16

    /// - Parameters:
    ///   - stored: the responses for the request's URI. Only the validators of those that it could select are named.
    ///   - selected: which of them ``StoredResponse/select(for:among:)`` found, if any.
    package init(for request: RequestMessage, stored: [StoredResponse], selected: Int?) {
        self.selected = selected
        var selecting = SelectingFields(request.fields)
        selectable = stored.indices.filter { stored[$0].variant.matches(&selecting) }
        let response = selected.flatMap { stored.indices.contains($0) ? stored[$0] : nil }
        // Without a tag of its own, the others' would keep the origin from looking at the date (RFC 9110 §13.1.3).
        let tagged = response.map { $0.eTag != nil } ?? true ? Self.tagged(stored, selectable, first: selected) : []
        let lastModified = response?.fields.first("last-modified").flatMap { response?.lastModified == nil ? nil : $0 }
        guard !tagged.isEmpty || lastModified != nil else {
            (fields, named, clientTags) = (request.fields, [], [])
            return
        }
        let own = tagged.map(\.tag)
        let condition = ETagCondition(request.fields)
        let others = Array((condition?.tags ?? []).filter { !own.contains($0) }.prefix(Self.tagLimit))
        clientTags = condition?.tags.filter { own.contains($0) || others.contains($0) } ?? []
        var fields = request.fields
        fields.remove(["if-none-match", "if-modified-since"])
        if !own.isEmpty { fields.append("If-None-Match", (own + others).map(\.description).joined(separator: ", ")) }
        if let lastModified { fields.append("If-Modified-Since", lastModified) }
        self.fields = fields
        named = tagged.isEmpty ? [selected].compactMap { $0 } : tagged.map(\.index)
    }

    /// The selectable responses with tags, each tag once, `first` first, the latest next.
    private static func tagged(
        _ stored: [StoredResponse],
        _ selectable: [Int],
        first: Int?
    ) -> [(index: Int, tag: ETag)] {
        let dates = stored.map(\.date)
        let order = selectable.sorted { left, right in
            if left == first || right == first { return left == first && right != first }
            return dates[left] > dates[right]
        }
        var seen: Set<ETag> = []
        var result: [(index: Int, tag: ETag)] = []
        for index in order where result.count < tagLimit {
            if let tag = stored[index].eTag, seen.insert(tag).inserted { result.append((index, tag)) }
        }
        return result
    }
}

extension ValidationRequest {
    /// What a 304 means.
    package enum Outcome: Sendable, Hashable {
        /// These stored responses are still right: at least one, the one to answer with first.
        case update([Int])
        /// The client's own response is; pass the 304 on.
        case passOn
        /// It names nothing that anybody has. Ask again, without preconditions; a 304 to that is a fault of the origin.
        case repeatUnconditionally
    }

    /// Which stored responses a 304 to this is about (RFC 9111 §4.3.3).
    ///
    /// - Parameter stored: those that the request was made with.
    package func outcome(of response: ResponseMessage, stored: [StoredResponse]) -> Outcome {
        // It is about a response that cannot be told from others.
        if response.hasRepairedTag { return isClientsOwn && isConditional ? .passOn : .repeatUnconditionally }
        if let tag = response.eTag {
            if !tag.isWeak {
                let matching = indices(of: stored) { $0.eTag?.matchesStrongly(tag) ?? false }
                if !matching.isEmpty { return .update(selectedFirst(matching)) }
            } else {
                let matching = indices(of: stored) { $0.eTag?.matchesWeakly(tag) ?? false }
                if let match = best(of: matching, stored) { return .update([match]) }
            }
            return isClientsOwn && isConditional || clientTags.contains { $0.matchesWeakly(tag) }
                ? .passOn : .repeatUnconditionally
        }
        guard !isClientsOwn else {
            // It may be about a response without validator that the client took its date from.
            if selectable.count == 1, response.lastModified == nil,
                let only = indices(of: stored, where: { !$0.hasValidator }).first
            {
                return .update([only])
            }
            return isConditional ? .passOn : .repeatUnconditionally
        }
        if let lastModified = response.lastModified {
            let matching = indices(of: stored) { $0.lastModified == lastModified }
            return best(of: matching, stored).map { .update([$0]) } ?? .repeatUnconditionally
        }
        // No validator at all: it means the one that was asked about, if that was one, and the client asked nothing.
        guard named.count == 1, let index = named.first, stored.indices.contains(index),
            clientTags.allSatisfy({ $0 == stored[index].eTag })
        else { return .repeatUnconditionally }
        return .update([index])
    }

    private func indices(of stored: [StoredResponse], where isMeant: (StoredResponse) -> Bool) -> [Int] {
        selectable.filter { stored.indices.contains($0) && isMeant(stored[$0]) }
    }

    /// The selected one if it is among them, else the latest. RFC 9111 has the latest always, which may be another
    /// variant of the same date.
    private func best(of indices: [Int], _ stored: [StoredResponse]) -> Int? {
        if let selected, indices.contains(selected) { return selected }
        return StoredResponse.latest(of: indices, in: stored)
    }

    private func selectedFirst(_ indices: [Int]) -> [Int] {
        guard let selected, indices.contains(selected) else { return indices }
        return [selected] + indices.filter { $0 != selected }
    }
}
