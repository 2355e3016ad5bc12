/// The address of a tracker that may be asked: udp, http or https, with a host the address policy allows.
package struct TrackerURL: Sendable, Hashable, CustomStringConvertible {
    /// Printable US-ASCII; scheme and host in lower case, the rest as it was given, without a fragment.
    package let text: String

    package var description: String { text }

    /// - Returns: `nil` if `url` has another scheme, user information, a host or port that is none or not allowed, a
    ///   byte that no URL may hold, or more than 2,048 bytes; and for udp if it has no port.
    package init?(_ url: some Collection<UInt8>, policy: AddressPolicy) {
        let bytes = Array(url)
        guard bytes.count <= 2048, bytes.allSatisfy(Self.isAllowed) else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { return nil }
        let scheme = text[..<colon].lowercased()
        let rest = text[text.index(colon, offsetBy: 3)...].prefix { $0 != "#" }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard ["udp", "http", "https"].contains(scheme), !authority.contains("@"),
            let (host, port) = Self.split(authority), port != nil || scheme != "udp", policy.refusal(of: host) == nil
        else { return nil }
        let suffix = port.map { ":\($0)" } ?? ""
        self.text = "\(scheme)://\(host)\(suffix)\(rest[authority.endIndex...])"
    }

    /// The host, and the port if one is given; `nil` if either is wrong.
    private static func split(_ authority: Substring) -> (HostName, UInt16?)? {
        guard let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") else {
            return HostName(authority).map { ($0, nil) }
        }
        guard let host = HostName(authority[..<colon]) else { return nil }
        return portNumber(authority[authority.index(after: colon)...]).map { (host, $0) }
    }

    /// RFC 3986 Appendix A, and `|` and brackets, which trackers use in queries.
    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\\"), UInt8(ascii: "^"),
            UInt8(ascii: "`"), UInt8(ascii: "{"), UInt8(ascii: "}"):
            false
        default: (0x21...0x7E).contains(byte)
        }
    }
}

/// Collects trackers up to the limits, each once, and drops those that may not be asked.
struct TrackerList {
    private let limits: TorrentLimits
    private let policy: AddressPolicy
    private var read = 0
    private(set) var kept: [TrackerURL] = []

    init(limits: TorrentLimits, policy: AddressPolicy) {
        self.limits = limits
        self.policy = policy
    }

    var isFull: Bool { read >= limits.trackersRead || kept.count >= limits.trackersKept }

    mutating func add(_ url: some Collection<UInt8>) {
        guard !isFull else { return }
        read += 1
        guard let tracker = TrackerURL(url, policy: policy), !kept.contains(tracker) else { return }
        kept.append(tracker)
    }
}
