import AsyncHTTPClient
import NIOCore
import Synchronization

/// The HTTP clients of one source: one for each host and address, so that a name that was vetted is connected to at the
/// address that was vetted, whatever it means to the resolver a moment later.
final class OriginClients: Sendable {
    private struct Key: Hashable {
        let host: HostName
        let address: IPAddress
    }

    private struct State {
        var clients: [Key: (client: OriginClient, lastUse: UInt64)] = [:]
        var uses: UInt64 = 0
        var isClosed = false
    }

    private let connectTimeout: Duration
    private let connections: Int
    private let limit: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - connections: how many there may be to one host and port.
    ///   - limit: of how many clients the connections are kept for later.
    init(connectTimeout: Duration, connections: Int, limit: Int = 32) {
        self.connectTimeout = connectTimeout
        self.connections = connections
        self.limit = max(limit, 1)
    }

    /// The client that connects to `address` and speaks to `host` there.
    ///
    /// - Throws: ``OriginFailure`` after ``close()``.
    func client(for host: HostName, at address: IPAddress) throws -> OriginClient {
        let key = Key(host: host, address: address)
        // Those who make room are let go outside the lock: with the last exchange they end.
        let (client, _) = try state.withLock { state -> (OriginClient, OriginClient?) in
            guard !state.isClosed else { throw OriginFailure(.shuttingDown) }
            state.uses += 1
            if let known = state.clients[key]?.client {
                state.clients[key] = (known, state.uses)
                return (known, nil)
            }
            let client = OriginClient(configuration(host, address))
            var evicted: OriginClient?
            if state.clients.count >= limit, let oldest = state.clients.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                evicted = state.clients.removeValue(forKey: oldest.key)?.client
            }
            state.clients[key] = (client, state.uses)
            return (client, evicted)
        }
        return client
    }

    /// Shuts all clients down, and with them what they are at. There is none afterwards.
    func close() async {
        let clients = state.withLock { state in
            state.isClosed = true
            defer { state.clients = [:] }
            return state.clients.values.map(\.client)
        }
        for client in clients { await client.shutDown() }
    }

    private func configuration(_ host: HostName, _ address: IPAddress) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = .nanoseconds(connectTimeout.wholeNanoseconds)
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = connections
        // A refused connection is told at once: what to do about it is decided above.
        configuration.connectionPool.retryConnectionEstablishment = false
        if case .name(let name) = host { configuration.dnsOverride = [name: address.description] }
        return configuration
    }
}

/// An HTTP client that is shut down with its last reference: whoever sends a request keeps one until it has ended.
final class OriginClient: Sendable {
    let http: HTTPClient

    init(_ configuration: HTTPClient.Configuration) {
        http = HTTPClient(configuration: configuration)
    }

    func shutDown() async {
        // It only fails for a client that was shut down already.
        try? await http.shutdown()
    }

    deinit {
        // Holds the client until it is done; after `shutDown()` it does nothing.
        http.shutdown { _ in }
    }
}
