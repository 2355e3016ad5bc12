package import Config
import FoundationEssentials
import Glibc

/// Asks a listener of a running gateway. Blocks; for the command line.
package struct AdminClient: Sendable {
    package struct Answer: Sendable {
        package let status: Int
        package let body: [UInt8]
    }

    private static let answerLimit = 64 << 20
    private static let patience = 60

    package let address: ListenAddress
    private let token: String?

    /// - Throws: ``AdminClientError`` if the token file cannot be read.
    package init(_ config: GatewayConfig.Admin) throws(AdminClientError) {
        address = config.listen
        guard let path = config.tokenFile else {
            token = nil
            return
        }
        guard let text = (try? Data(contentsOf: URL(filePath: path))).map({ String(decoding: $0, as: UTF8.self) })
        else {
            throw AdminClientError("the token file \(path) cannot be read")
        }
        token = text.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? ""
    }

    /// For a data listener, which asks for no token.
    package init(address: ListenAddress) {
        self.address = address
        token = nil
    }

    /// - Parameter body: with its type.
    /// - Returns: `nil` if nobody listens there.
    package func request(
        _ method: String,
        _ target: String,
        body: (type: String, bytes: [UInt8])? = nil
    ) throws(AdminClientError) -> Answer? {
        guard let socket = try connect() else { return nil }
        var lines = [
            "\(method) \(target) HTTP/1.0", "Host: \(host)", "Accept: application/json",
            "Content-Length: \(body?.bytes.count ?? 0)",
        ]
        if let token { lines.append("Authorization: Bearer \(token)") }
        if let body { lines.append("Content-Type: \(body.type)") }
        try socket.send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + (body?.bytes ?? []))
        let bytes = try socket.readToEnd(limit: Self.answerLimit)
        guard let answer = Answer(bytes) else {
            throw AdminClientError("what listens on \(address) gave no whole answer in HTTP")
        }
        return answer
    }

    private var host: String {
        switch address {
        case .unix: "localhost"
        case .tcp(_, let port): ListenAddress.tcp(host: reachableHost, port: port).description
        }
    }

    /// A gateway that listens everywhere is also here.
    private var reachableHost: String {
        guard case .tcp(let host, _) = address else { return "localhost" }
        switch host {
        case "0.0.0.0": return "127.0.0.1"
        case "::": return "::1"
        default: return host
        }
    }

    // MARK: - The connection

    private func connect() throws(AdminClientError) -> ClientSocket? {
        switch address {
        case .tcp(_, 0): return nil
        case .tcp(_, let port):
            var (hints, list) = (addrinfo(), UnsafeMutablePointer<addrinfo>?.none)
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            let result = getaddrinfo(reachableHost, "\(port)", &hints, &list)
            guard result == 0 else {
                throw AdminClientError("cannot find \(reachableHost): \(String(cString: gai_strerror(result)))")
            }
            defer { freeaddrinfo(list) }
            var (next, failure) = (list, ECONNREFUSED)
            while let info = next?.pointee {
                let socket = ClientSocket(family: info.ai_family, patience: Self.patience)
                failure = socket.connect(info.ai_addr, info.ai_addrlen)
                if failure == 0 { return socket }
                next = info.ai_next
            }
            return try nobody(failure)
        case .unix(let path):
            var name = sockaddr_un()
            name.sun_family = sa_family_t(AF_UNIX)
            let bytes = Array(path.utf8)
            guard bytes.count < MemoryLayout.size(ofValue: name.sun_path) else {
                throw AdminClientError("the path \(path) is too long for a Unix socket")
            }
            withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: bytes) }
            let socket = ClientSocket(family: AF_UNIX, patience: Self.patience)
            let failure = withUnsafeBytes(of: &name) { name in
                socket.connect(
                    name.bindMemory(to: sockaddr.self).baseAddress,
                    socklen_t(MemoryLayout<sockaddr_un>.size)
                )
            }
            return failure == 0 ? socket : try nobody(failure)
        }
    }

    private func nobody(_ failure: Int32) throws(AdminClientError) -> ClientSocket? {
        switch failure {
        case ECONNREFUSED, ENOENT: return nil
        default: throw AdminClientError("cannot connect to \(address): \(String(cString: strerror(failure)))")
        }
    }
}

extension AdminClient.Answer {
    /// - Returns: `nil` unless `bytes` are one whole answer of HTTP/1.
    package init?(_ bytes: [UInt8]) {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).split(separator: "\r\n")
        guard let first = lines.first, first.hasPrefix("HTTP/1."),
            let status = first.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { return nil }
        let lengths = lines.dropFirst().compactMap { line -> Int? in
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2, parts[0].lowercased() == "content-length" else { return nil }
            return Int(parts[1].trimmingBlanks)
        }
        let body = Array(bytes[end.upperBound...])
        if let length = lengths.first, length != body.count { return nil }
        self.init(status: status, body: body)
    }
}

/// Why the admin listener could not be asked.
package struct AdminClientError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// A blocking socket, closed with its last use.
private final class ClientSocket {
    private static let flags = Int32(MSG_NOSIGNAL)

    private let descriptor: Int32

    /// - Parameter patience: seconds that one call may wait.
    init(family: Int32, patience: Int) {
        descriptor = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var time = timeval(tv_sec: patience, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &time, size)
    }

    deinit { close(descriptor) }

    /// - Returns: 0, or the error's number.
    func connect(_ address: UnsafePointer<sockaddr>?, _ length: socklen_t) -> Int32 {
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

    func readToEnd(limit: Int) throws(AdminClientError) -> [UInt8] {
        var (bytes, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 64 << 10))
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count == 0 { return bytes }
            guard count > 0 else {
                if errno == EINTR { continue }
                let isLate = errno == EAGAIN
                throw AdminClientError(isLate ? "the gateway does not answer" : "the connection to the gateway broke")
            }
            bytes += buffer[..<count]
            guard bytes.count <= limit else { throw AdminClientError("the gateway's answer is too long") }
        }
    }
}
