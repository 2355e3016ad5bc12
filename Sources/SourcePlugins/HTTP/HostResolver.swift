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
        var end: ContinuousClock.Instant
        /// Until when they are used if nobody gives newer ones.
        let lastResort: ContinuousClock.Instant
    }

    private final class Lookup: Sendable {
        let flight: Flight<[IPAddress]>
        /// Goes up when it has been waited for in vain.
        private let vain = Mutex<UInt64>(0)

        init(_ flight: Flight<[IPAddress]>) {
            self.flight = flight
        }

        var waitsInVain: UInt64 { vain.withLock { $0 } }

        /// - Parameter before: ``waitsInVain`` when the wait began.
        /// - Returns: whether nobody else has noted it since.
        func noteVainWait(since before: UInt64) -> Bool {
            vain.withLock { vain in
                guard vain == before else { return false }
                vain += 1
                return true
            }
        }
    }

    private struct State {
        var known: [String: Known] = [:]
        var lookups: [String: Lookup] = [:]
    }

    /// What is to be had at once, and what can be waited for.
    private enum Found {
        case addresses([IPAddress])
        case lookup(Lookup, instead: [IPAddress]?)
    }

    private let pool: NIOThreadPool
    private let timeout: Duration
    private let lookUp: @Sendable (String) throws -> [IPAddress]
    private let now: @Sendable () -> ContinuousClock.Instant
    private let state = Mutex(State())

    private static let lifetime = Duration.seconds(30)
    private static let lastResort = Duration.seconds(3600)
    /// How long old addresses are used before the name server is asked anew.
    private static let respite = Duration.seconds(5)
    private static let mostKnown = 256
    private static let mostLookups = 4

    /// - Parameters:
    ///   - timeout: for how long an answer is waited for.
    ///   - lookUp: asks for the addresses of a name, and throws ``SourceError``: `timedOut` if nobody answers. Blocks.
    init(
        pool: NIOThreadPool,
        timeout: Duration,
        now: @escaping @Sendable () -> ContinuousClock.Instant,
        lookUp: @escaping @Sendable (String) throws -> [IPAddress]
    ) {
        self.pool = pool
        self.timeout = timeout
        self.now = now
        self.lookUp = lookUp
    }

    /// At least one address, the most promising first. While the name server is silent those from before are used.
    ///
    /// - Throws: ``OriginFailure``, ``SourceError`` or `CancellationError`.
    func addresses(of host: HostName) async throws -> [IPAddress] {
        switch host {
        case .address(let address): return [address]
        case .name(let name):
            switch try state.withLock({ try find(name, &$0) }) {
            case .addresses(let addresses): return addresses
            case .lookup(let lookup, let instead): return try await wait(for: lookup, instead: instead)
            }
        }
    }

    private func find(_ name: String, _ state: inout State) throws -> Found {
        let (known, now) = (state.known[name], now())
        if let known, known.end > now { return .addresses(known.addresses) }
        let old = known.flatMap { $0.lastResort > now ? $0.addresses : nil }
        if let lookup = state.lookups[name] {
            if let old, lookup.waitsInVain > 0 { return .addresses(old) }
            return .lookup(lookup, instead: old)
        }
        guard state.lookups.count < Self.mostLookups else {
            guard let old else { throw SourceError(.overloaded, "too many names are being resolved") }
            return .addresses(old)
        }
        let lookup = Lookup(begin(name))
        state.lookups[name] = lookup
        return .lookup(lookup, instead: old)
    }

    private func wait(for lookup: Lookup, instead old: [IPAddress]?) async throws -> [IPAddress] {
        let before = lookup.waitsInVain
        do {
            return try await withThrowingTaskGroup(of: [IPAddress].self) { group in
                group.addTask { try await lookup.flight.value() }
                group.addTask { [timeout] in
                    try await Task.sleep(for: timeout)
                    throw SourceError(.timedOut, "the name server does not answer in time")
                }
                defer { group.cancelAll() }
                return try await group.next() ?? []
            }
        } catch let error as SourceError {
            let isShared = !lookup.noteVainWait(since: before)
            guard error.code == .timedOut else { throw OriginFailure(.unresolved, error, isShared: isShared) }
            if let old { return old }
            throw OriginFailure(.resolverSilent, error, isShared: isShared)
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

    private func begin(_ name: String) -> Flight<[IPAddress]> {
        Flight { [self] in
            do {
                let addresses = try await pool.call { [lookUp] in try lookUp(name) }
                land(name, .success(addresses))
                return addresses
            } catch {
                land(name, .failure(error))
                throw error
            }
        }
    }

    private func land(_ name: String, _ result: Result<[IPAddress], any Error>) {
        let now = now()
        state.withLock { state in
            state.lookups[name] = nil
            switch result {
            case .success(let addresses):
                if state.known.count >= Self.mostKnown { state.known = [:] }
                let end = now.advanced(by: Self.lifetime)
                state.known[name] = Known(
                    addresses: addresses,
                    end: end,
                    lastResort: end.advanced(by: Self.lastResort)
                )
            case .failure(let error as SourceError) where error.code == .timedOut:
                state.known[name]?.end = now.advanced(by: Self.respite)
            case .failure:
                state.known[name] = nil
            }
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
        guard result != EAI_AGAIN else { throw SourceError(.timedOut, "the name server does not answer") }
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
