import NIOCore

/// The head of one answer, as it goes on the wire.
package struct ResponseHead: Sendable {
    package var status: Int
    package private(set) var fields: [(name: String, value: String)] = []
    /// Fields that were written out before, for answers that have the same again and again.
    private var readyFields: [UInt8] = []
    /// The part that the body is.
    package var contentRange: ContentRangeField?
    /// How the end of the body is told (RFC 9112 §6.3).
    package var framing: Framing
    /// What the cache has to do with the answer, for the metrics.
    var cache: CacheOutcome?
    /// Whether the fields are an origin's: none of ours takes the place of one of them, or stands beside it.
    var isForwarded = false

    package enum Framing: Sendable, Hashable {
        /// `Content-Length`.
        case length(Int64)
        /// A status that never has a body, or HEAD of an object of unknown size: no framing field at all.
        case none
        /// `Transfer-Encoding: chunked`, HTTP/1.1 only.
        case chunked
        /// The end of the connection.
        case untilClose
    }

    package init(status: Int, framing: Framing) {
        self.status = status
        self.framing = framing
    }

    /// Adds a field. A value with a control character would forge fields (CVE-2022-3215), so such bytes become blanks.
    package mutating func add(_ name: String, _ value: String) {
        let isClean = value.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F || $0 == UInt8(ascii: "\t") }
        guard !isClean else {
            fields.append((name, value))
            return
        }
        let cleaned = value.utf8.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: " ") : $0 }
        fields.append((name, String(decoding: cleaned, as: UTF8.self)))
    }

    /// Takes over the fields of `other`, as they are now.
    package mutating func add(ready other: ReadyFields) {
        if readyFields.isEmpty { readyFields = other.bytes } else { readyFields += other.bytes }
    }

    package subscript(_ name: String) -> String? {
        fields.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// Writes the head with its last empty line.
    ///
    /// - Parameters:
    ///   - isKeepAlive: whether the connection goes on after this answer.
    ///   - minorVersion: the request's; HTTP/1.0 clients are told explicitly that the connection stays.
    ///   - writeCommon: adds the fields that every answer has.
    func write(
        into buffer: inout ByteBuffer,
        isKeepAlive: Bool,
        minorVersion: Int,
        writeCommon: (inout ByteBuffer) -> Void
    ) {
        buffer.writeStaticString("HTTP/1.1 ")
        buffer.writeString(StatusLine.text(status))
        buffer.writeStaticString("\r\n")
        writeCommon(&buffer)
        buffer.writeBytes(readyFields)
        for (name, value) in fields {
            buffer.writeString(name)
            buffer.writeStaticString(": ")
            buffer.writeString(value)
            buffer.writeStaticString("\r\n")
        }
        if let contentRange {
            buffer.writeStaticString("Content-Range: ")
            contentRange.write(into: &buffer)
            buffer.writeStaticString("\r\n")
        }
        switch framing {
        case .length(let length):
            buffer.writeStaticString("Content-Length: ")
            buffer.writeDecimal(length)
            buffer.writeStaticString("\r\n")
        case .chunked:
            buffer.writeStaticString("Transfer-Encoding: chunked\r\n")
        case .none, .untilClose:
            break
        }
        if !isKeepAlive {
            buffer.writeStaticString("Connection: close\r\n")
        } else if minorVersion == 0 {
            buffer.writeStaticString("Connection: keep-alive\r\n")
        }
        buffer.writeStaticString("\r\n")
    }
}

/// The value of `Content-Range` (RFC 9110 §14.4).
package enum ContentRangeField: Sendable, Hashable {
    /// These bytes, of which there is at least one, of `size`.
    case part(Range<Int64>, size: Int64)
    case unsatisfiable(size: Int64)

    fileprivate func write(into buffer: inout ByteBuffer) {
        buffer.writeStaticString("bytes ")
        switch self {
        case .part(let part, let size):
            buffer.writeDecimal(part.lowerBound)
            buffer.writeStaticString("-")
            buffer.writeDecimal(part.upperBound - 1)
            buffer.writeStaticString("/")
            buffer.writeDecimal(size)
        case .unsatisfiable(let size):
            buffer.writeStaticString("*/")
            buffer.writeDecimal(size)
        }
    }
}

extension ByteBuffer {
    /// Writes a length or a position, which are not negative, without a string in between.
    fileprivate mutating func writeDecimal(_ value: Int64) {
        Digits.withDigits(of: value.magnitude) { writeBytes($0) }
    }
}

/// The fields of a head as they go on the wire, each with its CR LF.
package struct ReadyFields: Sendable {
    fileprivate let bytes: [UInt8]

    /// - Parameter head: whose fields these are; its status and framing mean nothing.
    package init(_ head: ResponseHead) {
        bytes = Array(head.fields.map { "\($0.name): \($0.value)\r\n" }.joined().utf8)
    }
}

/// Status code and reason phrase.
private enum StatusLine {
    static func text(_ status: Int) -> String {
        switch status {
        case 200: "200 OK"
        case 201: "201 Created"
        case 204: "204 No Content"
        case 202: "202 Accepted"
        case 203: "203 Non-Authoritative Information"
        case 205: "205 Reset Content"
        case 206: "206 Partial Content"
        case 207: "207 Multi-Status"
        case 300: "300 Multiple Choices"
        case 301: "301 Moved Permanently"
        case 302: "302 Found"
        case 303: "303 See Other"
        case 304: "304 Not Modified"
        case 307: "307 Temporary Redirect"
        case 308: "308 Permanent Redirect"
        case 400: "400 Bad Request"
        case 401: "401 Unauthorized"
        case 403: "403 Forbidden"
        case 404: "404 Not Found"
        case 405: "405 Method Not Allowed"
        case 406: "406 Not Acceptable"
        case 408: "408 Request Timeout"
        case 409: "409 Conflict"
        case 410: "410 Gone"
        case 412: "412 Precondition Failed"
        case 413: "413 Content Too Large"
        case 414: "414 URI Too Long"
        case 415: "415 Unsupported Media Type"
        case 416: "416 Range Not Satisfiable"
        case 417: "417 Expectation Failed"
        case 421: "421 Misdirected Request"
        case 422: "422 Unprocessable Content"
        case 429: "429 Too Many Requests"
        case 431: "431 Request Header Fields Too Large"
        case 500: "500 Internal Server Error"
        case 501: "501 Not Implemented"
        case 502: "502 Bad Gateway"
        case 503: "503 Service Unavailable"
        case 504: "504 Gateway Timeout"
        case 505: "505 HTTP Version Not Supported"
        case 508: "508 Loop Detected"
        // RFC 9112 §4: the phrase may be empty, and the blank before it may not.
        default: "\(status) "
        }
    }
}
