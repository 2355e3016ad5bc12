import NIOCore
import SourcePlugins

/// A page, a document or a playlist as the answer to a request.
struct PageAnswer: Sendable {
    var head: ResponseHead
    let body: ByteBuffer

    private init(_ body: ByteBuffer, type: String) {
        self.body = body
        head = ResponseHead(status: 200, framing: .length(Int64(body.readableBytes)))
        head.add("Content-Type", type)
        head.add("Cache-Control", "no-store")
    }

    init(_ page: Page) {
        self.init(ByteBuffer(string: page.markup), type: Page.contentType)
        head.add("Content-Security-Policy", Page.contentSecurityPolicy)
        head.add("X-Content-Type-Options", "nosniff")
        head.add("Vary", "Accept")
    }

    init(json: [UInt8]) {
        self.init(ByteBuffer(bytes: json), type: JSONBody.mediaType)
        head.add("Vary", "Accept")
    }

    /// - Parameter name: to save it under.
    init(_ playlist: Playlist, name: MediaPath.Component?) {
        self.init(ByteBuffer(string: playlist.text), type: Playlist.mediaType)
        // To be saved or given to a player: browsers that show it look for an HLS stream in it, and find none.
        if let name { head.add("Content-Disposition", ContentDisposition(.attachment, name: name).value) }
    }

    init(text: String, status: Int = 200) {
        self.init(ByteBuffer(string: text), type: "text/plain; charset=utf-8")
        head.status = status
        head.add("X-Content-Type-Options", "nosniff")
    }
}

extension BaseURL {
    /// What a trusted proxy says of scheme and host stands in place of what the connection does.
    ///
    /// - Throws: ``RequestProblem`` if the request does not say by which name the client reached the gateway.
    init(of request: GatewayRequest) throws {
        let told = Self.told(.forwardedProto, by: request)?.lowercased()
        let scheme = told.flatMap(Scheme.init(rawValue:)) ?? .http
        let hosts = [Self.told(.forwardedHost, by: request), request.head.fields[.host]]
        guard let base = hosts.compactMap({ $0.flatMap { BaseURL(scheme, authority: $0) } }).first else {
            throw RequestProblem(400, .badHost, "a playlist needs whole URLs, and the request has no Host field")
        }
        self = base
    }

    /// Whatever comes before the last member, the proxy only passed on.
    private static func told(_ field: KnownField, by request: GatewayRequest) -> String? {
        guard request.proxy != nil else { return nil }
        return request.head.fields[field]?.split(separator: ",").last?.trimmingBlanks
    }
}
