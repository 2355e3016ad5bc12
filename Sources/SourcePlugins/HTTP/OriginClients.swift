import AsyncHTTPClient
import NIOCore
import NIOSSL
import Synchronization

/// The HTTP clients of one source: one for each host and address, so that a name that was vetted is connected to at the
/// address that was vetted, whatever it means to the resolver a moment later.
final class OriginClients: Sendable {
    private struct Key: Hashable {
        let host: HostName
        let address: IPAddress
    }

    /// One that made room for another, and lives as long as it is used.
    private struct Evicted {
        weak var client: OriginClient?
    }

    private struct State {
        var clients: [Key: (client: OriginClient, lastUse: UInt64)] = [:]
        var evicted: [Evicted] = []
        var uses: UInt64 = 0
        var isClosed = false
    }

    let slots: ConnectionSlots
    private let settings: HTTPSettings
    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: of how many clients the connections are kept for later.
    init(_ settings: HTTPSettings, limit: Int) {
        self.settings = settings
        self.limit = max(limit, 1)
        slots = ConnectionSlots(limit: settings.connections)
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
            let evicted = makeRoom(&state)
            let client = OriginClient(configuration(host, address), address: address)
            state.clients[key] = (client, state.uses)
            return (client, evicted)
        }
        return client
    }

    /// Has the next request use new connections: those that `client` keeps may be dead, all of them.
    func leave(_ client: OriginClient, of host: HostName, at address: IPAddress) {
        let key = Key(host: host, address: address)
        // It goes outside the lock, if nobody uses it.
        _ = state.withLock { state -> OriginClient? in
            guard state.clients[key]?.client === client else { return nil }
            state.evicted.removeAll { $0.client == nil }
            state.evicted.append(Evicted(client: client))
            return state.clients.removeValue(forKey: key)?.client
        }
    }

    private func makeRoom(_ state: inout State) -> OriginClient? {
        guard state.clients.count >= limit, let oldest = state.clients.min(by: { $0.value.lastUse < $1.value.lastUse })
        else { return nil }
        state.evicted.removeAll { $0.client == nil }
        state.evicted.append(Evicted(client: oldest.value.client))
        return state.clients.removeValue(forKey: oldest.key)?.client
    }

    /// Shuts all clients down, and with them what they are at. There is none afterwards.
    func close() async {
        slots.close()
        let clients = state.withLock { state in
            state.isClosed = true
            defer { (state.clients, state.evicted) = ([:], []) }
            return state.clients.values.map(\.client) + state.evicted.compactMap(\.client)
        }
        for client in clients { await client.shutDown() }
    }

    private func configuration(_ host: HostName, _ address: IPAddress) -> HTTPClient.Configuration {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.httpVersion = .http1Only
        configuration.timeout.connect = .nanoseconds(settings.connectTimeout.wholeNanoseconds)
        configuration.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = settings.connections
        // A refused connection is told at once: what to do about it is decided above.
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.http1_1ConnectionDebugInitializer = RequestTargetHandler.install
        if case .name(let name) = host { configuration.dnsOverride = [name: address.description] }
        configuration.tlsConfiguration = tlsConfiguration(host)
        return configuration
    }

    /// The authorities of the configuration are for the hosts of the configuration.
    private func tlsConfiguration(_ host: HostName) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.applicationProtocols = ["http/1.1"]
        let ownHosts = ([settings.baseURL] + settings.fallbacks).map(\.origin.host)
        if let file = settings.authorities, ownHosts.contains(host) { configuration.trustRoots = .file(file) }
        return configuration
    }
}

/// An HTTP client that is shut down with its last reference: whoever sends a request keeps one until it has ended.
final class OriginClient: Sendable {
    private struct State {
        /// Goes up with each connection that is refused.
        var refusals: UInt64 = 0
        /// Those with connections of their own.
        var uploads: [ObjectIdentifier: OriginExchange] = [:]
        var isShutDown = false
        var hasAnswered = false
        var tls: NIOSSLContext?
    }

    let http: HTTPClient
    let address: IPAddress
    private let configuration: HTTPClient.Configuration
    private let state = Mutex(State())

    init(_ configuration: HTTPClient.Configuration, address: IPAddress) {
        self.configuration = configuration
        self.address = address
        http = HTTPClient(configuration: configuration)
    }

    func shutDown() async {
        let uploads = state.withLock { state in
            state.isShutDown = true
            defer { state.uploads = [:] }
            return Array(state.uploads.values)
        }
        for upload in uploads { upload.giveUp(OriginFailure(.shuttingDown)) }
        // It only fails for a client that was shut down already.
        try? await http.shutdown()
    }

    deinit {
        // Holds the client until it is done; after `shutDown()` it does nothing.
        http.shutdown { _ in }
    }

    /// Whether there may be connections from before, since somebody got an answer over one.
    var mayKeepConnections: Bool { state.withLock { $0.hasAnswered } }

    func noteAnswer() { state.withLock { $0.hasAnswered = true } }

    // MARK: - Refused connections

    var refusals: UInt64 { state.withLock { $0.refusals } }

    /// A request failed since its connection was refused, and so did all that waited for one then, as the pool has it.
    ///
    /// - Parameter before: ``refusals`` when the request began.
    /// - Returns: whether it is the first of them.
    func noteRefusal(since before: UInt64) -> Bool {
        state.withLock { state in
            guard state.refusals == before else { return false }
            state.refusals += 1
            return true
        }
    }

    // MARK: - Connections outside the pool

    var connectTimeout: TimeAmount { configuration.timeout.connect ?? .seconds(10) }

    /// Blocks the first time it is asked.
    ///
    /// - Throws: what is wrong with the certificates it is made of.
    func tls() throws -> NIOSSLContext {
        if let context = state.withLock({ $0.tls }) { return context }
        let made = try NIOSSLContext(configuration: configuration.tlsConfiguration ?? .makeClientConfiguration())
        return state.withLock { state in
            if state.tls == nil { state.tls = made }
            return state.tls ?? made
        }
    }

    /// - Throws: ``OriginFailure`` `shuttingDown`.
    func begin(_ upload: OriginExchange) throws {
        try state.withLock { state in
            guard !state.isShutDown else { throw OriginFailure(.shuttingDown) }
            state.uploads[ObjectIdentifier(upload)] = upload
        }
    }

    func end(_ upload: OriginExchange) {
        // What is dropped is dropped outside the lock.
        _ = state.withLock { $0.uploads.removeValue(forKey: ObjectIdentifier(upload)) }
    }
}
