import Config
import Glibc

/// A blocking connection to a gateway, closed with its last use. One thread uses it at a time.
final class ClientSocket: Sendable {
    private static let flags = Int32(MSG_NOSIGNAL)

    private let descriptor: Int32

    /// - Parameter patience: seconds that one call may wait.
    private init(family: Int32, patience: Int) {
        descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var time = timeval(tv_sec: patience, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    }

    deinit { close(descriptor) }

    /// - Parameter patience: seconds that one call may wait.
    /// - Returns: `nil` if nobody listens there.
    static func connect(to address: ListenAddress, patience: Int) throws(AdminClientError) -> ClientSocket? {
        switch address {
        case .tcp(_, 0): return nil
        case .tcp(_, let port):
            let host = address.reachableHost
            var (hints, list) = (addrinfo(), UnsafeMutablePointer<addrinfo>?.none)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            let result = getaddrinfo(host, "\(port)", &hints, &list)
            guard result == 0 else {
                throw AdminClientError("cannot find \(host): \(String(cString: gai_strerror(result)))")
            }
            defer { freeaddrinfo(list) }
            var (next, failure) = (list, ECONNREFUSED)
            while let info = next?.pointee {
                let socket = ClientSocket(family: info.ai_family, patience: patience)
                failure = socket.connect(info.ai_addr, info.ai_addrlen)
                if failure == 0 { return socket }
                next = info.ai_next
            }
            return try nobody(failure, address)
        case .unix(let path):
            var name = sockaddr_un()
            name.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8)
            guard bytes.count < MemoryLayout.size(ofValue: name.sun_path) else {
                throw AdminClientError("the path \(path) is too long for a Unix socket")
            }
            withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
            let socket = ClientSocket(family: AF_UNIX, patience: patience)
            let failure = withUnsafeBytes(of: &name) { name in
                socket.connect(
                    name.bindMemory(to: sockaddr.self).baseAddress,
                    socklen_t(MemoryLayout<sockaddr_un>.size)
                )
            }
            return failure == 0 ? socket : try nobody(failure, address)
        }
    }

    private static func nobody(_ failure: Int32, _ address: ListenAddress) throws(AdminClientError) -> ClientSocket? {
        switch failure {
        case ECONNREFUSED, ENOENT: return nil
        default: throw AdminClientError("cannot connect to \(address): \(String(cString: strerror(failure)))")
        }
    }

    /// - Returns: 0, or the error's number.
    private func connect(_ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
        Glibc.connect(descriptor, address, length) == 0 ? 0 : errno
    }

    func send(_ bytes: [UInt8]) throws(AdminClientError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Self.flags) }
            guard sent > 0 else { throw AdminClientError("the gateway closed the connection") }
            rest = rest.dropFirst(sent)
        }
    }

    /// What comes next, at most `limit` bytes; none at the end.
    ///
    /// - Returns: `nil` if nothing came within the patience.
    func read(limit: Int) throws(AdminClientError) -> [UInt8]? {
        var buffer = [UInt8](repeating: 0, count: limit)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count >= 0 { return Array(buffer[..<count]) }
            switch errno {
            case EINTR: continue
            case EAGAIN: return nil
            default: throw AdminClientError("the connection to the gateway broke")
            }
        }
    }

    func readToEnd(limit: Int) throws(AdminClientError) -> [UInt8] {
        var bytes: [UInt8] = []
        while true {
            guard let next = try read(limit: 64 << 10) else { throw AdminClientError("the gateway does not answer") }
            guard !next.isEmpty else { return bytes }
            bytes += next
            guard bytes.count <= limit else { throw AdminClientError("the gateway's answer is too long") }
        }
    }
}

extension ListenAddress {
    /// The host by which a client on this machine reaches it: a gateway that listens everywhere is also here.
    var reachableHost: String {
        guard case .tcp(let host, _) = self else { return "localhost" }
        switch host {
        case "0.0.0.0": return "127.0.0.1"
        case "::": return "::1"
        default: return host
        }
    }

    /// As a client names it in `Host`.
    var hostField: String {
        switch self {
        case .unix: "localhost"
        case .tcp(_, let port): ListenAddress.tcp(host: reachableHost, port: port).description
        }
    }
}
