/// What a request must satisfy before anything looks at its path.
package enum RequestGate {
    /// Which methods are for the dispatcher to judge.
    package enum Methods: Sendable {
        /// GET, HEAD and OPTIONS.
        case reading
        /// POST and DELETE as well.
        case changing
        case any
    }

    /// - Returns: the target in origin-form, or the reason to refuse, after which the connection closes.
    package static func admit(_ head: RequestHead, methods: Methods = .reading) -> Result<String, RequestProblem> {
        if let problem = refusal(head, methods) { return .failure(problem) }
        // `*` is for OPTIONS about the server as a whole (RFC 9112 §3.2.4).
        if head.method == .options, head.target == "*" { return .success("/") }
        return originForm(head.target)
    }

    private static func refusal(_ head: RequestHead, _ methods: Methods) -> RequestProblem? {
        if head.minorVersion >= 1 || head.fields.hostCount > 0 {
            guard head.fields.hostCount == 1, let host = head.fields[.host], isHost(host) else {
                // RFC 9112 §3.2.
                return RequestProblem(400, .badHost, "the request needs exactly one Host field that names a host")
            }
        }
        if case .other(let method) = head.method {
            switch (methods, method) {
            case (.any, _), (.changing, "POST"), (.changing, "DELETE"): break
            default: return refusal(ofMethod: method, allowed: ["GET", "HEAD", "OPTIONS"])
            }
        }
        // RFC 9112 §6.1, §6.3: what cannot be decoded has no end that both sides agree on, and HTTP/1.0 has no codings.
        if let coding = head.fields[.transferEncoding], coding.lowercased() != "chunked" || head.minorVersion == 0 {
            return RequestProblem(400, .badRequest, "the only transfer coding known here is chunked, in HTTP/1.1")
        }
        if let expect = head.fields[.expect], expect.lowercased() != "100-continue" {
            return RequestProblem(417, .expectationFailed, "only the expectation 100-continue is known")
        }
        return nil
    }

    /// - Parameter allowed: the methods that there are.
    static func refusal(ofMethod method: String, allowed: [String]) -> RequestProblem {
        ["POST", "PUT", "DELETE", "PATCH"].contains(method)
            ? .methodNotAllowed(method, allowed: allowed)
            : RequestProblem(501, .notImplemented, "the method is not known here")
    }

    /// The target in origin-form: of an absolute-form target its path and query (RFC 9112 §3.2.2).
    package static func originForm(_ target: String) -> Result<String, RequestProblem> {
        guard target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") }) else {
            return .failure(badTarget)
        }
        if target.utf8.first == UInt8(ascii: "/") { return .success(target) }
        for scheme in ["http://", "https://"] where target.lowercased().hasPrefix(scheme) {
            let rest = target.dropFirst(scheme.count)
            let authorityEnd = rest.firstIndex(where: { $0 == "/" || $0 == "?" }) ?? rest.endIndex
            guard isHost(String(rest[..<authorityEnd])) else { return .failure(badTarget) }
            let path = rest[authorityEnd...]
            return .success(path.first == "/" ? String(path) : "/" + path)
        }
        return .failure(badTarget)
    }

    private static let badTarget = RequestProblem(
        400,
        .badRequest,
        "the request target is no path; percent-encode what is no plain ASCII"
    )

    /// `uri-host [ ":" port ]` (RFC 9110 §7.2), without user information.
    package static func isHost(_ text: String) -> Bool {
        isPlainName(text) || HostAuthority(text) != nil
    }

    /// Whether `text` is a name or an IPv4 address without a port, or with one of four digits at most: what nearly every
    /// request has.
    private static func isPlainName(_ text: String) -> Bool {
        let bytes = text.utf8Span.span
        var length = 0
        while length < bytes.count, HostAuthority.isNameByte(bytes[length]) { length += 1 }
        guard length > 0 else { return false }
        guard length < bytes.count else { return true }
        guard bytes[length] == UInt8(ascii: ":"), bytes.count - length <= 5 else { return false }
        for index in length + 1..<bytes.count where !(0x30...0x39).contains(bytes[index]) { return false }
        return true
    }
}

/// A host with an optional port, as in a `Host` field.
package struct HostAuthority: Sendable {
    private let name: Substring
    package let port: Int?

    /// In lower case, IPv6 addresses without brackets.
    package var host: String { name.lowercased() }

    package init?(_ text: String) {
        let bytes = text.utf8
        let rest: Substring
        if bytes.first == UInt8(ascii: "[") {
            guard let end = bytes.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            name = text[bytes.index(after: bytes.startIndex)..<end]
            rest = text[bytes.index(after: end)...]
            guard !name.isEmpty, name.utf8.allSatisfy(Self.isAddressByte) else { return nil }
        } else {
            let colon = bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
            name = text[..<colon]
            rest = text[colon...]
            guard !name.isEmpty, name.utf8.allSatisfy(Self.isNameByte) else { return nil }
        }
        guard !rest.isEmpty else {
            port = nil
            return
        }
        guard rest.utf8.first == UInt8(ascii: ":") else { return nil }
        let digits = rest.dropFirst()
        guard !digits.isEmpty else {
            port = nil
            return
        }
        guard digits.utf8.count <= 5, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(digits),
            number <= 65_535
        else { return nil }
        port = number
    }

    private static func isAddressByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: ":"), UInt8(ascii: "."):
            true
        default: false
        }
    }

    fileprivate static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
