import SourcePlugins

/// The head of an answer with, or about, an object.
package struct MediaResponse: Sendable {
    /// The gateway's name in `Cache-Status`, a structured-field string or token already.
    private let node: String

    package init(node: String) {
        self.node = node
    }

    func head(
        _ plan: DeliveryPlan,
        of info: ObjectInfo,
        name: MediaPath.Component?,
        isDownload: Bool
    ) -> ResponseHead {
        var head = ResponseHead(status: plan.status, framing: framing(of: plan))
        addValidators(info, to: &head)
        guard plan.status != 304 else { return head }
        head.add("Accept-Ranges", info.size == nil ? "none" : "bytes")
        if let contentRange = plan.contentRange { head.add("Content-Range", contentRange) }
        guard plan.status == 200 || plan.status == 206 else { return head }
        let type = info.mediaType.flatMap(MediaType.init(declared:)) ?? name.map(MediaType.init(of:))
        if let type {
            head.add("Content-Type", type.contentType)
            if let policy = type.contentSecurityPolicy { head.add("Content-Security-Policy", policy) }
        }
        head.add("X-Content-Type-Options", "nosniff")
        if let name {
            head.add("Content-Disposition", ContentDisposition(isDownload ? .attachment : .inline, name: name).value)
        }
        return head
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
        case .recheck: head.add("Cache-Control", "no-cache")
        }
        head.add("Cache-Status", "\(node); fwd=bypass")
    }
}
