import Glibc
import NIOPosix
import Synchronization

/// Finds the addresses of hosts, off the event loops, and remembers them for a while.
///
/// A name is looked up once at a time however many ask, and only a few names are: the resolver of the C library cannot
/// be interrupted, and holds a thread until it answers.
final class HostResolver: Sendable {
    private struct Known {
        var addresses: [IPAddress]
        let end: ContinuousClock.Instant
    }

    private struct State {
        var known: [String: Known] = [:]
        var lookups: [String: Flight<[IPAddress]>] = [:]
    }

    private let pool: NIOThreadPool
    private let timeout: Duration
    private let lookUp: @Sendable (String) throws -> [IPAddress]
    private let state = Mutex(State())

    private static let lifetime = Duration.seconds(30)
    private static let mostKnown = 256
    private static let mostLookups = 4

    /// - Parameters:
    ///   - timeout: for how long an answer is waited for.
    ///   - lookUp: asks for the addresses of a name. Blocks.
    init(pool: NIOThreadPool, timeout: Duration, lookUp: @escaping @Sendable (String) throws -> [IPAddress]) {
        self.pool = pool
        self.timeout = timeout
        self.lookUp = lookUp
    }

    /// At least one address, the most promising first.
    ///
    /// - Throws: ``SourceError`` or `CancellationError`.
    func addresses(of host: HostName) async throws -> [IPAddress] {
        let name: String
        switch host {
        case .address(let address): return [address]
        case .name(let text): name = text
        }
        let (known, flight) = try state.withLock { state -> ([IPAddress]?, Flight<[IPAddress]>?) in
            if let known = state.known[name], known.end > .now { return (known.addresses, nil) }
            return (nil, try lookup(of: name, &state))
        }
        if let known { return known }
        return try await withThrowingTaskGroup(of: [IPAddress].self) { group in
            group.addTask { try await flight?.value() ?? [] }
            group.addTask { [timeout] in
                try await Task.sleep(for: timeout)
                throw SourceError(.timedOut, "the name of the origin was not resolved in time")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? []
        }
    }

    /// The address did not answer: others of the host come first for a while.
    func demote(_ address: IPAddress, of host: HostName) {
        guard case .name(let name) = host else { return }
        state.withLock { state in
            guard let index = state.known[name]?.addresses.firstIndex(of: address) else { return }
            state.known[name]?.addresses.remove(at: index)
            state.known[name]?.addresses.append(address)
        }
    }

    private func lookup(of name: String, _ state: inout State) throws -> Flight<[IPAddress]> {
        if let flight = state.lookups[name] { return flight }
        guard state.lookups.count < Self.mostLookups else {
            throw SourceError(.overloaded, "too many names are being resolved")
        }
        let flight = Flight<[IPAddress]> { [self] in
            do {
                let addresses = try await pool.call { [lookUp] in try lookUp(name) }
                land(name, addresses)
                return addresses
            } catch {
                land(name, nil)
                throw error
            }
        }
        state.lookups[name] = flight
        return flight
    }

    private func land(_ name: String, _ addresses: [IPAddress]?) {
        state.withLock { state in
            state.lookups[name] = nil
            guard let addresses else { return }
            if state.known.count >= Self.mostKnown { state.known = [:] }
            state.known[name] = Known(addresses: addresses, end: .now.advanced(by: Self.lifetime))
        }
    }

    /// Asks the C library. Blocks.
    static let system: @Sendable (String) throws -> [IPAddress] = { name in
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        var first: UnsafeMutablePointer<addrinfo>?
        let result = getaddrinfo(name, nil, &hints, &first)
        defer { if let first { freeaddrinfo(first) } }
        guard result == 0 else {
            throw SourceError(.unavailable, "the name of the origin cannot be resolved (error \(result))")
        }
        var addresses: [IPAddress] = []
        var entry = first
        while let current = entry?.pointee {
            if let address = IPAddress(current), !addresses.contains(address) { addresses.append(address) }
            entry = current.ai_next
        }
        guard !addresses.isEmpty else { throw SourceError(.unavailable, "the name of the origin has no address") }
        return addresses
    }
}

extension IPAddress {
    /// - Returns: `nil` if it is of another family.
    fileprivate init?(_ entry: addrinfo) {
        guard let address = entry.ai_addr else { return nil }
        let bytes: [UInt8]
        switch entry.ai_family {
        case AF_INET where Int(entry.ai_addrlen) >= MemoryLayout<sockaddr_in>.size:
            let value = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in.self)
            bytes = withUnsafeBytes(of: value.sin_addr) { Array($0) }
        case AF_INET6 where Int(entry.ai_addrlen) >= MemoryLayout<sockaddr_in6>.size:
            let value = UnsafeRawPointer(address).loadUnaligned(as: sockaddr_in6.self)
            bytes = withUnsafeBytes(of: value.sin6_addr) { Array($0) }
        default: return nil
        }
        self.init(bytes: bytes)
    }
}
