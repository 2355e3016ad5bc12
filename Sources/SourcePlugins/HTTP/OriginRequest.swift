/// What is asked of an origin.
struct OriginRequest: Sendable {
    var method = "GET"
    /// Below a base URL, percent-encoded.
    let target: String
    /// Those of the configuration take the place of these.
    let fields: HeaderFields
    var body: UploadBody?
    /// Whether the client is to see whatever the origin answers, redirects and failures too.
    var isForwarded = false

    /// What counts as one object for the circuit breaker.
    var path: String { String(target.prefix { $0 != "?" }) }

    /// RFC 9110 §9.2.1, and no method that is not known.
    var isSafe: Bool { ["GET", "HEAD", "OPTIONS", "TRACE"].contains(method) }

    /// Whether the request may be made once more.
    ///
    /// - Parameter wasSent: whether the origin may have seen it.
    func mayRepeat(wasSent: Bool) -> Bool {
        (isSafe || !wasSent) && body?.isTouched != true
    }
}

extension OriginRequest {
    /// Asks for an object, or a range of it.
    ///
    /// - Parameters:
    ///   - range: `nil` for all of it.
    ///   - validator: the strong entity tag that the object has to have for the range to be of use.
    ///   - node: the name of this gateway in `Via`.
    /// - Throws: ``SourceError`` if the request that it is for has passed this gateway before.
    init(
        _ path: MediaPath,
        _ range: Range<Int64>?,
        validator: String?,
        for trace: RequestTrace?,
        node: String
    ) throws(SourceError) {
        let trace = trace ?? RequestTrace([:])
        try trace.check(node)
        var fields: HeaderFields = [
            "Accept": "*/*", "User-Agent": "media-gateway", "Accept-Encoding": "identity",
            "Via": trace.via(behind: node),
        ]
        if let traceparent = trace.traceparent { fields.append("Traceparent", traceparent) }
        if let range {
            let last = range.upperBound == .max ? "" : String(range.upperBound - 1)
            fields.append("Range", "bytes=\(range.lowerBound)-\(last)")
            if let validator { fields.append("If-Range", validator) }
        }
        target = path.percentEncoded
        self.fields = fields
    }

    /// - Throws: ``SourceError``: `badPath` for a target that does not stay below the base URL, `refused` for a request
    ///   that has passed this gateway before or cannot be sent.
    init(
        _ request: ForwardedRequest,
        for client: ForwardedClient,
        node: String,
        forwardsHost: Bool
    ) throws(SourceError) {
        guard FieldSyntax.isToken(request.method[...]), request.method != "CONNECT" else {
            throw SourceError(.refused, "the method is none that is sent on")
        }
        // A body of no bytes is none.
        let body = request.body.flatMap { $0.length == 0 ? nil : UploadBody($0) }
        guard body == nil || request.method != "TRACE" else { throw SourceError(.refused, "TRACE has no body") }
        target = try ForwardedTarget(request.target).text
        fields = try request.outgoingFields(for: client, node: node, forwardsHost: forwardsHost)
        method = request.method
        self.body = body
        isForwarded = true
    }
}

/// The answer of an origin. Whoever has it ends the exchange.
struct OriginResponse: Sendable {
    let head: OriginHead
    let exchange: OriginExchange
    /// Which of the base URLs it is from.
    let base: Int
    /// When it was asked for, and when its head came.
    let times: (asked: Timestamp, came: Timestamp)
}
