package import Config
import Glibc
package import Logging
package import NIOCore
import Synchronization

/// What all connections of one listener share.
package final class ConnectionServices: Sendable {
    package struct Limits: Sendable {
        /// For a whole head, from its first byte.
        package var head = TimeAmount.seconds(20)
        /// For the body of a request that has one, from the end of its head. Of a body that is passed on while it comes
        /// in, for every ``bodyPortion``, and only the time counts that somebody waits for it.
        package var body = TimeAmount.seconds(60)
        /// In bytes.
        package var bodyPortion = 60 << 10
        /// For a connection between requests.
        package var idle = TimeAmount.seconds(75)
        package var idleWhenShort = TimeAmount.seconds(5)
        /// For a client that takes no byte of its answer. Players that pause come back at the exact byte.
        package var stall = TimeAmount.minutes(5)
        package var stallWhenShort = TimeAmount.seconds(60)
        /// How long a wait for the source goes on after the client closed its side.
        package var goneClient = TimeAmount.seconds(1)
        /// How long, and for how many bytes, input is thrown away after the last answer.
        package var lingering = TimeAmount.seconds(2)
        package var lingeringBytes = 1 << 20
        /// Requests sent ahead of their turn, in bytes.
        package var pipelinedBytes = 256 << 10

        package init() {}
    }

    /// `media_gateway_…{plane=…}`.
    package enum Plane: String, Sendable {
        case data
        case admin
    }

    package let plane: Plane
    package let limits: Limits
    package let logger: Logger
    package let reporter: RequestReporter
    let registry: ConnectionRegistry
    private let trustedProxies: [AddressRange]
    /// The gateway's name in `Cache-Status`; `nil` where nothing is cached.
    private let cacheNode: String?
    /// Fields that every answer has, with their CR LFs.
    private let commonFields: [UInt8]
    private let dates = DateField()
    private let nextRequestID: Synchronization.Atomic<UInt64>

    package init(
        plane: Plane,
        limits: Limits = Limits(),
        logger: Logger,
        reporter: RequestReporter,
        registry: ConnectionRegistry,
        trustedProxies: [AddressRange] = [],
        cacheNode: String? = nil
    ) {
        self.plane = plane
        self.limits = limits
        self.logger = logger
        self.reporter = reporter
        self.registry = registry
        self.trustedProxies = trustedProxies
        self.cacheNode = cacheNode
        self.commonFields = Array((plane == .data ? CrossOrigin.fields : "").utf8)
        self.nextRequestID = Synchronization.Atomic(UInt64.random(in: .min ... .max))
    }

    var isRunningShort: Bool { registry.isRunningShort }

    /// Ids count up from a random start: unlike each other, and over restarts.
    func makeRequestID() -> RequestID {
        RequestID(nextRequestID.wrappingAdd(1, ordering: .relaxed).newValue)
    }

    /// The address of the client, which a trusted proxy tells in the last element it added to `X-Forwarded-For`.
    func clientAddress(peer: String, forwardedFor: String?) -> String {
        guard let forwardedFor, !trustedProxies.isEmpty, isTrusted(peer) else { return peer }
        var client = peer
        for element in forwardedFor.split(separator: ",").reversed() {
            let address = element.trimmingBlanks
            guard (try? SocketAddress(ipAddress: address, port: 0)) != nil else { return client }
            client = address
            if !isTrusted(address) { break }
        }
        return client
    }

    func isTrusted(_ address: String) -> Bool {
        guard !trustedProxies.isEmpty, let bytes = (try? SocketAddress(ipAddress: address, port: 0))?.addressBytes
        else {
            return false
        }
        return trustedProxies.contains { $0.contains(addressBytes: bytes) }
    }

    func encode(
        _ head: ResponseHead,
        id: RequestID,
        isKeepAlive: Bool,
        minorVersion: Int,
        serverTiming: String?
    ) -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(768)
        head.write(into: &buffer, isKeepAlive: isKeepAlive, minorVersion: minorVersion) { buffer in
            if !head.isForwarded || head["Date"] == nil { buffer.writeBytes(dates.line()) }
            if !head.isForwarded { buffer.writeBytes(commonFields) }
            if !head.isForwarded || head["X-Request-Id"] == nil {
                buffer.writeStaticString("X-Request-Id: ")
                buffer.writeHexadecimal(id.value)
                buffer.writeStaticString("\r\n")
            }
            if let serverTiming {
                buffer.writeStaticString("Server-Timing: ")
                buffer.writeString(serverTiming)
                buffer.writeStaticString("\r\n")
            }
        }
        return buffer
    }

    /// The error as `application/problem+json` (RFC 9457). Below a source it tells in `Cache-Status` that no cache had it,
    /// and nothing nearer to the origin said it (RFC 9211 §2).
    func answer(to problem: RequestProblem, id: RequestID, route: Route) -> (ResponseHead, ByteBuffer) {
        let details = ProblemDetails(
            problem.code,
            status: problem.status,
            detail: problem.detail,
            requestID: id.description
        )
        let body = ByteBuffer(bytes: details.json())
        var head = ResponseHead(status: problem.status, framing: .length(Int64(body.readableBytes)))
        head.add("Content-Type", ProblemDetails.mediaType)
        head.add("Cache-Control", "no-store")
        if route == .media, let cacheNode { head.add("Cache-Status", "\(cacheNode); detail=\(problem.code.rawValue)") }
        if let retryAfter = problem.retryAfter { head.add("Retry-After", String(retryAfter)) }
        if let allow = problem.allow { head.add("Allow", allow) }
        // RFC 9110 §15.5.2.
        if problem.status == 401 { head.add("WWW-Authenticate", "Bearer realm=\"media-gateway\"") }
        return (head, body)
    }
}

