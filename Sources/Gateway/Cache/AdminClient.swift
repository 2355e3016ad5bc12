package import Config
import FoundationEssentials

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
        guard let socket = try ClientSocket.connect(to: address, patience: Self.patience) else { return nil }
        var lines = [
            "\(method) \(target) HTTP/1.0", "Host: \(address.hostField)", "Accept: application/json",
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
}

extension AdminClient.Answer {
    /// - Returns: `nil` unless `bytes` are one whole answer of HTTP/1.
    package init?(_ bytes: [UInt8]) {
        guard let end = AnswerHead.end(in: bytes), let head = AnswerHead(bytes[..<end.lowerBound]) else { return nil }
        let body = Array(bytes[end.upperBound...])
        if let length = head.contentLength, length != body.count { return nil }
        self.init(status: head.status, body: body)
    }
}

/// Why the admin listener could not be asked.
package struct AdminClientError: Error, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
