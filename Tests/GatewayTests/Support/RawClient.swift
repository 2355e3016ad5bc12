import Glibc
import NIOCore
import NIOPosix
import SourceContract
import Testing

/// A client that sends bytes as they are and sees bytes as they come.
final class RawClient: Sendable {
    struct Answer: Sendable {
        var status: Int
        var fields: [(name: String, value: String)]
        var body: [UInt8] = []

        subscript(_ name: String) -> String? {
            fields.first { $0.name.lowercased() == name.lowercased() }?.value
        }

        var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// What the connection has brought.
    private struct Received: Sendable {
        /// A slice, so that taking an answer leaves the ones behind it where they are.
        var bytes: ArraySlice<UInt8> = []
        var isClosed = false
        var wasReset = false
    }

    /// Whether the connection ended with RST.
    var wasReset: Bool { received.value.wasReset }

    private let channel: any Channel
    private let received: Observed<Received>

    init(port: Int) async throws {
        let received = Observed(Received())
        self.received = received
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(received))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
    }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text))
    }

    func send(bytes: [UInt8]) async throws {
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes))
    }

    /// Stops, or goes on, taking bytes from the socket.
    func setReading(_ isReading: Bool) async throws {
        try await channel.setOption(.autoRead, value: isReading).get()
    }

    /// Asks for something and takes the beginning of what comes, and no more of it.
    func takeBeginning(of request: String) async throws {
        try await setReading(false)
        try await send(request)
        channel.read()
        try await untilReceived(1)
    }

    /// Sends FIN and goes on reading.
    func closeOutput() async throws {
        try await channel.close(mode: .output)
    }

    func close() async throws {
        try await channel.close()
    }

    /// Waits for the end of the connection.
    ///
    /// - Returns: the bytes that no answer was made of.
    @discardableResult
    func untilClosed() async throws -> [UInt8] {
        try await Array(received.until { $0.isClosed }.bytes)
    }

    /// Waits for `count` bytes without taking them.
    func untilReceived(_ count: Int) async throws {
        _ = try await received.until { $0.bytes.count >= count || $0.isClosed }
    }

    /// GET or HEAD of `path` and the answer.
    func request(
        _ path: String,
        method: String = "GET",
        fields: [String] = [],
        version: String = "1.1",
        host: String = "gateway.test",
        body: [UInt8]? = nil
    ) async throws -> Answer {
        let length = body.map { ["Content-Length: \($0.count)"] } ?? []
        let lines = ["\(method) \(path) HTTP/\(version)", "Host: \(host)"] + fields + length + ["", ""]
        try await send(bytes: Array(lines.joined(separator: "\r\n").utf8) + (body ?? []))
        return try await answer(isHead: method == "HEAD")
    }

    /// The next answer, with a body of `Content-Length`, of chunks, or up to the end of the connection.
    func answer(isHead: Bool = false) async throws -> Answer {
        let whole = try await received.until { Self.parse($0, isHead: isHead) != nil || $0.isClosed }
        guard let (answer, end) = Self.parse(whole, isHead: isHead) else {
            throw IncompleteAnswer(bytes: whole.bytes.count)
        }
        received.update { $0.bytes = $0.bytes[end...] }
        return answer
    }

    struct IncompleteAnswer: Error {
        let bytes: Int
    }

    /// - Returns: besides, the index of the byte behind the answer.
    private static func parse(_ received: Received, isHead: Bool) -> (Answer, end: Int)? {
        let bytes = received.bytes
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        let lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components("\r\n")
        let fields = lines.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (name: String(parts[0]), value: parts.count > 1 ? String(parts[1].drop { $0 == " " }) : "")
        }
        let status = Int(lines.first?.split(separator: " ").dropFirst().first ?? "") ?? 0
        var answer = Answer(status: status, fields: fields)
        let start = end.upperBound
        if isHead || status == 204 || status == 304 { return (answer, start) }
        if let length = answer["Content-Length"].flatMap({ Int($0) }) {
            guard bytes.endIndex >= start + length else { return nil }
            answer.body = Array(bytes[start..<(start + length)])
            return (answer, start + length)
        }
        if answer["Transfer-Encoding"] == "chunked" {
            guard let (body, length) = chunks(bytes[start...]) else { return nil }
            answer.body = body
            return (answer, start + length)
        }
        guard received.isClosed else { return nil }
        answer.body = Array(bytes[start...])
        return (answer, bytes.endIndex)
    }

    private static func chunks(_ bytes: ArraySlice<UInt8>) -> (body: [UInt8], length: Int)? {
        var body: [UInt8] = []
        var rest = bytes
        while let lineEnd = rest.firstRange(of: Array("\r\n".utf8)) {
            guard let size = Int(String(decoding: rest[..<lineEnd.lowerBound], as: UTF8.self), radix: 16),
                rest.endIndex >= lineEnd.upperBound + size + 2
            else { return nil }
            body += rest[lineEnd.upperBound..<(lineEnd.upperBound + size)]
            rest = rest[(lineEnd.upperBound + size + 2)...]
            if size == 0 { return (body, rest.startIndex - bytes.startIndex) }
        }
        return nil
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let received: Observed<Received>

        init(_ received: Observed<Received>) {
            self.received = received
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(unwrapInboundIn(data).readableBytesView)
            received.update { $0.bytes += bytes }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if let event = event as? ChannelEvent, event == .inputClosed { received.update { $0.isClosed = true } }
        }

        func channelInactive(context: ChannelHandlerContext) {
            received.update { $0.isClosed = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            if (error as? IOError)?.errnoCode == ECONNRESET { received.update { $0.wasReset = true } }
            context.close(promise: nil)
        }
    }
}

extension String {
    fileprivate func components(_ separator: String) -> [String] {
        split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }
}
