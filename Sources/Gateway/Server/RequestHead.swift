import HTTPTypes
import NIOCore
package import NIOHTTP1
import SourcePlugins

/// The head of one request: what the connection needs of it, taken out of the bytes once.
package struct RequestHead: Sendable {
    package enum Method: Sendable, Hashable {
        case get
        case head
        case options
        case other(String)

        init(_ text: String) {
            self =
                switch text {
                case "GET": .get
                case "HEAD": .head
                case "OPTIONS": .options
                default: .other(text)
                }
        }

        package var text: String {
            switch self {
            case .get: "GET"
            case .head: "HEAD"
            case .options: "OPTIONS"
            case .other(let text): text
            }
        }
    }

    package var method: Method
    /// The request target as it was sent.
    package var target: String
    /// The digit after `HTTP/1.`: 0 or 1.
    package var minorVersion: Int
    package var fields = KnownFields()
    /// Every field of the head, for those who pass a request on.
    private let allFields: [(name: String, value: String)]
    /// The same for a head that the scanner read: its field lines.
    private let fieldLines: ByteBuffer?

    package init(
        method: Method,
        target: String,
        minorVersion: Int,
        fields: [(name: String, value: String)] = []
    ) {
        self.method = method
        self.target = target
        self.minorVersion = minorVersion
        self.allFields = fields
        self.fieldLines = nil
        for (name, value) in fields {
            self.fields.add(name: name, value: value)
        }
    }

    /// For the scanner, which has filled in the known fields and seen no other that matters.
    ///
    /// - Parameter fieldLines: all of them, if somebody may want them.
    init(method: Method, target: String, minorVersion: Int, known: KnownFields, fieldLines: ByteBuffer?) {
        self.method = method
        self.target = target
        self.minorVersion = minorVersion
        self.fields = known
        self.allFields = []
        self.fieldLines = fieldLines
    }

    /// A head that llhttp decoded, which leaves blanks at the end of values (RFC 9110 §5.5: they are not part of it).
    package init(_ head: HTTPRequestHead) {
        self.init(
            // NIO has another name for it (RFC 3253 and UPnP write M-SEARCH).
            method: Method(head.method == .MSEARCH ? "M-SEARCH" : head.method.rawValue),
            target: head.uri,
            minorVersion: head.version.minor,
            fields: head.headers.map { ($0.name, $0.value.trimmingBlanks) }
        )
    }

    /// The same head with another range. It is not one to pass on: it has only the known fields.
    func with(range: String) -> RequestHead {
        var fields = fields
        fields.replace(.range, with: range)
        return RequestHead(method: method, target: target, minorVersion: minorVersion, known: fields, fieldLines: nil)
    }

    /// Whether the connection may carry another request after this one (RFC 9112 §9.3).
    package var isKeepAlive: Bool {
        guard let connection = fields[.connection] else { return minorVersion >= 1 }
        let tokens = connection.split(whereSeparator: { $0 == "," || $0 == " " || $0 == "\t" }).map { $0.lowercased() }
        if tokens.contains("close") { return false }
        return minorVersion >= 1 || tokens.contains("keep-alive")
    }

    /// Whether a body follows (RFC 9112 §6.3).
    var announcesBody: Bool {
        fields[.transferEncoding] != nil || fields[.contentLength].map { $0 != "0" } == true
    }

    /// Whether it asks for something in the background, which may take its time: of the lowest urgency (RFC 9218 §4.1).
    var isBackground: Bool {
        let urgency = fields[.priority]?.split(separator: ",").last { $0.trimmingBlanks.hasPrefix("u=") }
        return urgency?.split(separator: ";").first?.trimmingBlanks == "u=7"
    }

    /// Every field, in its order.
    var headerFields: HeaderFields {
        guard let fieldLines else { return HeaderFields(allFields) }
        let lines = fieldLines.readableBytesView.split(separator: UInt8(ascii: "\n"))
        return HeaderFields(
            lines.compactMap { line in
                guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
                let value = line[line.index(after: colon)...]
                let end = value.last == UInt8(ascii: "\r") ? value.dropLast() : value
                return (String(decoding: line[..<colon], as: UTF8.self), String(decoding: end, as: UTF8.self))
            }
        )
    }

    var httpFields: HTTPFields {
        var result = HTTPFields()
        guard allFields.isEmpty else {
            for (name, value) in allFields {
                if let name = HTTPField.Name(name) { result.append(HTTPField(name: name, value: value)) }
            }
            return result
        }
        for field in KnownField.allCases {
            if let value = fields[field], let name = HTTPField.Name(field.rawValue) {
                result.append(HTTPField(name: name, value: value))
            }
        }
        return result
    }
}

/// The fields the gateway acts on, by their names in lower case.
package enum KnownField: String, Sendable, CaseIterable {
    case accept
    case accessControlRequestMethod = "access-control-request-method"
    case accessControlRequestPrivateNetwork = "access-control-request-private-network"
    case authorization
    case connection
    case contentLength = "content-length"
    case contentType = "content-type"
    case expect
    case forwardedFor = "x-forwarded-for"
    case forwardedHost = "x-forwarded-host"
    case forwardedProto = "x-forwarded-proto"
    case host
    case ifMatch = "if-match"
    case ifModifiedSince = "if-modified-since"
    case ifNoneMatch = "if-none-match"
    case ifRange = "if-range"
    case ifUnmodifiedSince = "if-unmodified-since"
    case origin
    case priority
    case range
    case secFetchSite = "sec-fetch-site"
    case traceparent
    case transferEncoding = "transfer-encoding"
    case userAgent = "user-agent"
    case via

    static let byName: [String: KnownField] = Dictionary(uniqueKeysWithValues: allCases.map { ($0.rawValue, $0) })
}

/// The values of the ``KnownField``s a request has.
package struct KnownFields: Sendable {
    private var values: [(field: KnownField, value: String)] = []
    /// How many `Host` fields there were: exactly one is allowed (RFC 9112 §3.2).
    package private(set) var hostCount = 0

    package subscript(_ field: KnownField) -> String? {
        values.first { $0.field == field }?.value
    }

    /// Fields of one name are one list (RFC 9110 §5.3).
    mutating func add(_ field: KnownField, value: String) {
        if field == .host { hostCount += 1 }
        if values.isEmpty { values.reserveCapacity(6) }
        if let index = values.firstIndex(where: { $0.field == field }) {
            values[index].value += ", " + value
        } else {
            values.append((field, value))
        }
    }

    /// Gives a field that is there another value.
    mutating func replace(_ field: KnownField, with value: String) {
        if let index = values.firstIndex(where: { $0.field == field }) { values[index].value = value }
    }

    mutating func add(name: String, value: String) {
        if let field = KnownField.byName[name.lowercased()] { add(field, value: value) }
    }

    package var preconditions: Preconditions {
        Preconditions(
            ifMatch: self[.ifMatch],
            ifUnmodifiedSince: self[.ifUnmodifiedSince],
            ifNoneMatch: self[.ifNoneMatch],
            ifModifiedSince: self[.ifModifiedSince],
            ifRange: self[.ifRange]
        )
    }
}
