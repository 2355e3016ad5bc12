import Config
import Logging

/// An HTTP origin of which everything passes: any method, any status, all fields that go beyond one connection.
package final class HTTPProxySource: ForwardingSource {
    package let caching: CachingPolicy
    package let requestBodyLimit: Int64
    package let forwardsHost: Bool
    private let source: HTTPSource
    /// Its path ends in a slash.
    private let base: TargetURI

    /// - Returns: `nil` if the base URL is none that a request can be made for.
    init?(_ settings: HTTPSettings, context: SourceContext) {
        guard let base = TargetURI(settings.baseURL.description) else { return nil }
        self.base = base
        source = HTTPSource(settings, context: context)
        caching = settings.caching
        requestBodyLimit = settings.requestBodyLimit
        forwardsHost = settings.forwardsHost
    }

    package func run() async throws { try await source.run() }

    package func open(_ path: MediaPath) async throws -> any MediaObject { try await source.open(path) }

    package func uri(of target: Substring) -> ForwardedURI? {
        let relative = String(target.utf8.first == UInt8(ascii: "/") ? target.dropFirst() : target)
        guard (try? ForwardedTarget(relative)) != nil, let uri = TargetURI("\(base)\(relative)") else { return nil }
        return self.uri(at: uri)
    }

    package func uri(at uri: TargetURI) -> ForwardedURI? {
        guard uri.isSameOrigin(as: base), uri.requestTarget.hasPrefix(base.requestTarget) else { return nil }
        return ForwardedURI(uri: uri, target: String(uri.requestTarget.dropFirst(base.requestTarget.count)))
    }

    package func forward(
        _ request: ForwardedRequest,
        for client: ForwardedClient
    ) async throws -> ForwardedResponse {
        try await source.forward(request, for: client)
    }
}
