import ChunkCache
import SourcePlugins

/// A range of what the cache does not have: what is asked for is more than the client wants, up to the end of a chunk.
/// What lies before its start is fetched once the client has its bytes.
struct WantedRange: Sendable, Hashable {
    let first: Int64
    /// The last byte that the client wants; `nil` for all there are.
    let last: Int64?
    /// Where what is asked for ends.
    let end: Int64
    /// Whether it lies so near the start that all of the body may be read up to it.
    let isNear: Bool

    /// - Returns: `nil` unless the request is for one range with a start, and nothing else.
    init?(_ message: RequestMessage, _ cache: ChunkStore?) {
        guard message.method == "GET", let cache,
            let range = message.fields.first("range").flatMap({ ByteRangeRequest(field: $0) }),
            !message.fields.lines.contains(where: { Forwarding.preconditions.contains($0.name.lowercased()) })
        else { return nil }
        let size = Int64(cache.settings.chunkSize)
        switch range {
        case .suffix:
            return nil
        case .from(let first):
            (self.first, last, end) = (first, nil, .max)
        case .bounded(let first, let last):
            let (end, overflow) = (last / size + 1).multipliedReportingOverflow(by: size)
            (self.first, self.last, self.end) = (first, last, overflow ? .max : end)
        }
        isNear = first <= size
    }

    /// Whether what is asked for is no more than the client wants.
    var isAsAsked: Bool { last == nil || last == end - 1 }

    /// The field that asks for it.
    var field: String { "bytes=\(first)-\(end == .max ? "" : String(end - 1))" }
}

extension Forwarding {
    func ask(
        for wanted: WantedRange,
        _ question: OriginQuestion,
        _ flight: RequestFlight?,
        _ exchange: Exchange
    ) async throws {
        var fields = message.fields
        fields.set("Range", wanted.field)
        let reply = try await askOrigin(fields, exchange)
        guard reply.message.status == 206 else {
            var own = self
            // All of it, if that is what the origin gives: the client does not wait for what it would not be sent.
            if reply.message.status == 200, !wanted.isNear { own.message.fields.remove("range") }
            return try await own.take(reply, question, flight, exchange)
        }
        var status = CacheStatus(forward: question.reason)
        guard let (interval, total) = reply.response.part, interval.lowerBound == wanted.first,
            interval.upperBound == min(wanted.end, total)
        else {
            // Whatever it is, it is not for the cache to make something of, nor for others to wait for.
            flight?.end(.unshared)
            if wanted.isAsAsked { return try await pass(on: reply, status, to: exchange) }
            reply.response.cancel()
            return try await pass(on: askOrigin(message.fields, exchange), status, to: exchange)
        }
        if let representation = representation(ofPart: reply, total: total) {
            status.isStored = true
            routes.answers.note(givesParts: true, of: representation.object)
            return try await send(representation, reply, from: wanted.first, status, flight, exchange)
        }
        flight?.end(.unshared)
        guard let last = wanted.last, last < interval.upperBound - 1 else {
            return try await pass(on: reply, status, to: exchange)
        }
        var cut = reply
        cut.message.fields.remove(StoredAnswer.digests)
        cut.message.fields.set("Content-Range", "bytes \(wanted.first)-\(last)/\(total)")
        try await pass(on: cut, status, limit: last - wanted.first + 1, to: exchange)
    }

    /// The stored response that a part of it makes, if its parts may be joined.
    private func representation(ofPart reply: OriginReply, total: Int64) -> Representation? {
        var whole = reply.message
        whole.status = 200
        whole.fields.remove(StoredAnswer.digests.union(["content-range"]))
        whole.fields.set("Content-Length", String(total))
        guard case .store(let new) = StoredResponse.decide(request: message, response: whole, policy: policy),
            let tag = new.eTag, !tag.isWeak
        else { return nil }
        return representation(of: new, reply, size: total)
    }
}
