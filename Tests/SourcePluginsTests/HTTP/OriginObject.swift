import NIOCore
import SourceContract

/// An object as a sound origin has it: what faults are made from.
struct OriginObject: Sendable {
    static let size: Int64 = 3 << 20 | 12_345

    var content = PatternBytes("sample")
    var size = Self.size
    var tag: String? = "\"v1\""
    var fields: [(String, String)] = [
        ("Content-Type", "video/x-matroska"), ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Cache-Control", "max-age=60"),
    ]
    /// Whether it answers 206 at all.
    var doesRanges = true

    /// The second version of the same object.
    static let second = OriginObject(content: PatternBytes("sample", generation: 1), tag: "\"v2\"")

    /// What the request asks for, as RFC 9110 has it.
    func reply(_ request: FaultyOrigin.Request) -> FaultyOrigin.Reply {
        guard doesRanges, let range = request.range, isCurrent(request) else { return whole }
        guard range.lowerBound < size else {
            return FaultyOrigin.Reply(
                head: head(
                    "416 Range Not Satisfiable",
                    [("Content-Range", "bytes */\(size)"), ("Content-Length", "0")]
                )
            )
        }
        return part(range.lowerBound..<min(range.upperBound + 1, size))
    }

    private func isCurrent(_ request: FaultyOrigin.Request) -> Bool {
        request.field("if-range").map { $0 == tag && !$0.hasPrefix("W/") } ?? true
    }

    var whole: FaultyOrigin.Reply {
        FaultyOrigin.Reply(
            head: head("200 OK", [("Content-Length", "\(size)")]),
            content: size > 0 ? (content, 0..<size) : nil
        )
    }

    /// - Parameters:
    ///   - label: the `Content-Range`, if another than the right one.
    ///   - length: the `Content-Length`, if another.
    func part(_ range: Range<Int64>, label: String? = nil, length: Int64? = nil) -> FaultyOrigin.Reply {
        let contentRange = label ?? "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(size)"
        let contentLength = length ?? range.upperBound - range.lowerBound
        return FaultyOrigin.Reply(
            head: head(
                "206 Partial Content",
                [("Content-Range", contentRange), ("Content-Length", "\(contentLength)")]
            ),
            content: (content, range)
        )
    }

    func head(_ status: String, _ more: [(String, String)]) -> String {
        let tags = tag.map { [("ETag", $0)] } ?? []
        let lines = (tags + fields + more).map { "\($0.0): \($0.1)\r\n" }
        return "HTTP/1.1 \(status)\r\n\(lines.joined())\r\n"
    }
}

extension FaultyOrigin.Reply {
    /// An answer without an object.
    static func status(_ status: String, _ fields: [(String, String)] = []) -> FaultyOrigin.Reply {
        let lines = fields.map { "\($0.0): \($0.1)\r\n" }.joined()
        return FaultyOrigin.Reply(head: "HTTP/1.1 \(status)\r\n\(lines)Content-Length: 0\r\n\r\n")
    }

    /// A short answer.
    static func text(
        _ text: String,
        _ status: String = "200 OK",
        _ fields: [(String, String)] = []
    ) -> FaultyOrigin.Reply {
        let lines = fields.map { "\($0.0): \($0.1)\r\n" }.joined()
        return FaultyOrigin.Reply(
            head: "HTTP/1.1 \(status)\r\n\(lines)Content-Length: \(text.utf8.count)\r\n\r\n",
            body: [ByteBuffer(string: text)]
        )
    }

    static func redirect(_ location: String, _ status: String = "302 Found") -> FaultyOrigin.Reply {
        .status(status, [("Location", location)])
    }

    /// As above, with the body cut after `count` bytes.
    func cut(after count: Int64, _ ending: Ending) -> FaultyOrigin.Reply {
        var reply = self
        if let (bytes, range) = content {
            reply.content = (bytes, range.lowerBound..<min(range.lowerBound + count, range.upperBound))
        }
        reply.ending = ending
        return reply
    }

    /// In the chunked coding, without a length.
    func chunked() -> FaultyOrigin.Reply {
        var reply = self
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false).filter {
            !$0.hasPrefix("Content-Length")
        }
        reply.head = lines.joined(separator: "\r\n").replacing(
            "\r\n\r\n",
            with: "\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        reply.isChunked = true
        return reply
    }

    func ending(_ ending: Ending) -> FaultyOrigin.Reply {
        var reply = self
        reply.ending = ending
        return reply
    }

    func adding(_ line: String) -> FaultyOrigin.Reply {
        var reply = self
        reply.head = String(head.dropLast()) + line + "\r\n\r\n"
        return reply
    }
}