/// The `Date` field, formatted once a second.
private final class DateField: Sendable {
    private let current = Mutex((second: Int64.min, line: [UInt8]()))

    func line() -> [UInt8] {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME_COARSE, &now)
        let second = Int64(now.tv_sec)
        return current.withLock { current in
            if current.second != second {
                let line = HTTPDate.format(seconds: second).map { Array("Date: \($0)\r\n".utf8) } ?? []
                current = (second, line)
            }
            return current.line
        }
    }
}

/// CORS (Fetch standard): media may be used by pages of any origin, as with the backend this replaces.
package enum CrossOrigin {
    static let fields = """
        Access-Control-Allow-Origin: *\r
        Access-Control-Expose-Headers: Accept-Ranges, Age, Cache-Status, Content-Length, Content-Range, ETag, \
        Server-Timing, X-Request-Id\r
        Timing-Allow-Origin: *\r

        """

    /// The answer to a preflight request.
    ///
    /// - Parameter methods: of the path. Naming one here allows nobody anything: who may change something is decided when
    ///   the request itself comes.
    static func preflight(_ fields: KnownFields, methods: [String] = ["GET", "HEAD", "OPTIONS"]) -> ResponseHead {
        let methods = methods.joined(separator: ", ")
        var head = ResponseHead(status: 204, framing: .none)
        head.add("Allow", methods)
        if fields[.accessControlRequestMethod] != nil {
            head.add("Access-Control-Allow-Methods", methods)
            head.add(
                "Access-Control-Allow-Headers",
                "Range, If-Range, If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since, Authorization, "
                    + "Content-Type"
            )
            head.add("Access-Control-Max-Age", "86400")
        }
        // A page on the public web may use a gateway at home (Private Network Access).
        if fields[.accessControlRequestPrivateNetwork] == "true" {
            head.add("Access-Control-Allow-Private-Network", "true")
        }
        return head
    }
}

extension SocketAddress {
    /// The 4 or 16 bytes of the IP address, in network order.
    fileprivate var addressBytes: [UInt8]? {
        switch self {
        case .v4(let address): withUnsafeBytes(of: address.address.sin_addr) { Array($0) }
        case .v6(let address): withUnsafeBytes(of: address.address.sin6_addr) { Array($0) }
        case .unixDomainSocket: nil
        }
    }
}

extension ByteBuffer {
    /// Sixteen digits.
    fileprivate mutating func writeHexadecimal(_ value: UInt64) {
        writeWithUnsafeMutableBytes(minimumWritableBytes: 16) { bytes in
            for index in 0..<16 {
                bytes[index] = Digits.hexadecimal(UInt32(truncatingIfNeeded: value >> UInt64(60 - 4 * index)))
            }
            return 16
        }
    }
}
