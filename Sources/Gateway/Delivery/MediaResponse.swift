import SourcePlugins

/// The head of an answer with, or about, an object.
package struct MediaResponse: Sendable {
    /// The gateway's name in `Cache-Status`.
    let node: String
    /// `Cache-Status` for each outcome.
    private let cacheStatus: [CacheOutcome: String]

    /// - Parameter node: the gateway's name, a structured-field string or token already.
    package init(node: String) {
        self.node = node
        cacheStatus = Dictionary(uniqueKeysWithValues: CacheOutcome.allCases.map { ($0, "\(node); \($0.parameters)") })
    }

    /// The fields that all answers with bytes of the object have, unless they are downloads.
    func readyFields(of info: ObjectInfo, name: MediaPath.Component?) -> ReadyFields {
        var head = ResponseHead(status: 200, framing: .none)
        addValidators(info, to: &head)
        head.add("Accept-Ranges", info.size == nil ? "none" : "bytes")
        addContentFields(info, name, .inline, to: &head)
        return ReadyFields(head)
    }

    /// The head of an answer with bytes of an object whose fields are ready.
    func head(_ plan: DeliveryPlan, of info: ObjectInfo, _ fields: ReadyFields, _ cache: CacheOutcome) -> ResponseHead {
        var head = ResponseHead(status: plan.status, framing: framing(of: plan))
        head.add(ready: fields)
        head.contentRange = plan.contentRange
        addAge(info, to: &head)
        addCacheStatus(cache, info, to: &head)
        return head
    }

    func head(
        _ plan: DeliveryPlan,
        of info: ObjectInfo,
        name: MediaPath.Component?,
        isDownload: Bool,
        cache: CacheOutcome
    ) -> ResponseHead {
        var head = ResponseHead(status: plan.status, framing: framing(of: plan))
        addValidators(info, to: &head)
        addAge(info, to: &head)
        addCacheStatus(cache, info, to: &head)
        guard plan.status != 304 else { return head }
        head.add("Accept-Ranges", info.size == nil ? "none" : "bytes")
        head.contentRange = plan.contentRange
        guard plan.status == 200 || plan.status == 206 else { return head }
        addContentFields(info, name, isDownload ? .attachment : .inline, to: &head)
        return head
    }

    private func addContentFields(
        _ info: ObjectInfo,
        _ name: MediaPath.Component?,
        _ mode: ContentDisposition.Mode,
        to head: inout ResponseHead
    ) {
        let type = info.mediaType.flatMap(MediaType.init(declared:)) ?? name.map(MediaType.init(of:))
        if let type {
            head.add("Content-Type", type.contentType)
            if let policy = type.contentSecurityPolicy { head.add("Content-Security-Policy", policy) }
        }
        head.add("X-Content-Type-Options", "nosniff")
        if let name {
            head.add("Content-Disposition", ContentDisposition(mode, name: name).value)
        }
    }

    private func framing(of plan: DeliveryPlan) -> ResponseHead.Framing {
        if let length = plan.contentLength { return .length(length) }
        return plan.body == .unknownLength ? .chunked : .none
    }

    private func addValidators(_ info: ObjectInfo, to head: inout ResponseHead) {
        if let revision = info.revision {
            head.add("ETag", "\"\(revision)\"")
            if let modified = info.lastModified.flatMap({ HTTPDate.format(seconds: $0.seconds) }) {
                head.add("Last-Modified", modified)
            }
        }
        switch info.validity {
        case .immutable: head.add("Cache-Control", "public, max-age=31536000, immutable")
        case .recheck:
            guard let caching = info.caching, caching.cacheControl != nil || caching.expires != nil else {
                head.add("Cache-Control", "no-cache")
                return
            }
            if let cacheControl = caching.cacheControl { head.add("Cache-Control", cacheControl) }
            if let expires = caching.expires { head.add("Expires", expires) }
        }
    }

    /// Of what an origin gave, however little of it was kept: it is as old as the answer that told of the object.
    ///
    /// Not where the lifetime is that from `Date`, which is the gateway's, to `Expires`: it would be counted twice.
    private func addAge(_ info: ObjectInfo, to head: inout ResponseHead) {
        guard let caching = info.caching, caching.expires == nil || caching.hasMaxAge else { return }
        head.add("Age", String(caching.age(at: .now)))
    }

    private func addCacheStatus(_ cache: CacheOutcome, _ info: ObjectInfo, to head: inout ResponseHead) {
        head.cache = cache
        guard let status = cacheStatus[cache] else { return }
        let others = cache == .hit ? nil : info.caching?.cacheStatus
        head.add("Cache-Status", others.map { "\($0), \(status)" } ?? status)
    }
}
